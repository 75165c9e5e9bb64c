"""Asks pyrate-limiter and aiolimiter to push calls through both windows, and prints when each call left: one JSON line
per peer and set of limits.  python trace.py SETS.json
"""

# The clock first: the peers take their functions of it by name.
import virtual_time  # isort: skip

import asyncio
import json
import sys
import time
from importlib.metadata import version

from aiolimiter import AsyncLimiter
from pyrate_limiter import InMemoryBucket, Limiter, Rate, SingleBucketFactory


def pyrate(short, long):
    """Both rates in one bucket. The thread that forgets old calls runs in real time, so it stays off; what has left a
    window is not counted either way."""
    rates = [Rate(limit["count"], limit["window_ms"]) for limit in (short, long)]
    limiter = Limiter(SingleBucketFactory(InMemoryBucket(rates), schedule_leak=False))

    async def push(call):
        if not await limiter.try_acquire_async("calls"):
            raise RuntimeError("pyrate-limiter refused a call that it was to wait for")
        call()

    return push


def aiolimiter(short, long):
    """One limiter per window; the short one is the gate nearest the wire: the favourable order."""
    inner, outer = (AsyncLimiter(limit["count"], limit["window_ms"] / 1000) for limit in (short, long))

    async def push(call):
        async with outer, inner:
            call()

    return push


PEERS = [
    ("pyrate-limiter", "both rates in one InMemoryBucket; buffer_ms at its default of 50", pyrate),
    ("aiolimiter", "one AsyncLimiter per window; `async with long, short`", aiolimiter),
]


async def trace(build, calls, limits):
    push = build(*limits)
    sent_ns = []
    await asyncio.gather(*(push(lambda: sent_ns.append(time.monotonic_ns())) for _ in range(calls)))
    return sent_ns


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        sets = json.load(file)
    for number, entry in enumerate(sets):
        for peer, how, build in PEERS:
            sent_ns = virtual_time.run(trace(build, entry["calls"], entry["limits"]))
            print(json.dumps({"set": number, "peer": peer, "how": how, "version": version(peer), "sent_ns": sent_ns}))


main()
