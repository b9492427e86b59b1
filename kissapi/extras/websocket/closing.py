"""Closing: the codes that a WebSocket ends with (RFC 6455 §7.4), and `Closed`, raised after the end."""

from __future__ import annotations

# RFC 6455 §7.4.1
NORMAL, GOING_AWAY, NO_CODE, BROKEN, TOO_BIG, FAILED = 1000, 1001, 1005, 1006, 1009, 1011

_ALLOWED = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014))  # for a server
_MAX_REASON = 123  # bytes beside the code in a close frame (RFC 6455 §5.5)


class Closed(Exception):
    """The WebSocket has ended: nothing more can be sent or received; `ws.close_code` says why.

    A handler need not catch it: a handler that ends with it has ended well.
    """

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(f"the WebSocket has ended: {code} {reason}".rstrip())


def check_close(code: int, reason: str) -> None:
    """Raises `ValueError` for a code that a server may not send, or a reason that is too long."""
    if code not in _ALLOWED and not 3000 <= code <= 4999:
        raise ValueError(f"a server closes with 1000, 1001 … or with 3000 to 4999, not {code!r}")
    size = len(reason.encode())
    if size > _MAX_REASON:
        raise ValueError(f"a reason may have {_MAX_REASON} bytes, not {size} (RFC 6455 §5.5)")
