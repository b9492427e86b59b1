"""Text in HTML, where the html module is missing: `escape`, as there."""

from __future__ import annotations

_TEXT = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
_QUOTED = _TEXT | {ord('"'): "&quot;", ord("'"): "&#x27;"}


def escape(s: str, quote: bool = True) -> str:
    """`s` as it stands in an element and, with `quote`, in a quoted attribute."""
    return s.translate(_QUOTED if quote else _TEXT)
