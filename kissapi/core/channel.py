"""Channel: the transport of one client: its state (`kissapi.core.states`) and back-pressure, both ways.

`close_after` is a flag beside the state: the next answer is the last one.

Reading is paused while bytes wait to be parsed. Under back-pressure a sender waits in `drained`.
"""

from __future__ import annotations

from typing import Any

from kissapi.core.service import Service
from kissapi.core.states import BUSY, CLOSED, IDLE, LEGAL, STREAMING


class Channel:
    """The part of a `Connection` that knows no requests."""

    __slots__ = (  # by use
        "reading",  # False while reading is paused
        "service",
        "since",  # when the state began, or the last answer was sent, by the service's clock
        "state",
        "transport",
        "waiters",  # futures of those that wait in `drained`
        "writable",  # False under back-pressure: the client does not take what it is sent
    )

    def __init__(self, service: Service) -> None:
        self.service = service
        self.transport: Any = None
        self.state = IDLE
        self.since = service.clock()
        self.reading = True
        self.writable = True
        self.waiters: tuple[Any, ...] = ()

    def become(self, state: str) -> None:
        """Change the state. Raises `RuntimeError` if `LEGAL` does not have that transition."""
        if state not in LEGAL[self.state]:
            raise RuntimeError(f"a connection that is {self.state} cannot become {state}")
        self.state = state
        self.since = self.service.clock()

    def write(self, data: bytes) -> None:
        """Send the next bytes of the answer."""
        if self.state is BUSY:
            self.become(STREAMING)
        self.transport.write(data)

    def pause_reading(self) -> None:
        if self.reading:
            self.reading = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self.reading:
            self.reading = True
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        self.wake()

    async def drained(self) -> None:
        """Wait until the back-pressure ends: the client has taken most of what was sent, or has left."""
        while not self.writable and self.state is not CLOSED:
            waiter = self.service.loop.create_future()
            self.waiters += (waiter,)
            await waiter

    def wake(self) -> None:
        """End every wait in `drained`."""
        waiters = self.waiters
        self.waiters = ()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
