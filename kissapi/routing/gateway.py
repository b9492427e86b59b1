"""Gateway: a router that gives all requests to one handler, which is an app of another interface.

    router["/legacy"] = gateway(answer)

Whatever the method is, and whatever follows the prefix, the handler gets the request. `root_path` tells where
the router is mounted, `raw_path` what the client has sent: dispatch keeps the one spelling of a path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kissapi.http import uri
from kissapi.routing.route import ANY
from kissapi.routing.router import Router

if TYPE_CHECKING:
    from kissapi.http.request import Request
    from kissapi.routing.route import Route


def gateway(handler: Callable[[Any], Any], *, stream: bool = False, max_body: int | None = None) -> Router:
    """A router that gives every request to `handler`; `stream` and `max_body` are those of `Router.route`."""
    router = Router()
    router.add_route(ANY, "/{rest:path}", handler, stream=stream, max_body=max_body, hidden=True)
    return router


def root_path(request: Request) -> str:
    """Where the router of the route of `request` is mounted, decoded: "/legacy"; "" for the root.

    A prefix with parameters is given as the client has filled them in.
    """
    root: str | None = request.route.root
    if root is None:
        segments = request.path.split("/")
        root = uri.decode_segment("/".join(segments[: request.route.route.mounted + 1]))
    return root


def root_of(route: Route) -> str | None:
    """The `root_path` of all requests for `route`; None if the prefix has parameters."""
    if any(segment.kind != "literal" for segment in route.prefix):
        return None
    return "".join(f"/{uri.decode_segment(segment.text)}" for segment in route.prefix)


def raw_path(request: Request) -> bytes:
    """The path as the client has sent it, without the query; `request.path` is its canonical spelling."""
    head, start = request._head, len(request.method) + 1
    usual = request.path.encode()
    # Up to its first escape a path is what was sent, so what stands there in full had none to decode.
    if "%" not in request.path and head.startswith(usual, start):
        return usual
    target = head[start : head.find(b" ", start)].partition(b"?")[0]
    if target.startswith(b"/") or target == b"*":
        return target
    return b"/" + target.partition(b"://")[2].partition(b"/")[2]  # of a whole URL
