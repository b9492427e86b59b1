"""Service: what one event loop serves under an ASGI server. It answers by messages in place of bytes.

All of `kissapi.http.service` holds: covers, limits, errors, the tick with its deadlines, the drain. A
connection is made for each request, with an `Exchange` as its transport, and closes after its answer.
"""

from __future__ import annotations

from typing import Any

from kissapi.backends.threads import copy_context
from kissapi.extras.asgi.outward.answer import encode
from kissapi.extras.asgi.outward.request import ScopeParser, scoped_request_class
from kissapi.http import service as http

_MISSING = object()


class Service(http.Service):
    """The service of one loop; `fields` are those of `Server(headers=…)` as ASGI has them."""

    def __init__(self, *, request_class: Any, parser_class: Any, **given: Any) -> None:
        self._before = copy_context()
        super().__init__(request_class=scoped_request_class(request_class), parser_class=ScopeParser, **given)
        self.encode = encode  # type: ignore[method-assign]
        lines = self.headers.lines.split(b"\r\n")[1:]
        self.fields = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines)]

    def begin_with(self, context: Any) -> None:
        super().begin_with(context)
        self.context = Inherited(self.context, self._before)

    def flushed(self, connection: Any, now: float) -> None:
        exchange = connection.transport
        if exchange.out and not exchange.ended:
            exchange.due = True  # the answer is not sent yet; `Exchange.run` calls this again
        else:
            super().flushed(connection, now)

    def run_after(self, request: Any, function: Any, arguments: Any, context: Any) -> Any:
        task = super().run_after(request, function, arguments, context)
        if not task.done():
            request._connection.transport.tasks += (task,)
        return task


class Inherited:
    """What each request begins with: the context of its caller, and in it what the start of the app has set.

    Middleware around the app keeps spans and the like in context variables: a handler sees those, too.
    """

    def __init__(self, context: Any, before: Any) -> None:
        self._variables = [
            (variable, value)
            for variable, value in context.items()
            if before.get(variable, _MISSING) is not value
        ]

    def copy(self) -> Any:
        """A context for one request."""
        context = copy_context()
        context.run(self._set)
        return context

    def _set(self) -> None:
        for variable, value in self._variables:
            variable.set(value)
