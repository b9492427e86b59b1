"""Origins: the web pages whose scripts may open a WebSocket (RFC 6455 §10.2).

A browser tells the origin of a page, and sends the user's cookies along whatever the page is. Any other
client may leave the origin out, or make one up: this protects users, not the server.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from kissapi.core import Fail

if TYPE_CHECKING:
    from kissapi.http.request import Request

_USUAL_PORTS = {"http": ":80", "https": ":443"}


class Origins:
    """The pages of `origins`; None is those of the request's own host, "*" all.

    Raises `ValueError` for what is no origin.
    """

    def __init__(self, origins: Collection[str] | None) -> None:
        if isinstance(origins, str) and origins != "*":
            raise ValueError(f'origins is a list such as ["https://example.org"], or "*", not {origins!r}')
        self._any = origins == "*"
        self._own = origins is None
        self._listed = frozenset(map(_checked, () if self._own or self._any else origins or ()))

    def check(self, request: Request) -> None:
        """Raises `Fail(403)` for a request from a page that may not connect."""
        origin = request.headers.get("origin")
        if origin is None or self._any:
            return
        origin = _without_usual_port(origin.lower())
        if self._own:
            scheme, _, host = origin.partition("://")
            own = _without_usual_port(f"{scheme}://{request.headers.get('host', '').lower()}")
            allowed = bool(host) and origin == own
        else:
            allowed = origin in self._listed
        if not allowed:
            raise Fail(
                403,
                f"Forbidden: a page of {origin!r} may not connect here. "
                "To let it: @router.websocket(path, origins=[…])",
            )


def _without_usual_port(origin: str) -> str:
    return origin.removesuffix(_USUAL_PORTS.get(origin.partition("://")[0], ":"))


def _checked(origin: str) -> str:
    if not isinstance(origin, str) or (origin != "null" and not _is_origin(origin)):
        raise ValueError(
            f'an origin is a scheme, a host, perhaps a port: "https://example.org", not {origin!r}'
        )
    return _without_usual_port(origin.lower())


def _is_origin(text: str) -> bool:
    scheme, _, host = text.partition("://")
    return bool(scheme) and bool(host) and "/" not in host and "*" not in host
