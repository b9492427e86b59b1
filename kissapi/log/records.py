"""LoggerLog: records for a `logging.Logger`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kissapi.log.lines import Log
from kissapi.log.text import ANSWERED, escape

if TYPE_CHECKING:
    from logging import Logger

    from kissapi.log.text import Answered


class LoggerLog(Log):
    """Hands every line to a `logging.Logger` of the user's, with the facts of a request in `extra`."""

    def __init__(self, logger: Logger) -> None:
        self.logger = logger
        self._arrow = "→"

    def tick(self) -> None:
        pass

    def flush(self) -> None:
        pass

    def finish(self) -> None:
        pass

    def answered(self, answers: Answered, now: float) -> None:
        for request, status, size, start in answers:
            facts = {
                "method": escape(request.method),
                "path": escape(request.path),
                "status": status,
                "size": size,
                "milliseconds": (now - start) * 1000,
                "client": request.client,
            }
            # Not in `extra`: `kissapi.extras.request_id` sets this attribute itself, and finds it here.
            known = {**facts, "request_id": request._log_id} if request._log_id else facts
            self.logger.info(ANSWERED, known, extra=facts)
        answers.clear()

    def error(self, text: str, error: BaseException | None = None) -> None:
        self.logger.error("%s", text, exc_info=error)

    def _line(self, level: str, text: str) -> None:
        getattr(self.logger, level.lower())("%s", text)
