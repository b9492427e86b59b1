"""Authority: the host and port that a request is for (RFC 9110 §7.2, RFC 3986 §3.2.2), and IP addresses.

The C library judges addresses: it knows their zeros, gaps and dotted tails (RFC 4291 §2.2).
"""

from __future__ import annotations

import re
import socket
from functools import lru_cache

# A registered name or IPv4 address, or an IP literal in brackets; then perhaps a port. No userinfo, and no
# comma: the grammar has it, but no host does, and two Host fields that a proxy has joined would pass for one.
_NAME = r"(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+"
# In the literal of an IPv6 address no zone, such as %25eth0 (RFC 6874): it means nothing on another machine.
_LITERAL = r"\[(?:(?P<v6>[0-9A-Fa-f:.]{2,45})|v[0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+;=:]+)\]"
_AUTHORITY = re.compile(f"(?:{_NAME}|{_LITERAL})(?::(?P<port>[0-9]{{0,5}}))?")
USUAL_PORTS = {"http": "80", "https": "443"}
_MAPPED = bytes(10) + b"\xff\xff"  # an IPv4 address as an IPv6 socket shows it (RFC 4291 §2.5.5.2)


def ip_address(text: str) -> str | None:
    """The usual spelling of an IP address, None if `text` is none; a mapped IPv4 address is itself.

    >>> ip_address("2001:DB8:0::1"), ip_address("::ffff:10.0.0.1"), ip_address("010.0.0.1")
    ('2001:db8::1', '10.0.0.1', None)
    """
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        packed = socket.inet_pton(family, text)
    except (OSError, ValueError):  # ValueError: what is not ASCII, and NUL
        return None
    if packed.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return socket.inet_ntop(family, packed)


@lru_cache(64)  # a server has few names, and each client that connects sends one
def is_authority(text: str) -> bool:
    """Whether `text` is a host and perhaps a port: `example.org:8000`, `[::1]:80`.

    >>> is_authority("user@example.org")
    False
    """
    match = _AUTHORITY.fullmatch(text)
    if match is None or int(match["port"] or 0) > 65535:
        return False
    literal = match["v6"]
    return literal is None or (":" in literal and ip_address(literal) is not None)


def split_port(authority: str) -> tuple[str, str]:
    """The host of an authority, and its port; "" if it has none.

    >>> split_port("[::1]:80"), split_port("example.org")
    (('[::1]', '80'), ('example.org', ''))
    """
    name, colon, port = authority.rpartition(":")
    return (name, port) if colon and "]" not in port else (authority, "")


def with_port(host: str, port: str, scheme: str) -> str:
    """`host` with `port`, without it if it is the usual one of `scheme`, or ""."""
    return host if port in ("", USUAL_PORTS.get(scheme)) else f"{host}:{port}"


def is_loopback(authority: str) -> bool:
    """Whether `authority` names this machine alone: `localhost:8000`, `app.localhost`, `127.0.0.1`, `[::1]`.

    The owner of any other name may have it lead to 127.0.0.1: then a page of that name reads the answers of
    a server that listens on loopback alone (DNS rebinding). `localhost` is safe (RFC 6761 §6.3).
    """
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        return False
    if authority.startswith("["):
        return match["v6"] == "::1"
    name = authority.partition(":")[0].lower().removesuffix(".")
    return name.startswith("127.") if ip_address(name) else f".{name}".endswith(".localhost")
