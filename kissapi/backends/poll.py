"""Poll: which sockets are ready, for the loop of the selectors backend and for asyncio's.

Both ask epoll where the system has it, else the module `selectors`. `selectors` would do for epoll as well,
but what it builds in Python for every event costs the selectors backend a twentieth of its requests per
second, and asyncio a fortieth of a request.

For the loop of the selectors backend there is `Poll`: events are READ and WRITE, whatever the system calls
them, and each socket has one callback, which gets them; a broken connection shows as more than was asked for.
For asyncio's there is `make_selector`.
"""

from __future__ import annotations

import math
import select
import selectors
from collections.abc import Callable
from typing import Any

READ, WRITE = 0x01, 0x04  # as epoll and poll have them

Callback = Callable[[int], object]


class SelectorPoll:
    """`Poll` on every system."""

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
        """Sleep until something happens, or `seconds` are over; the callbacks to call, and their events."""
        return [
            (key.data, (mask & selectors.EVENT_READ and READ) | (mask & selectors.EVENT_WRITE and WRITE))
            for key, mask in self._selector.select(seconds)
        ]

    def close(self) -> None:
        self._selector.close()


class EpollPoll:
    """`Poll` on Linux."""

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


Poll: type[EpollPoll | SelectorPoll] = EpollPoll if hasattr(select, "epoll") else SelectorPoll

if hasattr(selectors, "EpollSelector"):
    _MASKS = {READ: selectors.EVENT_READ, WRITE: selectors.EVENT_WRITE}
    _BOTH = selectors.EVENT_READ | selectors.EVENT_WRITE  # or broken: the read or the write will raise

    class EpollSelector(selectors.EpollSelector):
        """`selectors.EpollSelector` with a third of its steps in Python for every event.

        It may report more than was asked for, which asyncio's loop looks up anyway.
        """

        _fd_to_key: dict[int, selectors.SelectorKey]  # these two are the original's, and not documented
        _selector: Any

        def get_key(self, fileobj: Any) -> selectors.SelectorKey:
            """asyncio asks for each new descriptor, in vain; to say so takes the original 2 µs more."""
            return self._fd_to_key[fileobj] if type(fileobj) is int else super().get_key(fileobj)

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            """What is ready, and for what; `timeout` in seconds, rounded up as epoll rounds down."""
            seconds = -1 if timeout is None else math.ceil(timeout * 1e3) * 1e-3 if timeout > 0 else 0
            keys = self._fd_to_key
            return [
                (keys[descriptor], _MASKS.get(events, _BOTH))
                for descriptor, events in self._selector.poll(seconds, len(keys) or 1)
                if descriptor in keys
            ]


def make_selector() -> selectors.BaseSelector:
    """The selector of asyncio's loop: the fast one where this Python's `selectors` is as it expects."""
    if hasattr(selectors, "EpollSelector"):
        selector = EpollSelector()
        if hasattr(selector, "_fd_to_key") and hasattr(selector, "_selector"):
            return selector
        selector.close()
    return selectors.DefaultSelector()
