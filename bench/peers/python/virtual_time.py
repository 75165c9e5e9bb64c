"""A clock that stands still while there is work and jumps to the next timer when there is none.

Import this before the peers: some take `time.monotonic_ns` by name.
"""

import asyncio
import selectors
import time

# One turn of the loop takes this long. A clock that stood quite still would catch a timer that rounding left a hair
# short of its time in an endless loop.
TURN_S = 1e-6

_now_s = 0.0

time.monotonic = lambda: _now_s
time.monotonic_ns = lambda: round(_now_s * 1e9)
time.time = lambda: 1_767_225_600.0 + _now_s
time.time_ns = lambda: 1_767_225_600_000_000_000 + round(_now_s * 1e9)


class _Selector(selectors.DefaultSelector):
    """Waits by moving the clock."""

    def select(self, timeout=None):
        global _now_s
        if timeout is None:
            raise RuntimeError("nothing is left to wait for, and calls are missing")
        _now_s += max(timeout, TURN_S)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def time(self):
        return _now_s


def run(scenario):
    """Runs `scenario` to its end on a loop in virtual time that begins at zero."""
    global _now_s
    _now_s = 0.0
    loop = _Loop(_Selector())
    try:
        return loop.run_until_complete(scenario)
    finally:
        loop.close()
