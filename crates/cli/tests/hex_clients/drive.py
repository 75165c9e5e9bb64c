"""Drives one Python SDK of Hex through list, run, poll and cancel, and prints what it saw as JSON.

usage: drive.py hex_toolkit|hex_api ORIGIN PROJECT lifecycle|errors
"""

import importlib
import json
import sys
import time

TERMINAL = {"ERRORED", "COMPLETED", "KILLED", "UNABLE_TO_ALLOCATE_KERNEL"}
POLL_S = 0.05
POLLS_MAX = 200


def plain(answer):
    """hex_toolkit answers with models, hex_api with dicts."""
    dump = getattr(answer, "model_dump", None)
    return dump(mode="json", by_alias=True) if dump else answer


def watch(client, project, run):
    """Every status until the end, each once."""
    seen = []
    for _ in range(POLLS_MAX):
        status = plain(client.runs.get_status(project, run))["status"]
        if status not in seen:
            seen.append(status)
        if status in TERMINAL:
            break
        time.sleep(POLL_S)
    return seen


def pages(client):
    """The ids of all projects, three at a time."""
    ids, after = [], None
    while True:
        page = plain(client.projects.list(limit=3, after=after))
        ids += [project["id"] for project in page["values"]]
        after = page["pagination"]["after"]
        if after is None:
            return ids


def lifecycle(client, project):
    started = plain(client.projects.run(project, input_params={"client": client.__module__}))
    seen = watch(client, project, started["runId"])
    to_cancel = plain(client.projects.run(project, input_params={"cancel": True}))["runId"]
    cancelled = client.runs.cancel(project, to_cancel)
    dry = plain(client.projects.run(project, dry_run=True))
    runs = plain(client.runs.list(project, limit=25))["runs"]
    return {
        "projects": pages(client),
        "title": plain(client.projects.get(project, include_sharing=True))["title"],
        "version": started["projectVersion"],
        "seen": seen,
        "cancelled": cancelled,
        "seen_of_cancelled": watch(client, project, to_cancel),
        "listed": [run["runId"] for run in runs],
        "started": [started["runId"], to_cancel],
        "dry": dry["runId"],
    }


def errors(client, project):
    """What each refusal becomes: the exception, its status, and what it says of when to come back."""

    def raised(call):
        try:
            call()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test wants to know
            status = getattr(error, "status_code", None)
            return [type(error).__name__, status, getattr(error, "retry_after", None)]
        return None

    return {
        "unpublished": raised(lambda: client.projects.run("00000000-0000-4000-8000-00000000dead")),
        "unknown": raised(lambda: client.runs.get_status(project, "00000000-0000-4000-8000-000000000000")),
        "cancel_unknown": raised(lambda: client.runs.cancel(project, "00000000-0000-4000-8000-000000000000")),
        "dropped": raised(lambda: client.projects.run(project, input_params={"row": 1})),
        "bad_gateway": raised(lambda: client.projects.run(project, input_params={"row": 2})),
        "kernels": raised(lambda: client.projects.run(project, input_params={"row": 3})),
        "too_many": raised(lambda: client.projects.run(project, input_params={"row": 4})),
        "rotated": raised(lambda: client.projects.list()),
    }


def main():
    module, origin, project, what = sys.argv[1:]
    sdk = importlib.import_module(module)
    with sdk.HexClient(api_key="hxtp_of_the_tests", base_url=f"{origin}/api") as client:
        print(json.dumps({"lifecycle": lifecycle, "errors": errors}[what](client, project)))


if __name__ == "__main__":
    main()
