"""Host: what may stand in a Host field or behind http://."""

from __future__ import annotations

import pytest

from kissapi.http.authority import is_authority, is_loopback

GOOD = [
    "a", "localhost:8000", "example.org", "example.org:", "a:0", "a:65535", "127.0.0.1:80", "[::1]",
    "[::1]:80", "[v1.x:y]", "[::]", "[1::]", "[1:2:3:4:5:6:7:8]", "[::ffff:127.0.0.1]",
    "[1:2:3:4:5:6:1.2.3.4]", "[1:2:3:4:5:6:7::]", "a;b", "a!$&'()*+=", "xn--caf-dma.fr", "a_b",
    "caf%C3%A9.fr", "a.",
]  # fmt: skip
BAD = [
    "", ":80", "a:65536", "a:123456", "a:-1", "a:b", "a:80:80", "a b", "user@a", "a/b", "a?b", "a#b",
    "[::1", "::1", "[]", "[::1]x", "[g::]", "é", "a%zz", "a\r\n", "a\n", "a,b c", "a:٣", "[v.x]", "a\x00",
    "a,b", "a,b:80", "[:]", "[:::]", "[1]", "[1:2]", "[1:2:3:4:5:6:7:8:9]", "[1::2::3]", "[12345::]",
    "[1.2.3.4]", "[::1.2.3]", "[::1.2.3.256]", "[1.2.3.4::]", "[::1%25eth0]", "[1:2:3:4:5:6:7:1.2.3.4]",
    "[1:2:3:4:5:6:7:8::]", "[:1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7:8:]", "a:99999999999",
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_a_host_and_perhaps_a_port_is_an_authority(text: str) -> None:
    assert is_authority(text)


@pytest.mark.parametrize("text", BAD)
def test_anything_else_is_none(text: str) -> None:
    assert not is_authority(text)


LOOPBACK = [
    "localhost", "LOCALHOST:8000", "localhost.", "app.localhost:1", "a.b.localhost", "127.0.0.1",
    "127.0.0.1:8000", "127.9.8.7", "[::1]", "[::1]:8000",
]  # fmt: skip
ELSEWHERE = [
    "example.org", "localhost.example.org", "notlocalhost", "127.0.0.1.example.org", "127.example.org",
    "128.0.0.1", "0.0.0.0", "[::]", "[::2]", "[v1.x]", "192.0.2.1:127", "", "127.0.0.1, localhost",
    "localhost,a", "a@localhost", "127.0.0.256", "a:1.localhost", "[::1].localhost",
]  # fmt: skip


@pytest.mark.parametrize("text", LOOPBACK)
def test_a_name_of_this_machine_alone(text: str) -> None:
    assert is_loopback(text)


@pytest.mark.parametrize("text", ELSEWHERE)
def test_a_name_that_its_owner_may_lead_anywhere(text: str) -> None:
    assert not is_loopback(text)
