"""Exchange: one scope at work: a request and its answer, or a WebSocket from its handshake to its end.

`run` is the task that the server has made: it calls the handler, and sends what comes to be in `out`. A task
of its own listens, for a body and for the client's end, but only while an answer is not there at once.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from kissapi.backends.awaitables import sleep
from kissapi.core import BUSY
from kissapi.extras.asgi.outward.request import HEAD, ScopeParser, has_body, read_scope
from kissapi.extras.asgi.outward.transport import ENOUGH, Message, Transport

EAGER = sys.version_info >= (3, 12)  # a task has taken its first step when it is made


class Cut(Exception):
    """An answer was cut short; the log of the app says why. Raised so that the server ends the connection."""


class Exchange(Transport):
    """One scope at work."""

    async def run(self) -> None:
        """Answer. Raises `Cut` for an answer that cannot be completed."""
        if has_body(self.scope):
            await self._converse(self._open)
        elif await self._call():
            try:
                for message in self.out:
                    await self._send(message)
            except OSError:
                pass  # the client has left
            finally:
                self.ended = True
                connection, self.protocol = self.protocol, None  # no cycle
                if self.due:
                    self.service.flushed(connection, self.service.clock())
        else:
            await self._converse(self._wait)
        while self.tasks:
            tasks, self.tasks = self.tasks, ()
            await asyncio.wait(tasks)

    async def _converse(self, begin: Callable[[], None]) -> None:
        """Send messages as they come, to the end of the answer or of the WebSocket."""
        self._task = asyncio.current_task()
        try:
            begin()
            while self.out or not self.ended:
                if self.out:
                    await self._send_out()
                else:
                    self._waiter = self.service.loop.create_future()
                    await self._waiter
        except OSError:
            pass  # the client has left
        except asyncio.CancelledError:
            if not self._aborted:
                self.protocol.abort_reason = "stopped"
                raise
            self._task.uncancel()
        finally:
            protocol = self._end()
        if self._aborted:
            raise Cut("the answer was cut short; the log of the app says why")
        if self.frames is not None:
            await sleep(0)  # its handler may be about to start
            if protocol.handler.task is not None:
                self.tasks += (protocol.handler.task,)

    def _open(self) -> None:
        """Have the connection read a request that comes in several messages."""
        protocol = self.protocol
        protocol.parser = ScopeParser(None, self.scope, self.service.dispatch.max_body)
        protocol.connection_made(self)
        if self.scope["type"] == "http":
            protocol.data_received(HEAD)
        self._listen()

    async def _call(self) -> bool:
        """Call the handler of a request that is here whole. Gives whether its answer is in `out` already.

        That is what `data_received` of the core does, without the life of a connection around it, which would
        be half of the time that a GET takes. If there is more to come, `_wait` is next.
        """
        service, connection = self.service, self.protocol
        request = connection.request = service.make_request()
        request._connection = connection
        start = connection.received_at = service.clock()
        connection.close_after = True
        try:
            read_scope(self.scope, request)
            connection.context = service.context.copy()
            task = service.spawn(service.handle(request), connection.context)
        except BaseException as error:
            result = service.failure(request, error)
        else:
            if not EAGER:  # let it take its first step: then most handlers are done
                try:
                    await asyncio.sleep(0)
                except asyncio.CancelledError:
                    self._give_up(task)
                    raise
            if not task.done():
                connection.become(BUSY)
                connection.wait_for(task)
                return False
            try:
                result = task.result()
            except BaseException as error:
                task = None  # no cycle: the task has the error, and its traceback has this frame
                result = service.failure(request, error)
        connection.request = None
        connection.answer(request, result)
        if connection.state is BUSY:
            return False  # a sender answers
        connection.flush(b"")
        if connection.since - start > service.slow:
            service.warn_slow(request, connection.since - start)
        return True

    def _give_up(self, task: Any) -> None:
        """The server ends this before the handler, `task`, has begun."""
        connection = self.protocol
        connection.become(BUSY)
        connection.connection_made(self)
        connection.wait_for(task)
        connection.abort_reason = "stopped"
        self._end()

    def _wait(self) -> None:
        """The handler goes on, or a sender is about to start."""
        connection = self.protocol
        connection.connection_made(self)
        if connection.sender is not None:
            connection.flush(b"")
        # In the next turn: most handlers are done then.
        self.service.loop.call_soon(self._listen)

    async def _send_out(self) -> None:
        out, self.out = self.out, []
        size = self._unsent
        self._sending = True
        for message in out:
            await self._send(message)
        self._sending = False
        self._unsent -= size
        if self.due and not self.out:
            self.due = False
            self.service.flushed(self.protocol, self.service.clock())
        if self._unsent < ENOUGH and not self.protocol.writable:
            self.protocol.resume_writing()

    def _end(self) -> Any:
        """All is sent, or the client has left, or the server ends this. Gives the connection that was."""
        protocol, listener = self.protocol, self._listener
        self.ended = True
        self._task = self._waiter = self._listener = self.protocol = None  # no cycle
        if protocol in self.service.connections:
            if protocol.task is not None:
                self.tasks += (protocol.task,)
            protocol.connection_lost(None)
        if self.due:
            self.service.flushed(protocol, self.service.clock())
        self.out.clear()
        if listener is not None and not listener.done():
            listener.cancel()
        return protocol

    # What comes in

    def _listen(self) -> None:
        if not self.ended:
            self._listener = self.service.spawn(self._take_messages())

    async def _take_messages(self) -> None:
        try:
            while not self.ended:
                if not self._reading:
                    self._readable = self.service.loop.create_future()
                    await self._readable
                message = await self._receive()
                if not self.ended:
                    self._take(message)
        except OSError:
            self.lose()
        except Exception as error:
            self.service.log.error(f"the {self.scope['type']} messages of the ASGI server break off", error)
            self.abort()

    def _take(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.request":
            parser = self.protocol.parser
            if parser is None or parser.finished:
                return  # there is no body, or it has been refused
            parser.last = not message.get("more_body", False)
            body = message.get("body", b"")
            if body or parser.last:
                self.protocol.data_received(body)
        elif kind == "websocket.connect":
            self.protocol.data_received(HEAD)
        elif self.frames is not None:
            self.frames.take(message)
        else:
            self.lose()
