"""JSON log: one JSON object a line, for what collects logs: `Server(logger=JsonLog)`, `--log-format json`.

    {"time": "2026-11-22T12:35:01.250Z", "level": "INFO", "logger": "kissapi.access",
     "message": "GET /users/7 → 200 14B 0.2ms", "method": "GET", "path": "/users/7", "route": "/users/{id}",
     "status": 200, "size": 14, "milliseconds": 0.214, "client": "127.0.0.1:50312"}

on one line, in ASCII. Lines that are not about a request have the first four; an error has a `traceback`, an
error of a request what tells the request as well. What is logged while a request runs has its `request_id`
with `kissapi.extras.request_id`, `trace_id` and `span_id` with `kissapi.extras.tracing`. `size` is in bytes
of the body, `client` is null over a Unix socket, `route` is null where a path leads nowhere.
`kissapi.extras.json_records` writes records of `logging` likewise.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Any

from kissapi.http import json_codec
from kissapi.log import BATCH, GATHER, Log
from kissapi.log.text import ANSWERED, missing, unanswered
from kissapi.log.tracebacks import traceback_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kissapi.log.text import Answered, LoggedRequest

__all__ = ["JsonLog", "json_line"]


class JsonLog(Log):
    """Writes to `stream`, by default standard output, once per tick like `Log`."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._facts: list[tuple[float, dict[str, Any]]] = []
        super().__init__(stream)

    def tick(self) -> None:
        self.flush()

    def answered(self, answers: Answered, now: float) -> None:
        moment = time.time()
        for request, status, size, start in answers:
            # The client is asked for now: a moment later the connection may be gone.
            facts = _facts_of(request)
            facts["status"] = status
            facts["size"] = size
            facts["milliseconds"] = round((now - start) * 1000, 3)
            self._facts.append((moment, facts))
        answers.clear()
        if self._at_once or len(self._facts) >= BATCH:
            self._format()
            if self._at_once or self._size > GATHER:
                self.flush()

    def unanswered(self, request: LoggedRequest, why: str, seconds: float) -> None:
        facts = _facts_of(request)
        facts["milliseconds"] = round(seconds * 1000, 3)
        self._say("INFO", "kissapi.access", unanswered(request, why, seconds), facts)

    def _format(self) -> None:
        gathered, self._facts = self._facts, []
        for moment, facts in gathered:
            line = json_line(moment, "INFO", "kissapi.access", ANSWERED % facts, facts)
            self._lines.append(line)
            self._size += len(line)

    def _about(
        self, request: LoggedRequest, level: str, text: str, error: BaseException | None = None
    ) -> None:
        self._tell(level, text, _facts_of(request), error)

    def _tell(
        self, level: str, text: str, ids: Mapping[str, Any], error: BaseException | None = None
    ) -> None:
        trace = {"traceback": traceback_of(error)} if error is not None else {}
        self._say(level, "kissapi", text, {**ids, **trace})

    def _say(self, level: str, logger: str, text: str, facts: dict[str, Any]) -> None:
        self._format()  # the answers before this line
        self._lines.append(json_line(time.time(), level, logger, text, facts))
        self.flush()

    def _missing(self, lines: int) -> str:
        return json_line(time.time(), "WARNING", "kissapi", missing(lines), {})


def json_line(moment: float, level: str, logger: str, message: str, facts: dict[str, Any]) -> str:
    """The line of what happened at `moment`, in seconds since 1970. Raises what `to_json` raises for `facts`.

    >>> json_line(0.5, "INFO", "shop", "Hello", {"size": 5}).strip()
    '{"time":"1970-01-01T00:00:00.500Z","level":"INFO","logger":"shop","message":"Hello","size":5}'
    """
    whole, milliseconds = divmod(int(moment * 1000), 1000)
    told = {
        "time": f"{_second(whole)}.{milliseconds:03}Z",
        "level": level,
        "logger": logger,
        "message": message,
        **facts,
    }
    return json_codec.to_json(told).decode() + "\n"


@lru_cache(1)  # most lines are of the same second as the one before: a third of what a line costs
def _second(whole: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))


def _facts_of(request: LoggedRequest) -> dict[str, Any]:
    client, route = request.client, request.route
    return {
        "method": request.method,
        "path": request.path,
        "route": route.path or None if route is not None else None,
        "client": _address(*client) if client is not None else None,
        **request._log_ids,
    }


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
