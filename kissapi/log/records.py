"""LoggerLog: records for a `logging.Logger`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kissapi.log.ids import Facts
from kissapi.log.lines import Log
from kissapi.log.text import ANSWERED, escape

if TYPE_CHECKING:
    from collections.abc import Mapping
    from logging import Logger

    from kissapi.log.text import Answered, LoggedRequest


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
                "route": (request.route.path or None) if request.route is not None else None,
            }
            # The ids are not in `extra`: `kissapi.log.ids` sets these attributes itself, and finds them here.
            self.logger.info(ANSWERED, Facts(facts, **request._log_ids), extra=facts)
        answers.clear()

    def _about(
        self, request: LoggedRequest, level: str, text: str, error: BaseException | None = None
    ) -> None:
        self._tell(level, text, request._log_ids, error)

    def _tell(
        self, level: str, text: str, ids: Mapping[str, str], error: BaseException | None = None
    ) -> None:
        getattr(self.logger, level.lower())("%(text)s", Facts(ids, text=text), exc_info=error)
