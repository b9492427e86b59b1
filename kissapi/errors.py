"""Errors: what routers answer in place of what their handlers and hooks raise.

Law: the innermost router that has an answer gives it; of its own, that for the status first, then that for
the nearest class of the error. What nobody answers goes on as it was raised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kissapi.fail import Fail
from kissapi.hooks import Call, Handler, as_coroutine_function
from kissapi.response import Response

if TYPE_CHECKING:
    from kissapi.request import Request

Table = Mapping[int | type[Exception], Handler]


def answer_errors(call: Call, tables: Sequence[Table]) -> Call:
    """`call`, with what it raises answered from `tables`, which come from the innermost router out."""
    answers = [{what: as_coroutine_function(handler) for what, handler in table.items()} for table in tables]

    async def answered(request: Request) -> Any:
        try:
            return await call(request)
        except Exception as error:
            status = error.status if isinstance(error, Fail) else 500
            for table in answers:
                what = _nearest(table, error, status)
                if what is not None:
                    break
            else:
                raise
            if what in (500, Exception) and request._connection is not None and not isinstance(error, Fail):
                request._connection.service.failure(request, error)  # a mistake is logged, whoever answers it
            result = await table[what](request, error)
            return result if isinstance(result, (Response, Fail)) else Response(result, status)

    return answered


def _nearest(table: Mapping[Any, Call], error: Exception, status: int) -> int | type[Exception] | None:
    if isinstance(error, Fail) and status in table:
        return status
    for kind in type(error).__mro__:
        if kind in table:
            return kind
    return status if status in table else None
