"""Heartbeat: whether a silent client is still there: when a ping is due, and when its answer is overdue.

It only compares times, in seconds of the service's clock. The session sends the pings, and asks at each tick.
"""

from __future__ import annotations


class Heartbeat:
    """After `interval` seconds without a byte a ping is due; `timeout` seconds after it the client is gone.

    An `interval` of None: never.
    """

    __slots__ = ("_interval", "_timeout", "latency", "pinged", "received")

    def __init__(self, interval: float | None, timeout: float, now: float) -> None:
        self._interval = interval
        self._timeout = timeout
        self.received = now  # the time of the last bytes
        self.pinged: float | None = None  # the time of the last ping, until it is answered
        self.latency: float | None = None  # seconds from the last answered ping to its answer

    def note_pong(self) -> None:
        """A pong was among the last bytes."""
        if self.pinged is not None:
            self.latency = self.received - self.pinged
            self.pinged = None

    def is_ping_due(self, now: float) -> bool:
        return self._interval is not None and not self._waits() and now > self.received + self._interval

    def is_overdue(self, now: float) -> bool:
        """Whether nothing has come since a ping, for too long."""
        return (
            self._interval is not None
            and self.pinged is not None
            and self._waits()
            and now > self.pinged + self._timeout
        )

    def _waits(self) -> bool:
        """Whether nothing has come since the last ping."""
        return self.pinged is not None and self.pinged > self.received
