"""Fail: the exception that answers a request, and the names of the statuses.

Everything from parser to encoder may raise it; `kissapi.core.compose` asks the error handlers for an answer.
"""

from collections.abc import Mapping
from typing import Any

# RFC 9110 §15 and the IANA registry of status codes.
REASONS = {
    100: "Continue", 101: "Switching Protocols", 102: "Processing", 103: "Early Hints",
    200: "OK", 201: "Created", 202: "Accepted", 203: "Non-Authoritative Information", 204: "No Content",
    205: "Reset Content", 206: "Partial Content", 207: "Multi-Status", 208: "Already Reported",
    226: "IM Used",
    300: "Multiple Choices", 301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified",
    305: "Use Proxy", 307: "Temporary Redirect", 308: "Permanent Redirect",
    400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required",
    408: "Request Timeout", 409: "Conflict", 410: "Gone", 411: "Length Required", 412: "Precondition Failed",
    413: "Content Too Large", 414: "URI Too Long", 415: "Unsupported Media Type",
    416: "Range Not Satisfiable", 417: "Expectation Failed", 418: "I'm a Teapot", 421: "Misdirected Request",
    422: "Unprocessable Content", 423: "Locked", 424: "Failed Dependency", 425: "Too Early",
    426: "Upgrade Required",
    428: "Precondition Required", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
    451: "Unavailable For Legal Reasons",
    500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
    504: "Gateway Timeout", 505: "HTTP Version Not Supported", 506: "Variant Also Negotiates",
    507: "Insufficient Storage", 508: "Loop Detected", 510: "Not Extended",
    511: "Network Authentication Required",
}  # fmt: skip


class Fail(Exception):
    """An exception that answers the request, raised by a handler, a hook, a router or a parser.

    `status` is 200 to 599 (`ValueError` if it is not). `data` becomes the body as a handler's result does: in
    HTTP, `str` and `bytes` as text/plain, `None` as no body, anything else as JSON. The default is the name
    of the status: "Not Found" for 404. `headers` are added to the answer.

        raise Fail(404)
        raise Fail(403, "Forbidden")
        raise Fail(400, {"error": "name is missing"})
        raise Fail(503, "Busy", headers={"Retry-After": "5"})
    """

    def __init__(
        self,
        status: int = 500,
        data: Any = ...,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise ValueError(
                f"status must be a number from 200 to 599, not {status!r}: Fail(403, 'Forbidden')"
            )
        if data is ...:
            # Three have no body: RFC 9110 §15.3.5, §15.3.6, §15.4.5.
            data = None if status in (204, 205, 304) else REASONS.get(status)
        super().__init__(status, data)
        self.status = status
        self.data = data
        self.headers = headers

    def __str__(self) -> str:
        return f"{self.status} {self.data!r}"
