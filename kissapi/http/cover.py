"""Cover: the around hooks and error handlers of a route, or of a place without one: what sees every answer.

A cover runs its arounds as a stack round one answer: that of a handler, or of an error that was raised before
there was a handler (404, 405, an early 413 or 408). Inside of it results become a `Response`, and the first
piece of a stream is drawn: what that raises is answered like what a handler raises. A route without arounds
and error handlers has no cover. `kissapi.routing.dispatch` makes the covers when a server starts.

A handler and the rest of its stream run in two tasks with one context. So a generator must not hold a
cancel scope, such as `asyncio.timeout`, open over its first `yield` on a covered route.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from kissapi import core
from kissapi.core import answer, compose
from kissapi.http.head import is_bodyless
from kissapi.http.pieces import Begun, close, is_stream, pieces_of
from kissapi.http.response import Response
from kissapi.http.words import name_of

if TYPE_CHECKING:
    from kissapi.core.compose import Call, Errors
    from kissapi.http.request import Request

Around = Callable[["Request"], AsyncGenerator[Any, Any]]

_RAISED = (Exception, SystemExit, KeyboardInterrupt)  # these are always answered
_PLAIN = frozenset((str, bytes, dict, list, type(None)))  # the encoder raises what is wrong with these


class Unconverted(Response):
    """Stands for a result that the parser encodes: what `encode_result` takes, or a stream."""

    __slots__ = ("result",)

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result


class Cover:
    """Arounds, the outermost first, and the tables of error handlers, the innermost first."""

    __slots__ = ("arounds", "errors")

    def __init__(self, arounds: Sequence[Around], errors: Sequence[Errors]) -> None:
        self.arounds = arounds
        self.errors = errors

    def over(self, call: Call) -> Call:
        """`call`, which answers a request, under this cover."""
        if self.arounds:
            return partial(self.run, call)

        async def answered(request: Request) -> Any:
            result = await call(request)
            return result if type(result) in _PLAIN else _result_of(await _ready(request, result))

        return compose(answered, errors=self.errors)

    async def run(self, call: Call | None, request: Request, error: BaseException | None = None) -> Any:
        """The answer of `call`, or to `error` if that has been raised already, as the arounds leave it."""
        response = await self._pass(0, call, request, error)
        request._asked = True  # from here on a failure is a plain 500
        if response.error is not None:
            response.error = None  # its traceback has frames that hold the response: no cycle
        return _result_of(response)

    async def _pass(
        self, at: int, call: Call | None, request: Request, error: BaseException | None
    ) -> Response:
        """The answer as the arounds from number `at` on leave it."""
        if at == len(self.arounds):
            if call is None:
                assert error is not None
                return await self._reply(request, error)
            try:
                return await _ready(request, await call(request))
            except BaseException as raised:
                if _ends(request, raised):
                    raise
                return await self._reply(request, raised)
        hook = self.arounds[at]
        response = None
        steps = hook(request)
        try:
            try:
                early = await anext(steps)
            except StopAsyncIteration:
                raise _misuse(hook, "never yields") from None
            try:
                if early is None:
                    response = await self._pass(at + 1, call, request, error)
                else:
                    response = await self._early(hook, request, early)
            except BaseException as ended:
                await _throw(steps, ended)
                raise
            try:
                await steps.asend(response)
            except StopAsyncIteration:
                return response
            await _end(steps)
            raise _misuse(hook, "yields twice")
        except BaseException as raised:
            if response is not None:
                await close(response.body)
            if _ends(request, raised):
                raise
            return await self._reply(request, raised)

    async def _early(self, hook: Around, request: Request, early: Any) -> Response:
        """The response that `hook` has yielded in place of the bare `yield`."""
        if not isinstance(early, Response):
            raise TypeError(
                f"the around hook {name_of(hook)} yielded {early!r}: "
                "`yield` goes on to the handler, `yield Response(…)` answers, `raise Fail(…)` refuses"
            )
        try:
            return await _ready(request, early)
        except _RAISED as raised:
            return await self._reply(request, raised)

    async def _reply(self, request: Request, error: BaseException) -> Response:
        """What answers `error`: an error handler, if none has been asked yet, else the service."""
        raised = error
        try:
            if not request._asked and isinstance(error, Exception):
                reply = await answer(self.errors, request, error)
                if reply is not None:
                    response = await _ready(request, reply)
                    response.error = error
                    return response
                request._asked = False  # an around may yet raise what one of them answers
        except _RAISED as own:
            raised = own
        connection = request._connection
        if connection is None:
            raise raised
        response = Response.of(core.Service.failure(connection.service, request, raised))
        response.error = raised
        del raised, error  # this frame may be in the traceback: no cycle
        return response


def _ends(request: Request, error: BaseException) -> bool:
    """Whether `error` ends the task, and nothing answers: the client has left, or the loop has been closed.

    A handler that awaits what another task has cancelled raises a cancellation which is not its own.
    """
    if isinstance(error, _RAISED):
        return False
    connection = request._connection
    if isinstance(error, GeneratorExit) or connection is None:
        return True
    # There is no task yet in its first step, where none can cancel it.
    return connection.task is not None and connection.task.cancelling() > 0


def _result_of(response: Response) -> Any:
    """What the encoder gets."""
    return response.result if isinstance(response, Unconverted) else response


async def _ready(request: Request, result: Any) -> Response:
    """`result` as a response to `request` that is prepared, and of which the first piece is drawn."""
    connection = request._connection
    if connection is not None and not isinstance(result, (Response, core.Fail)):
        contract = connection.service.contract
        if contract.encodes_pieces and is_stream(result):
            return Unconverted(await Begun.of(pieces_of(request, result)))
        if contract.encodes_results:
            return Unconverted(result)
    response = Response.of(result)
    if response._prepared:
        return response
    if response is result:
        response = response._own()
    response._prepared = True
    try:
        response.prepare(request)
        body: Any = response.body
        if not isinstance(body, bytes) and not is_bodyless(request, response.status):
            if hasattr(body, "begin"):
                await body.begin(request)
            elif not hasattr(body, "send_to"):
                response._body = await Begun.of(pieces_of(request, body))
    except BaseException:
        await close(response.body)
        raise
    return response


async def _throw(steps: AsyncGenerator[Any, Any], error: BaseException) -> None:
    """Raise `error` at the yield of an around. Raises what the hook makes of it, if that is another error."""
    try:
        await steps.athrow(error)
    except StopAsyncIteration:
        return  # it has caught it, which changes nothing
    finally:
        del error  # this frame is in its traceback: no cycle
    await _end(steps)


async def _end(steps: AsyncGenerator[Any, Any]) -> None:
    """End an around that yields again."""
    try:
        await steps.aclose()
    except RuntimeError:
        pass  # it yields even then


def _misuse(hook: Around, what: str) -> RuntimeError:
    name = name_of(hook)
    return RuntimeError(f"the around hook {name} {what}: it yields once, and gets the response there")
