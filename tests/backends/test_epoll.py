"""Epoll: finds what the selector of the standard library finds."""

from __future__ import annotations

import selectors
import socket
import sys
import time
from collections.abc import Iterator

import pytest

if sys.platform != "linux":
    pytest.skip("epoll is Linux's", allow_module_level=True)

from kissapi.backends.poll import EpollSelector, make_selector

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_the_standard_library_is_made_as_we_know_it() -> None:
    with make_selector() as selector:
        assert type(selector) is EpollSelector


@pytest.mark.parametrize("asked", [READ, WRITE, READ | WRITE])
@pytest.mark.parametrize("happens", ["nothing", "data", "end", "close"])
def test_it_finds_what_the_original_finds(
    pair: tuple[socket.socket, socket.socket], asked: int, happens: str
) -> None:
    ours, theirs = pair
    with EpollSelector() as selector, selectors.EpollSelector() as original:
        for each in (selector, original):
            each.register(ours, asked, "data")
        if happens == "data":
            theirs.send(b"x")
        elif happens == "end":
            theirs.shutdown(socket.SHUT_WR)
        elif happens == "close":
            theirs.close()
        # Of what was not asked for it may tell, too: a loop looks whether anybody waits for it.
        assert [(key, events & asked) for key, events in selector.select(0)] == original.select(0)


def test_what_changes_is_heeded(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, _ = pair
    with EpollSelector() as selector:
        assert selector.select(0) == []
        selector.register(ours, READ, 1)
        assert selector.select(0) == []
        key = selector.modify(ours, WRITE, 2)
        assert selector.select() == [(key, WRITE)]
        selector.unregister(ours)
        assert selector.select(0) == []


def test_it_never_wakes_early() -> None:
    with EpollSelector() as selector:
        for seconds in (0.0001, 0.0015, 0.0121):
            start = time.monotonic()
            assert selector.select(seconds) == []
            assert time.monotonic() - start >= seconds
        assert selector.select(-1) == []


@pytest.mark.parametrize("by", ["socket", "descriptor"])
def test_it_knows_what_is_registered(pair: tuple[socket.socket, socket.socket], by: str) -> None:
    ours, theirs = pair if by == "socket" else (each.fileno() for each in pair)
    with EpollSelector() as selector:
        key = selector.register(pair[0], READ, "data")
        assert selector.get_key(ours) is key
        with pytest.raises(KeyError):
            selector.get_key(theirs)
