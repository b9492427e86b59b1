"""Asked: one handler and one request of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kissapi import Request, Router
from kissapi.extras.testing import Client
from kissapi.routing.signature import NOTHING


def asked(handler: Callable[..., Any], target: str = "/", path: str = "/", **options: Any) -> Any:
    """The answer to one request of `handler` on `path`."""
    router = Router()
    method = options.pop("method", "GET")
    router.add_route(method, path, handler)
    return Client(router).request(method, target, **options)


def given(kind: Any, default: Any = NOTHING) -> Callable[..., Any]:
    """A handler with one argument of that type."""

    def handler(req: Request, value: Any) -> str:
        return repr(value)

    handler.__annotations__ = {"value": kind}
    handler.__defaults__ = None if default is NOTHING else (default,)
    return handler
