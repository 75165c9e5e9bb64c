#!/usr/bin/env python3
"""Every kind of smart column in one table of airports, half of it made over REST, half over MCP.

    cargo build --release && python3 examples/airports.py

Starts a simulated vendor (`paceline lab`) and a server with a data directory of its own, makes the tables, plans and runs
each column, prints what came of it, and stops both again. Needs Python 3.9 and nothing else. `--keep` leaves both running,
to look around; `--rows N` takes so many airports (40 if not given).
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AIRPORTS = ROOT / "crates/lab/data/airports.csv"
# What the webhook's calls are signed with, and the lab's receiver checks.
SECRET = "whsec_of_the_example"


def binary():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [path for path in (target / profile / "paceline" for profile in ("release", "debug")) if path.exists()]
    if not built:
        sys.exit("there is no paceline yet: cargo build --release")
    return str(max(built, key=lambda path: path.stat().st_mtime))


def start(*arguments, ready):
    """Starts paceline; answers the process and what stands behind `ready` in the line that says it is ready."""
    process = subprocess.Popen(
        [binary(), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if ready in line:
            return process, line.split(ready, 1)[1].split()[0].rstrip(".,;")
    sys.exit(f"paceline {arguments[0]} did not start:\n{''.join(lines)}")


class Rest:
    def __init__(self, base, key):
        self.base, self.key = base, key

    def call(self, verb, path, body=None, raw=None, kind="application/json"):
        data = raw if raw is not None else (json.dumps(body).encode() if body is not None else None)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": kind}
        headers["Accept"] = "application/json, text/event-stream"
        request = urllib.request.Request(self.base + path, data, headers, method=verb)
        try:
            with urllib.request.urlopen(request) as reply:
                return reply.read().decode(), reply.headers
        except urllib.error.HTTPError as error:
            sys.exit(f"{verb} {path}: {error.code} {error.read().decode()}")

    def __call__(self, verb, path, body=None):
        return json.loads(self.call(verb, path, body)[0])["data"]


class Mcp:
    """The same operations as tools; the session is what an agent's client does by itself."""

    def __init__(self, rest):
        self.rest, self.number, self.session = rest, 0, None
        client = {"name": "example", "version": "1"}
        version = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
        self.ask("initialize", version)
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, message):
        headers = {
            "Authorization": f"Bearer {self.rest.key}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        if self.session:
            headers["Mcp-Session-Id"] = self.session
        data = json.dumps(message).encode()
        request = urllib.request.Request(self.rest.base + "/mcp", data, headers, method="POST")
        with urllib.request.urlopen(request) as reply:
            self.session = reply.headers.get("Mcp-Session-Id", self.session)
            return reply.read().decode()

    def ask(self, method, params):
        self.number += 1
        message = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}
        text = self.send(message)
        events = [line[5:] for line in text.splitlines() if line.startswith("data:")]
        answers = [json.loads(event) for event in events or [text] if event.strip()]
        answer = next(answer for answer in answers if answer.get("id") == self.number)
        if "error" in answer or answer["result"].get("isError"):
            sys.exit(f"{method} {params.get('name', '')}: {json.dumps(answer, indent=1)}")
        return answer["result"]

    def __call__(self, operation, **arguments):
        return self.ask("tools/call", {"name": f"hypertab_{operation}", "arguments": arguments})


def columns(lab):
    """Name, type, kind, config, rate: in the order in which they need one another."""
    fast = {"requests_per_second": 50, "max_concurrent": 6, "retry_strategy": "exponential", "max_retries": 3,
            "retry_delay_ms": 200, "cool_down_on_429": True}
    nearest = f"{lab}/geo/nearest?lat={{{{latitude}}}}&lon={{{{longitude}}}}"
    return [
        # One HTTP call per row; the price is what the plan and the caps reckon with.
        ("geo", "json", "http", {"url": nearest, "price": 0.001}, fast),
        # A part of another column's JSON.
        ("near", "text", "extract", {"from": "geo", "path": "$.name"}, None),
        # A row of another table.
        ("state_name", "text", "lookup", {"table": "states", "match": {"code": "{{state}}"}, "value": "name"}, None),
        # JavaScript over columns that were filled before.
        ("line", "text", "formula", {"formula": "`${name} (${city}, ${state_name}) is near ${near}`"}, None),
        # A language model; with a real key: provider, api_key and model are all that changes.
        ("summary", "text", "ai", {
            "provider": "compatible", "base_url": f"{lab}/v1", "api_key": "any", "model": "gpt-4o-mini",
            "prompt": "Where is this airport? {{line}}", "max_tokens": 50}, fast),
        # JavaScript in a process of its own.
        ("words", "number", "function", {
            "code": "function words(row) { return row.summary.split(/\\s+/).length }"}, None),
        # Several sources in turn until one has a value.
        ("contact", "text", "waterfall", {"sources": [
            {"name": "register", "url": f"{lab}/no/such/register/{{{{iata}}}}", "extract": "$.phone"},
            {"name": "geo", "url": nearest, "extract": "$.phone"},
            {"name": "echo", "url": f"{lab}/echo?code={{{{iata}}}}", "extract": "$.query"}]}, fast),
        # A call with an effect, for western airports only: sent once, whatever happens.
        ("announced", "boolean", "integration", {
            "provider": "webhook", "url": f"{lab}/webhook", "body": {"airport": "{{iata}}", "text": "{{line}}"},
            "secret": SECRET, "run_if": {"longitude": {"lt": -100}}}, fast),
    ]


def fill(rest, name):
    """Plans a column's cells, runs them, and waits for the end."""
    path = f"/api/tables/airports/columns/{name}"
    plan = rest("POST", f"{path}/plan", {})
    run = rest("POST", f"{path}/run", {"plan": plan["plan"]})
    while run["status"] in ("queued", "running"):
        time.sleep(0.2)
        run = rest("GET", f"/api/runs/{run['id']}")
    counts = run["counts"]
    most = f" to {plan['calls_max']}" if plan["calls_max"] > plan["calls"] else ""
    print(f"{name:<11} planned {plan['calls']:>3}{most} calls for {plan['cells']:>3} cells   made {counts['calls']:>3}   "
          f"{run['status']}: {counts['completed']} completed, {counts['skipped']} skipped, {counts['failed']} failed"
          + (f", cost {counts['cost_micros'] / 1e6}" if counts["cost_micros"] else ""))
    if run["status"] != "completed":
        sys.exit(f"column {name} did not complete: {json.dumps(run, indent=1)}")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=40)
    options.add_argument("--keep", action="store_true")
    options = options.parse_args()

    processes = []
    with tempfile.TemporaryDirectory(prefix="paceline-example-") as data:
        try:
            lab_process, lab = start("lab", "--limit", "50/s", "--webhook-secret", SECRET, ready="http://")
            processes.append(lab_process)
            lab = "http://" + lab.rstrip("/")
            key = "an-example-key-of-32-characters!!"
            os.environ["PACELINE_API_KEY"] = key
            server, base = start(
                "serve", "--data", data, "--listen", "127.0.0.1:0", "--allow-host", "127.0.0.1", ready="http://")
            processes.append(server)
            rest = Rest("http://" + base.rstrip("/"), key)
            mcp = Mcp(rest)
            work(rest, mcp, lab, options.rows)
            if options.keep:
                print(f"\nrunning: {rest.base}/docs with the key {key}, and the lab at {lab}; Ctrl-C stops both")
                server.wait()
        except KeyboardInterrupt:
            pass
        finally:
            for process in processes:
                process.terminate()
                process.wait()


def work(rest, mcp, lab, rows):
    with open(AIRPORTS, newline="", encoding="utf-8") as file:
        airports = [dict(row) for row, _ in zip(csv.DictReader(file), range(rows))]
    for airport in airports:
        airport["latitude"], airport["longitude"] = float(airport["latitude"]), float(airport["longitude"])

    text = lambda *names: [{"name": name, "type": "text"} for name in names]
    number = lambda *names: [{"name": name, "type": "number"} for name in names]
    rest("POST", "/api/tables", {"name": "states", "columns": text("code", "name")})
    codes = sorted({airport["state"] for airport in airports})
    rest("POST", "/api/tables/states/rows", {"rows": [{"code": code, "name": f"State of {code}"} for code in codes]})
    plain = text("iata", "name", "city", "state", "country") + number("latitude", "longitude")
    rest("POST", "/api/tables", {"name": "airports", "columns": plain})
    rest("POST", "/api/tables/airports/rows", {"rows": airports})

    # Every other one over MCP: the same operation, the same result.
    for turn, (name, kind_of_value, kind, config, rate) in enumerate(columns(lab)):
        column = {"name": name, "type": kind_of_value, "kind": kind, "config": config}
        if rate:
            column["rate_limit"] = rate
        if turn % 2:
            mcp("add_smart_column", table="airports", **column)
        else:
            rest("POST", "/api/tables/airports/smart-columns", column)
    for name, *_ in columns(lab):
        fill(rest, name)

    row = rest("GET", "/api/tables/airports/rows?limit=1")[0]
    print()
    for name in ("line", "summary", "words", "contact", "announced"):
        print(f"{name:<11} {row[name]}")
    with urllib.request.urlopen(f"{lab}/_lab/webhook") as reply:
        seen = json.load(reply)
    print(f"\nthe receiver of webhooks counted {seen['served']} effects under {seen['keys']} keys, {seen['duplicates']} twice, "
          f"{seen['signed']} of {seen['accepted']} calls signed as they should be")
    if seen["duplicates"] or seen["signed"] != seen["accepted"]:
        sys.exit("a call took effect twice, or was not signed")
    why = mcp("explain_cell", table="airports", column="contact", row=1)
    print("\nwhy is `contact` of the first row as it is, asked over MCP:")
    print(why["content"][0]["text"][:600])


if __name__ == "__main__":
    main()
