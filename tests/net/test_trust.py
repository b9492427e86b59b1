"""Trust: which proxies are believed, and settings that make no sense."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any

import pytest

from kissapi import Server
from kissapi.net.trusted_proxies import TrustedProxies
from tests.net.proxied import PROXY


@pytest.mark.parametrize(
    ("names", "inside", "outside"),
    [
        ("127.0.0.1", ["127.0.0.1", "::ffff:127.0.0.1"], ["127.0.0.2", "::1", "localhost", ""]),
        ("10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["11.0.0.0", "9.255.255.255", "::a00:1"]),
        ("192.168.4.0/23", ["192.168.5.255"], ["192.168.6.0", "192.168.3.255"]),
        ("2001:db8::/32", ["2001:DB8:0:0::1"], ["2001:db9::1", "32.1.13.184"]),
        ("fe80::1", ["fe80::1%eth0"], ["fe80::2%eth0"]),
        ("0.0.0.0/0", ["203.0.113.1", "0.0.0.0"], ["::1"]),
        ("127.0.0.1, ::1", ["127.0.0.1", "::1"], ["127.1", "0127.0.0.1", "127.0.0.1 ", "é", "1\x00"]),
    ],
)
def test_which_addresses_are_trusted(names: str, inside: list[str], outside: list[str]) -> None:
    trusted = TrustedProxies(names)
    assert [address for address in inside if address not in trusted] == []
    assert [address for address in outside if address in trusted] == []
    assert not trusted.unix


def test_a_unix_socket_is_trusted_by_its_name_alone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for names in ("unix", ["127.0.0.1", " unix "]):
            assert TrustedProxies(names).is_trusted("", ours)
            assert not TrustedProxies(names).is_trusted(None, None)
        assert not TrustedProxies("0.0.0.0/0, ::/0").is_trusted("", ours)
        with socket.socket() as tcp:
            assert not TrustedProxies("unix").is_trusted(None, tcp), "one that has left has no address either"


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ("localhost", r"'localhost' is no proxy to trust: write an address such as 127\.0\.0\.1"),
        ("*", r"to trust every address: 0\.0\.0\.0/0 and ::/0"),
        ("", "''"),
        ([], "trusted_proxies is empty"),
        ([7], "named by a string, not by 7"),
        (True, "it is not True"),
        ("10.0.0.1/8", r"the network is 10\.0\.0\.0/8"),
        ("2001:db8::1/32", "the network is 2001:db8::/32"),
        ("10.0.0.0/33", "a number of bits, 0 to 32"),
        ("10.0.0.0/", "a number of bits, 0 to 32"),
        ("10.0.0.0/255.0.0.0", "a number of bits"),
    ],
)
def test_a_name_that_is_no_proxys_is_an_error(names: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Server(trusted_proxies=names)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"proxy_protocol": True}, "which proxies are believed"),
        ({"proxy_headers": "forwarded"}, "which proxies are believed"),
        (
            {"trusted_proxies": PROXY, "proxy_headers": "x-real-ip"},
            "forwarded, x-forwarded-for, .* 'x-real-ip'",
        ),
        ({"trusted_proxies": PROXY, "proxy_headers": ["Forwarded", "X-Forwarded-For"]}, "not both"),
    ],
)
def test_settings_that_make_no_sense(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Server(**options)


def test_a_server_without_proxies_loads_nothing_of_this() -> None:
    program = """
import sys
from kissapi import Server
Server()
names = {"kissapi.net.trusted_proxies", "kissapi.http.forwarded", "kissapi.net.proxy_gate"}
print(*names & {*sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    assert (done.stdout.split("\n"), done.stderr) == (["", ""], "")
