"""JSON log: one JSON object a line, for what collects logs: `Server(logger=JsonLog)`.

    {"time": "2026-11-22T12:35:01.250Z", "level": "INFO", "message": "GET / → 200 14B 0.2ms", "method": "GET",
     "path": "/", "status": 200, "size": 14, "milliseconds": 0.214, "client": "127.0.0.1:50312"}

on one line. Lines that are not about a request have the first three; an error has a `traceback`, an error of
a request its `method` and `path` as well. With `kissapi.extras.request_id` each has a `request_id`.
`size` is in bytes of body, `client` is null over a Unix socket.
"""

from __future__ import annotations

import time
from typing import IO, TYPE_CHECKING, Any

from kissapi.http import json_codec
from kissapi.log import BATCH, GATHER, Log
from kissapi.log.text import ANSWERED, failed, missing, unanswered
from kissapi.log.tracebacks import foreign_await, traceback_of

if TYPE_CHECKING:
    from kissapi.log.text import Answered, LoggedRequest

__all__ = ["JsonLog"]


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
            facts = {
                "method": request.method,
                "path": request.path,
                "status": status,
                "size": size,
                "milliseconds": round((now - start) * 1000, 3),
                "client": _client(request),
                **_id(request),
            }
            self._facts.append((moment, facts))
        answers.clear()
        if self._at_once or len(self._facts) >= BATCH:
            self._format()
            if self._at_once or self._size > GATHER:
                self.flush()

    def unanswered(self, request: LoggedRequest, why: str, seconds: float) -> None:
        facts = {"milliseconds": round(seconds * 1000, 3), "client": _client(request), **_id(request)}
        self._say(
            "INFO", unanswered(request, why, seconds), method=request.method, path=request.path, **facts
        )

    def error(self, text: str, error: BaseException | None = None) -> None:
        trace = {} if error is None else {"traceback": traceback_of(error)}
        self._say("ERROR", text, **trace)

    def failure(self, request: LoggedRequest, handler: str, error: BaseException) -> None:
        text = failed(request, handler, error)
        advice = foreign_await(error)
        facts = {"method": request.method, "path": request.path, "client": _client(request), **_id(request)}
        if advice is not None:
            self._say("ERROR", f"{text}: {advice}", **facts)
        else:
            self._say("ERROR", text, traceback=traceback_of(error), **facts)

    def _format(self) -> None:
        gathered, self._facts = self._facts, []
        for moment, facts in gathered:
            line = self._object(moment, "INFO", ANSWERED % facts, **facts)
            self._lines.append(line)
            self._size += len(line)

    def _line(self, level: str, text: str) -> None:
        self._say(level, text)

    def _say(self, level: str, text: str, **facts: Any) -> None:
        self._format()  # the answers before this line
        self._lines.append(self._object(time.time(), level, text, **facts))
        self.flush()

    def _missing(self, lines: int) -> str:
        return self._object(time.time(), "WARNING", missing(lines))

    def _object(self, moment: float, level: str, text: str, **facts: Any) -> str:
        whole, milliseconds = divmod(int(moment * 1000), 1000)
        stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{milliseconds:03}Z"
        return json_codec.to_json({"time": stamp, "level": level, "message": text, **facts}).decode() + "\n"


def _id(request: LoggedRequest) -> dict[str, str]:
    return {"request_id": request._log_id} if request._log_id else {}


def _client(request: LoggedRequest) -> str | None:
    client = request.client
    if client is None:
        return None
    host, port = client
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
