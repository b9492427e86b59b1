"""Upgrade: the handler of a GET that makes a WebSocket of its connection."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any

from kissapi.backends.handlers import as_coroutine_function
from kissapi.extras.websocket.handler_task import HandlerTask
from kissapi.extras.websocket.handshake import Agreed, Terms, agree
from kissapi.extras.websocket.session import Session
from kissapi.extras.websocket.websocket import WebSocket
from kissapi.http.upgrade import Upgrade

if TYPE_CHECKING:
    from kissapi.http.request import Request

Handler = Callable[..., Coroutine[Any, Any, Any]]  # of a WebSocket, and of the arguments that it names


class Accepted(Upgrade):
    """The answer to a handshake: 101, then `handler` runs with a WebSocket."""

    __slots__ = ("agreed", "arguments", "handler", "terms")

    def __init__(self, handler: Handler, arguments: tuple[Any, ...], terms: Terms, agreed: Agreed) -> None:
        super().__init__("websocket", None, agreed.headers)
        self.handler = handler
        self.arguments = arguments  # those that it names, from the handshake
        self.terms = terms
        self.agreed = agreed

    def successor(self, connection: Any) -> Session:
        request = connection.request

        def serve(session: Session) -> Coroutine[Any, Any, Any]:
            return self.handler(WebSocket(request, self.agreed.subprotocol, session), *self.arguments)

        handler = HandlerTask(connection.service, request, serve)
        return Session(connection, self.terms, self.agreed.deflate, handler)


def upgrader(**settings: Any) -> Callable[[Handler], Callable[..., Coroutine[Any, Any, Upgrade]]]:
    """A decorator that makes a GET handler of a WebSocket handler; `settings` as in `Router.websocket`.

    Raises `ValueError` for a setting that makes no sense; the decorator raises `TypeError` for a handler that
    is no `async def`.
    """
    terms = Terms(**settings)

    def make(handler: Handler) -> Callable[..., Coroutine[Any, Any, Upgrade]]:
        if not callable(handler) or as_coroutine_function(handler) is not handler:
            raise TypeError(f"the handler of a WebSocket is an `async def`, not {handler!r}")

        async def upgrade(request: Request, *arguments: Any, **named: Any) -> Upgrade:
            bound = partial(handler, **named) if named else handler
            return Accepted(bound, arguments, terms, agree(terms, request))

        update_wrapper(upgrade, handler)
        vars(upgrade)["_websocket"] = handler  # it takes a WebSocket, where `upgrade` takes a request
        return upgrade

    return make
