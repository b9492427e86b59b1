"""Host: the authority a request is for (RFC 9110 §7.2, RFC 3986 §3.2.2)."""

from __future__ import annotations

import re

# A registered name or IPv4 address, or an IP literal in brackets; then perhaps a port. No userinfo.
_NAME = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+"
_LITERAL = r"\[(?:[0-9A-Fa-f:.]{2,45}|v[0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+)\]"
_AUTHORITY = re.compile(f"(?:{_NAME}|{_LITERAL})(?::([0-9]{{0,5}}))?")


def is_authority(text: str) -> bool:
    """Whether `text` is a host and perhaps a port: `example.org:8000`, `[::1]:80`.

    >>> is_authority("user@example.org")
    False
    """
    match = _AUTHORITY.fullmatch(text)
    return match is not None and int(match[1] or 0) <= 65535
