"""Poll: which sockets are ready: by epoll where the system has it, else by what the module `selectors` finds.

Law: events are READ and WRITE, whatever the system calls them, and each socket has one callback, which gets
them; a broken connection shows as more than was asked for. `selectors` would do for epoll as well, but what
it builds in Python for every event costs the selectors backend a twentieth of its requests per second.
"""

from __future__ import annotations

import select
import selectors
from collections.abc import Callable
from typing import Any

READ, WRITE = 0x01, 0x04  # as epoll and poll have them

Callback = Callable[[int], object]


class Selector:
    """Anywhere."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, sock: Any, events: int, callback: Callback) -> None:
        """Call `callback(events)` whenever one of `events` happens on `sock`; with 0, never again."""
        known = sock in self._selector.get_map()
        mask = (events & READ and selectors.EVENT_READ) | (events & WRITE and selectors.EVENT_WRITE)
        if not mask:
            if known:
                self._selector.unregister(sock)
        elif known:
            self._selector.modify(sock, mask, callback)
        else:
            self._selector.register(sock, mask, callback)

    def wait(self, seconds: float | None) -> list[tuple[Callback, int]]:
        """Sleep until something happens, or `seconds` are over; whom to call, and with what."""
        return [
            (key.data, (mask & selectors.EVENT_READ and READ) | (mask & selectors.EVENT_WRITE and WRITE))
            for key, mask in self._selector.select(seconds)
        ]

    def close(self) -> None:
        self._selector.close()


class Epoll:
    """On Linux."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callback] = {}

    def watch(self, sock: Any, events: int, callback: Callback) -> None:
        descriptor = sock.fileno()
        if not events:
            if self._callbacks.pop(descriptor, None) is not None:
                self._epoll.unregister(descriptor)
            return
        try:
            if descriptor not in self._callbacks:
                self._epoll.register(descriptor, events)
            else:
                self._epoll.modify(descriptor, events)
        except FileNotFoundError:  # another socket, closed behind our back, had this number
            self._epoll.register(descriptor, events)
        self._callbacks[descriptor] = callback

    def wait(self, seconds: float | None) -> list[tuple[Callback, int]]:
        callbacks = self._callbacks
        return [
            (callbacks[descriptor], events)
            for descriptor, events in self._epoll.poll(seconds)
            if descriptor in callbacks  # what a forked child watches is told here, too
        ]

    def close(self) -> None:
        self._epoll.close()


Poll: type[Epoll | Selector] = Epoll if hasattr(select, "epoll") else Selector
