"""Redirects: the request that an answer leads to, as clients of HTTP follow it (RFC 9110 §15.4).

A client asks one app: what leads to another host is an error, and no request to that app by mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from kissapi.http.headers import Headers

if TYPE_CHECKING:
    from kissapi.extras.testing.answer import Answer
    from kissapi.extras.testing.request import Body

MOST = 20  # redirects one after the other, as in httpx and the Fetch standard

_PORTS = {"http": 80, "https": 443}
_OF_A_BODY = ("content-type", "content-length", "content-encoding", "transfer-encoding", "expect")


def is_redirect(answer: Answer) -> bool:
    """Whether it names the place of another request."""
    return answer.status in (301, 302, 303, 307, 308) and "location" in answer.headers


def next_request(
    answer: Answer, scheme: str, fields: Headers, body: Body | None
) -> tuple[str, str, Headers, Body | None]:
    """(method, path, fields, body) of the request after that of `answer`, which had these.

    301, 302 and 303 lead to a GET without the body, though a HEAD stays one; 307 and 308 keep both. Raises
    `ValueError` for another host or scheme, and for a body in pieces: they are gone.
    """
    here = f"{scheme}://{fields['host']}"
    place = urljoin(here + answer.path, answer.headers["location"])
    to = _origin(place)
    if to != _origin(here):
        other = to[0] in _PORTS and to[0] != scheme and to[1] == _origin(here)[1]
        hint = f'Client(app, scheme="{to[0]}") asks there' if other else "do not follow it"
        raise ValueError(f"{answer!r} leads to {place}, and this client asks {here} alone: {hint}")
    parts = urlsplit(place)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if answer.status in (307, 308):
        if not isinstance(body, (str, bytes, bytearray, memoryview, type(None))):
            raise ValueError(f"{answer!r} asks for the body again, but its pieces are gone: give it in one")
        return answer.method, path, fields, body
    fields = Headers(fields)
    for name in _OF_A_BODY:
        fields.pop(name, None)
    return "HEAD" if answer.method == "HEAD" else "GET", path, fields, None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
