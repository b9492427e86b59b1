"""What HTTP/1.1 says, case by case, each topic in its file; here is the map, in the order of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance import (
    chunked,
    expect_upgrade_methods,
    framing,
    header_fields,
    host,
    persistence,
    request_line,
    responses,
)

if TYPE_CHECKING:
    from tests.conformance.case import Case

TOPICS: dict[str, list[Case]] = {
    "request line": request_line.CASES,
    "host": host.CASES,
    "fields": header_fields.CASES,
    "framing": framing.CASES,
    "chunked": chunked.CASES,
    "persistence": persistence.CASES,
    "expect, upgrade, methods": expect_upgrade_methods.CASES,
    "responses": responses.CASES,
}
