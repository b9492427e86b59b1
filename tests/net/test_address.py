"""Address: what people write, and what is listened on for it."""

from __future__ import annotations

import os
from typing import Any

import pytest

from kissapi.net.address import Address, parse_address

GOOD = [
    ("127.0.0.1:8000", Address("127.0.0.1", 8000), "127.0.0.1:8000"),
    ("localhost:0", Address("localhost", 0), "localhost:0"),
    (":80", Address("0.0.0.0", 80), "0.0.0.0:80"),
    ("[::]:80", Address("::", 80), "[::]:80"),
    ("[::1]:65535", Address("::1", 65535), "[::1]:65535"),
    ("unix:/run/app.sock", Address(path="/run/app.sock"), "unix:/run/app.sock"),
    ("unix:app.sock", Address(path="app.sock"), "unix:app.sock"),
    ("unix:///run/app.sock", Address(path="/run/app.sock"), "unix:/run/app.sock"),
    ("fd://3", Address(fd=3), "fd://3"),
]


@pytest.mark.parametrize(("text", "address", "spelt"), GOOD)
def test_what_people_write(text: str, address: Address, spelt: str) -> None:
    assert parse_address(text) == [address]
    assert str(address) == spelt


BAD = [
    *((text, "is no address") for text in ("", "8000", "localhost", "a:b", "a:65536", "a:-1", "a:")),
    *((text, "the number of an open socket") for text in ("fd://", "fd://x")),
    *((text, "is a string") for text in (8000, None)),
    ("::1:80", "in brackets"),
    ("unix:", "has a path"),
    ("systemd", "LISTEN_PID"),
]


@pytest.mark.parametrize(("text", "why"), BAD)
def test_what_is_none_says_how_to_write_one(text: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_address(text)


def test_systemd_hands_over_as_many_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "2")
    assert parse_address("systemd") == [Address(fd=3), Address(fd=4)]
    for wrong in ("", "0", "x", "-1"):
        monkeypatch.setenv("LISTEN_FDS", wrong)
        with pytest.raises(ValueError, match="LISTEN_FDS is a number of sockets"):
            parse_address("systemd")
    monkeypatch.setenv("LISTEN_PID", "1")
    with pytest.raises(ValueError, match="LISTEN_PID"):
        parse_address("systemd")
