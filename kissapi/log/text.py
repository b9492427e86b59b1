"""The texts of the log, for every kind of log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from kissapi.log.ids import tag

ANSWERED = "%(method)s %(path)s → %(status)d %(size)dB %(milliseconds).1fms"


class LoggedRequest(Protocol):
    """A request, as a log sees it."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def client(self) -> tuple[str, int] | None: ...
    @property
    def route(self) -> Any: ...  # it has a `path`; None without one
    @property
    def _log_ids(self) -> Mapping[str, str]: ...


# Of each answer: the request, the status, the bytes of the body, and the time when the request began.
Answered = list[tuple[LoggedRequest, int, int, float]]


def named(request: LoggedRequest) -> str:
    """Method and path, and the id of a request that has one."""
    return f"{request.method} {request.path}{tag(request._log_ids)}"


def unanswered(request: LoggedRequest, why: str, seconds: float, arrow: str = "→") -> str:
    """The answer to `request` was not completed, because of `why`."""
    return f"{named(request)} {arrow} {why} after {seconds * 1000:.1f}ms"


def failed(request: LoggedRequest, handler: str, error: BaseException) -> str:
    """A handler or hook has raised `error`."""
    return f"{named(request)}: {handler} raised {type(error).__name__}"


def missing(lines: int) -> str:
    """What stands in place of lines that found no room."""
    return f"this log is read too slowly: {lines} lines are missing here"


def escape(text: str) -> str:
    """`text` on one line of printable characters: no client may forge lines or move the cursor."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )
