"""Sockets: one WebSocket of an ASGI app (ASGI WebSocket 2.5).

Frames, pings, limits and back-pressure are those of `kissapi.extras.websocket`; here are the events. The app
runs in a task of its own from the handshake on. What it sends first, `accept`, `close` or an answer in HTTP,
is the answer to the handshake; once accepted, the handler of the WebSocket waits for the end of the app.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kissapi.backends.awaitables import running_loop
from kissapi.core import Fail
from kissapi.extras.asgi.inward.answer import Answer, ClientGone
from kissapi.extras.asgi.inward.bell import Bell
from kissapi.extras.asgi.inward.exchange import is_of_leaving
from kissapi.extras.websocket import BROKEN, NORMAL, Closed, WebSocket
from kissapi.extras.websocket.handshake import agree
from kissapi.extras.websocket.upgrade import Accepted

if TYPE_CHECKING:
    from kissapi.extras.websocket.handshake import Terms
    from kissapi.http.response import Response

_FORBIDDEN: tuple[dict[str, Any], ...] = (
    {"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]},
    {"type": "http.response.body", "body": b"Forbidden"},
)
_HTTP = "websocket.http.response."


class Socket(Bell):
    """One WebSocket of an app; `request` is the handshake."""

    def __init__(self, request: Any) -> None:
        super().__init__()
        self._request = request
        # The fields of the 101, once the app has accepted.
        self._accepted: list[tuple[bytes, bytes]] | None = None
        self._denial: Answer | None = None  # an answer in HTTP in place of the 101
        self._told = False  # whether the app knows that there is a client
        self._gone = False  # whether there will be no WebSocket any more
        self._ended = False
        self._error: BaseException | None = None  # that the app has ended with, until it is raised
        self._subprotocol: str | None = None
        self._task: Any = None
        self._ws: WebSocket | None = None  # once the 101 is out

    async def answer(self, terms: Terms, app: Any, scope: dict[str, Any]) -> Response:
        """What `app` answers to the handshake. Raises what it raises before, and what `agree` raises."""
        agreed = agree(terms, self._request)
        connection = self._request._connection
        self._task = running_loop().create_task(self._live(app, scope))
        connection.service.background.add(self._task)
        self._task.add_done_callback(connection.service.background.discard)
        self._request.on_end(self._request_ended)
        connection.on_eof += (self._leave,)
        connection.on_stop += (self._leave,)
        try:
            while self._accepted is None and not (self._ended or self._gone or self._is_denied()):
                await self.change()
        finally:
            connection.forget(self._leave)
        if self._denial is not None and self._is_denied():
            return self._denial.response()
        if self._accepted is None:
            self._raise()
            if self._gone:
                raise Fail(503)
            raise RuntimeError("the app has ended, and has neither accepted nor closed the WebSocket")
        response = Accepted(self._serve, (), terms, agreed._replace(subprotocol=self._subprotocol))
        for name, value in self._accepted:
            response.headers.add(name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
        if self._subprotocol is not None:
            response.headers["sec-websocket-protocol"] = self._subprotocol
        return response

    def _is_denied(self) -> bool:
        return self._denial is not None and (self._denial.begun or self._denial.complete)

    async def _live(self, app: Any, scope: dict[str, Any]) -> None:
        try:
            await app(scope, self.receive, self.send)
        except Exception as error:
            if not (self._gone or self._is_denied()):
                self._error = error
            elif not is_of_leaving(error):
                self._request._connection.service.report(self._request, error)
        finally:
            self._ended = True
            if self._denial is not None and not self._denial.complete:
                self._denial.fail(RuntimeError("the app has ended, and has not completed its answer"))
            self.changed()

    async def _serve(self, ws: WebSocket) -> None:
        """The handler of the WebSocket: it ends with the app."""
        self._ws = ws
        self.changed()
        try:
            while not self._ended:
                await self.change()
        except BaseException:
            self._task.cancel()
            raise
        self._raise()

    def _raise(self) -> None:
        """Raise what the app has raised, unless it is there because the client has left."""
        error, self._error = self._error, None
        try:
            if error is not None and not is_of_leaving(error):
                raise error
        finally:
            del error  # its traceback has this frame: no cycle

    def _request_ended(self, outcome: str, size: int) -> None:
        self._leave()

    def _leave(self) -> None:
        """The client has left, or has got another answer."""
        self._gone = self._gone or self._ws is None
        self.changed()

    # The app's side

    async def receive(self) -> dict[str, Any]:
        """The next event for the app: that there is a client, its messages, its end."""
        if not self._told:
            self._told = True
            return {"type": "websocket.connect"}
        while self._ws is None and not self._gone and not self._is_denied():
            await self.change()
        ws = self._ws
        if ws is None:
            return {"type": "websocket.disconnect", "code": BROKEN}
        try:
            message = await ws.receive()
        except Closed:
            return {"type": "websocket.disconnect", "code": ws.close_code, "reason": ws.close_reason}
        return {"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message}

    async def send(self, message: Any) -> None:
        """Take an event of the app. Raises `ClientGone`; `RuntimeError`, `ValueError` for what is wrong."""
        kind = message["type"]
        if self._gone:
            raise ClientGone("the client has left")
        if self._ws is not None and kind in ("websocket.send", "websocket.close"):
            await self._send_by(self._ws, kind, message)
        elif self._accepted is None and self._denial is None and kind == "websocket.accept":
            self._subprotocol = message.get("subprotocol")
            self._accepted = list(message.get("headers") or ())
            self.changed()
            while self._ws is None and not self._gone:  # nothing may overtake the 101
                await self.change()
            if self._gone:
                raise ClientGone("the client has left")
        elif self._accepted is None and self._denial is None and kind == "websocket.close":
            for event in _FORBIDDEN:
                await self._deny(event)
        elif self._accepted is None and kind.startswith(_HTTP):
            await self._deny({**message, "type": kind.removeprefix("websocket.")})
        else:
            state = "accepted" if self._accepted is not None else "denied" if self._denial else "not accepted"
            raise RuntimeError(f"{kind!r} cannot be sent: the WebSocket is {state}")

    async def _deny(self, event: dict[str, Any]) -> None:
        if self._denial is None:
            self._denial = Answer(self._request)
            self._denial.add_done_callback(lambda _: self.changed())
        await self._denial.send(event)

    async def _send_by(self, ws: WebSocket, kind: str, message: Any) -> None:
        try:
            if kind == "websocket.close":
                await ws.close(message.get("code") or NORMAL, message.get("reason") or "")
            else:
                text = message.get("text")
                await ws.send(message["bytes"] if text is None else text)
        except Closed as closed:
            raise ClientGone(str(closed)) from None
