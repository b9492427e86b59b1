"""Invalid: the answer to arguments that are missing or wrong, as problem details (RFC 9457).

{"title": "Unprocessable Content", "status": 422, "detail": "limit must be a whole number, not 'ten'",
 "errors": [{"parameter": "limit", "detail": "must be a whole number, not 'ten'"}]}
"""

from __future__ import annotations

from typing import Any

from kissapi.core import Fail
from kissapi.core.fail import REASONS

PROBLEM = "application/problem+json"
MOST = 100  # errors of one answer: a body of many mistakes must not become an answer of many times its size


class Invalid(Fail):
    """`Fail(422)` with `errors`, which say what is wrong where: for `on_error(422)`.

    Each error has a `detail`, and one of "parameter" (of the path or the query), "header", "cookie", "field"
    and "file" (of a form), or a JSON "pointer" into the body (RFC 6901), such as "#/items/2/price". There are
    `MOST` at the most.

        @router.on_error(422)
        async def invalid(req: Request, error: Fail):
            return {"mistakes": error.errors}
    """

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        self.errors = errors[:MOST]
        first = errors[0]
        where = next(str(value) for name, value in first.items() if name != "detail")
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        problem = {
            "title": REASONS[422],
            "status": 422,
            "detail": f"{where}: {first['detail']}{more}",
            "errors": self.errors,
        }
        super().__init__(422, problem, {"content-type": PROBLEM})
