"""WebSocket (RFC 6455): messages both ways over one connection, for as long as both want. It needs wsproto.

    @router.websocket("/echo")
    async def echo(ws: WebSocket):
        async for message in ws:
            await ws.send(message)

Here is what handlers use; what goes on below is in `websocket_session.py`, the way in in
`websocket_handshake.py`.

Law: however it ends, what came before is still handed to the handler, then its loop ends and `send` raises
`Closed`. So `finally`, and what stands behind the loop, run as usual. From when the connection is gone the
handler has `shutdown_timeout` to end; then it is cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any

try:
    import wsproto  # noqa: F401  # here, for the sake of the message
except ImportError as error:
    raise ImportError("a WebSocket needs wsproto: pip install 'kissapi[websocket]'") from error

from kissapi.extras.websocket_handshake import Agreed, Terms
from kissapi.extras.websocket_session import BROKEN, GOING_AWAY, NO_CODE, NORMAL, Closed, Session, event_of
from kissapi.handlers import as_coroutine_function
from kissapi.response import Upgrade

if TYPE_CHECKING:
    from kissapi.request import Request

__all__ = ["BROKEN", "GOING_AWAY", "NORMAL", "NO_CODE", "Closed", "WebSocket", "broadcast", "upgrader"]

Message = str | bytes | bytearray | memoryview
Handler = Callable[["WebSocket"], Coroutine[Any, Any, Any]]

MAX_PING = 125  # bytes in a ping (RFC 6455 §5.5) …
MAX_REASON = 123  # … and in a reason, beside its code
_MAY_CLOSE_WITH = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014))


class WebSocket:
    """One client, as a handler gets it.

    `request` is the one it came with: its path, params, headers and cookies, and what before hooks have put
    in its `state`. `subprotocol` is the one that was agreed on, or None.
    """

    __slots__ = ("_session", "request", "subprotocol")

    def __init__(self, request: Request, subprotocol: str | None, session: Session) -> None:
        self.request = request
        self.subprotocol = subprotocol
        self._session = session

    def __repr__(self) -> str:
        return f"<WebSocket {self.request.path} {f'closed: {self.close_code}' if self.closed else 'open'}>"

    @property
    def closed(self) -> bool:
        """Whether it has ended: nothing more can be sent."""
        return self._session.close_code is not None

    @property
    def close_code(self) -> int | None:
        """Why it has ended, as the side has said that ended it; None while it is open.

        1000: all is done; 1001: the page is left, or the server stops; 1005: no code was given; 1006: the
        connection broke; 4000 to 4999: what apps agree on. The rest is in RFC 6455 §7.4.
        """
        return self._session.close_code

    @property
    def close_reason(self) -> str:
        """What was said besides the code; mostly nothing."""
        return self._session.close_reason

    @property
    def latency(self) -> float | None:
        """Seconds from the last ping that was answered to its answer; None before there was one."""
        return self._session.latency

    def __aiter__(self) -> WebSocket:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self._session.receive()
        except Closed:
            raise StopAsyncIteration from None

    async def receive(self) -> str | bytes:
        """The next message: a `str` if it was sent as text, else `bytes`.

        `async for message in ws` is the same in a loop, and ends where this raises `Closed`: when there will
        be no more. Raises `RuntimeError` if another task waits for a message already.
        """
        return await self._session.receive()

    async def send(self, message: Message) -> None:
        """Send a message: a `str` goes as text, bytes go as binary.

        It waits while the client does not take what was sent before. Several tasks may send at a time.
        Raises `Closed` if the WebSocket has ended, `TypeError` for any other kind of message, `RuntimeError`
        in another event loop than its own: `broadcast` reaches it from there.
        """
        await self._session.send(event_of(_checked(message)))

    async def ping(self, payload: bytes = b"") -> None:
        """Send a ping of at most 125 bytes; once it is answered, `latency` tells how long that took.

        Pings that find out who has gone need not be sent: they go by themselves. Raises `Closed` if the
        WebSocket has ended, `ValueError` for a payload that is too long.
        """
        if len(payload) > MAX_PING:
            raise ValueError(f"a ping may carry {MAX_PING} bytes, not {len(payload)} (RFC 6455 §5.5)")
        await self._session.ping(bytes(payload))

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """End it, with a code (4000 to 4999 are yours) and at most 123 bytes of reason.

        It does not wait for the client: the connection ends when that has answered, or `linger_timeout`
        later. What has ended stays as it is. Raises `ValueError` for a code that a server may not send.
        """
        if code not in _MAY_CLOSE_WITH and not 3000 <= code <= 4999:
            raise ValueError(f"a server closes with 1000, 1001 … or with 3000 to 4999, not {code!r}")
        size = len(reason.encode())
        if size > MAX_REASON:
            raise ValueError(f"a reason may have {MAX_REASON} bytes, not {size} (RFC 6455 §5.5)")
        self._session.in_its_loop(self._session.close, code, reason)


def broadcast(sockets: Iterable[WebSocket], message: Message) -> None:
    """Send a message to many, and wait for none of them: one that is slow holds up nobody.

    Who has left is passed over. Who is so far behind that more than `max_message` bytes wait to be taken is
    cut off: the other ways are memory without end, and gaps in what is told. It may be called in any thread.
    Raises `TypeError` for what is no message.

        broadcast(clients, f"{name} has come")
    """
    event = event_of(_checked(message))
    # A set that another loop changes meanwhile cannot be walked, but it can be copied.
    for ws in sockets.copy() if isinstance(sockets, set) else tuple(sockets):
        ws._session.in_its_loop(ws._session.push, event)


def _checked(message: Message) -> str | bytes:
    if isinstance(message, (str, bytes)):
        return message
    if isinstance(message, (bytearray, memoryview)):
        return bytes(message)
    raise TypeError(f"a message is str or bytes, not {type(message).__name__}; json.dumps makes a str of it")


class Accepted(Upgrade):
    """The answer to a handshake: the handler of the WebSocket, and its terms."""

    __slots__ = ("agreed", "handler", "terms")

    def __init__(self, handler: Handler, terms: Terms, agreed: Agreed) -> None:
        super().__init__("websocket", None, agreed.headers)
        self.handler = handler
        self.terms = terms
        self.agreed = agreed

    def successor(self, connection: Any) -> Session:
        session = Session(connection, self.terms, self.agreed.payloads)
        session.serve = partial(self.handler, WebSocket(session.origin, self.agreed.subprotocol, session))
        return session


def upgrader(**settings: Any) -> Callable[[Handler], Callable[[Request], Coroutine[Any, Any, Upgrade]]]:
    """What makes a handler of GET out of one for WebSockets; the settings are those of `Router.websocket`."""
    terms = Terms(**settings)

    def make(handler: Handler) -> Callable[[Request], Coroutine[Any, Any, Upgrade]]:
        if not callable(handler) or as_coroutine_function(handler) is not handler:
            raise TypeError(f"the handler of a WebSocket is an `async def`, not {handler!r}")

        async def upgrade(request: Request) -> Upgrade:
            return Accepted(handler, terms, terms.agree(request))

        update_wrapper(upgrade, handler)
        vars(upgrade)["_websocket"] = handler  # which gets a WebSocket, where `upgrade` gets a request
        return upgrade

    return make
