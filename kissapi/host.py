"""Host: the authority a request is for (RFC 9110 §7.2, RFC 3986 §3.2.2)."""

from __future__ import annotations

import re

# A registered name or IPv4 address, or an IP literal in brackets; then perhaps a port. No userinfo, and no
# comma: the grammar has it, but no host does, and two Host fields that a proxy has joined would pass for one.
_NAME = r"(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+"
_LITERAL = r"\[(?:(?P<v6>[0-9A-Fa-f:.]{2,45})|v[0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+;=:]+)\]"
_AUTHORITY = re.compile(f"(?:{_NAME}|{_LITERAL})(?::(?P<port>[0-9]{{0,5}}))?")
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_V4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_GROUP = re.compile(r"[0-9A-Fa-f]{1,4}")


def is_authority(text: str) -> bool:
    """Whether `text` is a host and perhaps a port: `example.org:8000`, `[::1]:80`.

    >>> is_authority("user@example.org")
    False
    """
    match = _AUTHORITY.fullmatch(text)
    if match is None or int(match["port"] or 0) > 65535:
        return False
    return match["v6"] is None or _is_v6(match["v6"])


def is_loopback(authority: str) -> bool:
    """Whether `authority` names this machine alone: `localhost:8000`, `app.localhost`, `127.0.0.1`, `[::1]`.

    Any other name means what its owner says, and that may be 127.0.0.1: then a page of that name reads the
    answers of a server which listens on loopback alone (DNS rebinding). `localhost` is safe (RFC 6761 §6.3).
    """
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        return False
    if authority.startswith("["):
        return match["v6"] == "::1"
    name = authority.partition(":")[0].lower().removesuffix(".")
    return name.startswith("127.") if _V4.fullmatch(name) else f".{name}".endswith(".localhost")


def _is_v6(text: str) -> bool:
    """Eight groups, or fewer round one `::`; the last two may be written as an IPv4 address."""
    left, gap, right = text.partition("::")
    groups = [group for side in (left, right) if side for group in side.split(":")]
    size = len(groups)
    if groups and text.endswith(groups[-1]) and _V4.fullmatch(groups[-1]):
        groups.pop()
        size += 1
    return all(map(_GROUP.fullmatch, groups)) and (size <= 7 if gap else size == 8)
