"""Origin: the scheme, host and port of the page that a browser asks for (RFC 6454).

A browser tells the origin of a page and sends the user's cookies along, whatever the page is. Any other
client may leave the origin out, or make one up: to look at it protects users, not the server. Origins are
compared in one spelling: lower case, without the usual port. What WebSocket, CORS and CSRF ask is here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kissapi.http.authority import USUAL_PORTS, is_authority
from kissapi.http.words import cut

if TYPE_CHECKING:
    from kissapi.http.request import Request

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")  # RFC 3986 §3.1


def spelled(origin: str) -> str:
    """The usual spelling of an origin that a client has sent, whatever it is.

    >>> spelled("HTTPS://Shop.example:443")
    'https://shop.example'
    """
    if not origin.isascii():
        return origin  # lower() makes a k of the Kelvin sign, and an origin that is listed of one that is not
    origin = origin.lower()
    return origin.removesuffix(":" + USUAL_PORTS.get(origin.partition("://")[0], ""))


def is_origin(text: str) -> bool:
    """Whether `text` is a scheme, a host, perhaps a port, and nothing else; `null` is none.

    >>> is_origin("https://[::1]:8000"), is_origin("https://shop.example/")
    (True, False)
    """
    scheme, _, host = text.partition("://")
    return _SCHEME.fullmatch(scheme) is not None and "*" not in host and is_authority(host)


def origin_list(origins: Iterable[str]) -> frozenset[str]:
    """The origins that an app lists, in the usual spelling. Raises `ValueError`, which says what to write."""
    if isinstance(origins, str):
        raise ValueError(f'origins is a list such as ["https://example.org"], or "*", not {origins!r}')
    listed = tuple(origins)  # it may be a generator
    for origin in listed:
        if not isinstance(origin, str) or (origin != "null" and not is_origin(origin)):
            raise ValueError(
                'an origin is a scheme, a host, perhaps a port: "https://example.org", '
                f"a host beyond ASCII as browsers send it (xn--…); not {origin!r}"
            )
    return frozenset(map(spelled, listed))


def is_own(request: Request, origin: str) -> bool:
    """Whether `origin`, in the usual spelling, is that of the host the request is for.

    The port counts. The scheme counts over https alone: behind a proxy that is not in `trusted_proxies`, the
    requests of a page of https come by http.
    """
    scheme, _, host = origin.partition("://")
    if not host or (request.scheme == "https" and scheme != "https"):
        return False
    return origin == spelled(f"{scheme}://{request.headers.get('host', '')}")


def shown(origin: Any) -> str:
    """`origin` for a message."""
    return cut(repr(origin), 80)
