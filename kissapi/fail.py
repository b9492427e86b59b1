"""Fail: the exception that is an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Fail(Exception):
    """Raised anywhere (handler, hook, router, parser), it answers the request at once.

    `status` is 200 to 599 (`ValueError` if it is not); `data` becomes the body as a handler's result does:
    `str` and `bytes` as text/plain, anything else as JSON. `headers` are added to the answer.

        raise Fail(403, "Forbidden")
        raise Fail(400, {"error": "name is missing"})
        raise Fail(503, "Busy", headers={"Retry-After": "5"})
    """

    def __init__(
        self,
        status: int = 500,
        data: Any = b"Internal Server Error",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise ValueError(f"status must be a number from 200 to 599, not {status!r}: Fail(403, {data!r})")
        super().__init__(status, data)
        self.status = status
        self.data = data
        self.headers = headers

    def __str__(self) -> str:
        return f"{self.status} {self.data!r}"
