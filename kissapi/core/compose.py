"""Hooks: before hooks, handler, after hooks and error handlers, composed once into one coroutine function.

Without hooks and error handlers that function is the handler itself: what a route does not use costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from kissapi.core.fail import Fail
from kissapi.core.message import Request, Response

Call = Callable[..., Coroutine[Any, Any, Any]]
Errors = Mapping[Any, Call]  # what answers a status, or a class of exceptions


def compose(
    call: Call,
    before: Sequence[Callable[..., Any]] = (),
    after: Sequence[Callable[..., Any]] = (),
    errors: Sequence[Errors] = (),
) -> Call:
    """One coroutine function that runs `before`, `call` and `after`; `errors` answer what they raise.

    A before hook returns None, or the request itself, to go on. A `Response` or a `Fail` answers in place of
    the handler, and no after hook runs. An after hook gets (request, result) and returns the new result; None
    leaves it unchanged. Hooks run on the loop, sync or async. An exception skips the rest and goes to
    `errors`, the tables of the routers from the innermost out; see `answer`.
    """
    if not before and not after and not errors:
        return call

    async def composed(request: Request) -> Any:
        try:
            for hook in before:
                outcome = hook(request)
                if hasattr(outcome, "__await__"):
                    outcome = await outcome
                if outcome is not None and outcome is not request:
                    return _answer_of(hook, outcome)
            result = await call(request)
            for hook in after:
                outcome = hook(request, result)
                if hasattr(outcome, "__await__"):
                    outcome = await outcome
                if outcome is not None:
                    result = outcome
            return result
        except Exception as error:
            reply = await answer(errors, request, error)
            if reply is None:
                raise
            return reply

    return composed


def _answer_of(hook: Callable[..., Any], outcome: Any) -> Response:
    """What a before hook answers. A `Fail` is raised, so that error handlers see it."""
    if isinstance(outcome, Fail):
        raise outcome
    if not isinstance(outcome, Response):
        raise TypeError(
            f"the before hook {getattr(hook, '__qualname__', hook)} returned {outcome!r}: "
            "None goes on to the handler, a Response or a Fail answers"
        )
    return outcome


async def answer(errors: Sequence[Errors], request: Request, error: Exception) -> Any:
    """What the innermost router with a handler for `error` answers: a response or a `Fail`; else None.

    Within a router, the handler for the status of a `Fail` comes first, then the handler for the nearest
    class of the error, then the handler for 500. An exception that only a handler for 500 or `Exception`
    answers is a bug, so it is reported as well. Error handlers are asked once per request: what they raise
    themselves they do not answer.
    """
    request._asked = bool(errors)
    status = error.status if isinstance(error, Fail) else 500
    ways = [status, *type(error).__mro__] if isinstance(error, Fail) else [*type(error).__mro__, 500]
    for table in errors:
        what: Any = next((way for way in ways if way in table), None)
        if what is not None:
            if what in (500, Exception) and not isinstance(error, Fail) and request._connection is not None:
                request._connection.service.report(request, error)
            result = await table[what](request, error)
            if isinstance(result, (Response, Fail)):
                return result
            # The headers of the error stay: the challenge of a 401, the Allow of a 405.
            headers = (error.headers or {}) if isinstance(error, Fail) else {}
            kept = {name: headers[name] for name in headers if name.lower() != "content-type"}
            return Fail(status, result, kept)
    return None
