"""clock: the time that an app measures by: the server's, or in a test that of the client.

A loop of the test client sets `source.time` while it runs, and so for the plain functions that it calls; a
server sets nothing. It is no clock of the wall: `time.time` is that, and no client moves it.
"""

from __future__ import annotations

import threading
import time

_START = time.monotonic()


def elapsed() -> float:
    """Real seconds since the program has started."""
    return time.monotonic() - _START


class _Source(threading.local):
    time = staticmethod(elapsed)


source = _Source()


def clock() -> float:
    """Seconds of a clock that never goes back, for measuring: since the program has started.

    In the test client it is the client's clock, which moves while the app waits and by `client.wait(60)`; in
    an `async def`, in a plain `def` and in `to_thread` alike. A thread that the app starts itself sees the
    real one.

        began = kissapi.clock()
        await work()
        took = kissapi.clock() - began
    """
    return source.time()
