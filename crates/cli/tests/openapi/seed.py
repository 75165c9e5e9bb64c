"""Makes what deep.toml names: a table with rows, a smart column, and a run of it.

usage: seed.py URL KEY
"""

import sys

import requests

url, key = sys.argv[1:]


def post(path, body):
    headers = {"Authorization": f"Bearer {key}"}
    answer = requests.post(url + path, json=body, headers=headers, timeout=30)
    assert answer.ok, answer.text


columns = [{"name": "iata", "type": "text"}, {"name": "lat", "type": "number"}]
post("/api/tables", {"name": "airports", "columns": columns})
post("/api/tables/airports/rows", {"rows": [{"iata": "BOS", "lat": 42.4}, {"iata": "ZRH"}]})
near = {
    "name": "near",
    "type": "json",
    "kind": "http",
    # A name that resolves nowhere, whatever the network.
    "config": {"url": "https://vendor.invalid/near?lat={{lat}}"},
    "rate_limit": "gentle",
}
post("/api/tables/airports/smart-columns", near)
post("/api/tables/airports/columns/near/run", {})
