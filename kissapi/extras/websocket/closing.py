"""Closing: the codes that a WebSocket ends with (RFC 6455 §7.4), and the errors that belong to its end."""

from __future__ import annotations

# RFC 6455 §7.4.1. The four that an app meets have a line each, so that the reference shows them.
NORMAL = 1000
"""What it was opened for is done: `if ws.close_code == NORMAL:`"""
GOING_AWAY = 1001
"""The page was left, or the server stops."""
NO_CODE = 1005
"""The client has closed it, and said no code."""
BROKEN = 1006
"""The connection has ended without a close: the client is gone, or its network."""
WRONG_FRAME, WRONG_DATA, TOO_BIG, FAILED = 1002, 1007, 1009, 1011

# IANA's list of codes, those of RFC 6455 and three more; 1010 is for clients only.
_OF_SERVERS = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014))
_OF_CLIENTS = _OF_SERVERS | {1010}
_MAX_REASON = 123  # bytes beside the code in a close frame (RFC 6455 §5.5)


class Closed(Exception):
    """The WebSocket has ended: nothing more can be sent or received; `ws.close_code` says why.

    A handler need not catch it: a handler that ends with it has ended well.

        try:
            order = await ws.receive()
        except Closed:
            cancel(table)
    """

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(f"the WebSocket has ended: {code} {reason}".rstrip())


class Violation(Exception):
    """The peer has broken a rule: the WebSocket ends with `code` and `reason`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


def check_close(code: int, reason: str) -> None:
    """Raises `ValueError` for a code that a server may not send, or a reason that is too long."""
    if code not in _OF_SERVERS and not 3000 <= code <= 4999:
        raise ValueError(f"a server closes with 1000, 1001 … or with 3000 to 4999, not {code!r}")
    size = len(reason.encode())
    if size > _MAX_REASON:
        raise ValueError(f"a reason may have {_MAX_REASON} bytes, not {size} (RFC 6455 §5.5)")


def read_close(payload: bytes) -> tuple[int, str]:
    """Code and reason in the payload of a close frame. Raises `Violation`."""
    if not payload:
        return NO_CODE, ""
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or (code not in _OF_CLIENTS and not 3000 <= code <= 4999):
        raise Violation(WRONG_FRAME, "a close frame has an invalid code")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise Violation(WRONG_DATA, "the reason of a close is not UTF-8") from None
