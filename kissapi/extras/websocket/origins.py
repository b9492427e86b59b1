"""Origins: the web pages whose scripts may open a WebSocket (RFC 6455 §10.2).

A browser sends the user's cookies along, whatever the page is; see `kissapi.http.origin`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from kissapi.core import Fail
from kissapi.http.origin import is_own, origin_list, shown, spelled

if TYPE_CHECKING:
    from kissapi.http.request import Request


class Origins:
    """The pages of `origins`; None is those of the request's own host, "*" all.

    Raises `ValueError` for what is no origin.
    """

    def __init__(self, origins: Collection[str] | None) -> None:
        self._any = origins == "*"
        self._listed = None if self._any or origins is None else origin_list(origins)

    def check(self, request: Request) -> None:
        """Raises `Fail(403)` for a request from a page that may not connect."""
        origin = request.headers.get("origin")
        if origin is None or self._any:
            return
        origin = spelled(origin)
        if is_own(request, origin) if self._listed is None else origin in self._listed:
            return
        raise Fail(
            403,
            f"Forbidden: a page of {shown(origin)} may not connect here. "
            "To let it: @router.websocket(path, origins=[…])",
        )
