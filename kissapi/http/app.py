"""App: the namespace of an app in one event loop: what the start has opened, for all requests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class App(SimpleNamespace):
    """What `on_start` and `lifespan` get, and `req.app`: `app.pool = await connect()`.

    Each event loop of a server has its own, so that what belongs to a loop stays there. What is not there is
    an `AttributeError` that says what to do.
    """

    __slots__ = ("_connections",)  # of that loop; nothing that the app has opened, so it is not shown

    _connections: set[Any]

    def __getattr__(self, name: str) -> Any:
        there = ", ".join(sorted(self.__dict__)) or "nothing"
        raise AttributeError(
            f"the app has no {name!r}; it has {there}. Set it when the app starts: "
            f"@router.on_start async def start(app): app.{name} = … (in tests: with Client(app) as client:)",
            name=name,
            obj=self,
        )


class OfApp:
    """The default of `Request.app`: that of the loop which serves the request."""

    def __get__(self, request: Any, owner: type) -> Any:
        if request is None:
            return self
        if request._connection is None:
            raise RuntimeError(
                "this request did not come over a connection, so it has no app: "
                f"{type(request).__name__}(app=kissapi.App(…))"
            )
        return request._connection.service.app
