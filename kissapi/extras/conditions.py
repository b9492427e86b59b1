"""Conditions: what a client ties its request to: validators (RFC 9110 §13) and a range of bytes (§14).

Law: it knows fields, an entity tag and a time; no file, no response. What cannot be read is ignored, as §13
and §14 want it: the client then gets the whole.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime

FIELDS = frozenset(
    ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range")
)

_TAG = re.compile(r'(?:W/)?"[^"]*"')
_RANGE = re.compile(r"bytes[ \t]*=[ \t]*([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE | re.ASCII)
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
# The one form that is sent, and two that are to be understood for ever (RFC 9110 §5.6.7).
_DATES = [
    re.compile(pattern, re.ASCII)
    for pattern in (
        r"[A-Z][a-z]{2}, (?P<day>\d\d) (?P<month>[A-Z][a-z]{2}) (?P<year>\d{4}) " + _TIME + " GMT",
        r"[A-Z][a-z]{5,8}, (?P<day>\d\d)-(?P<month>[A-Z][a-z]{2})-(?P<year>\d\d) " + _TIME + " GMT",
        r"[A-Z][a-z]{2} (?P<month>[A-Z][a-z]{2}) (?P<day>[ \d]\d) " + _TIME + r" (?P<year>\d{4})",
    )
]
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def failed(fields: Mapping[str, str], etag: str, modified: int) -> int | None:
    """304 or 412 if a GET or HEAD with `fields` asks for no more, else None; in the order of §13.2.2.

    `etag` is a strong one, `modified` in seconds since 1970.
    """
    tags = fields.get("if-match")
    if tags is not None:
        if not _is_among(etag, tags, weakly=False):
            return 412
    else:
        since = read_date(fields.get("if-unmodified-since", ""))
        if since is not None and modified > since:
            return 412
    tags = fields.get("if-none-match")
    if tags is not None:
        return 304 if _is_among(etag, tags, weakly=True) else None
    since = read_date(fields.get("if-modified-since", ""))
    return 304 if since is not None and modified <= since else None


def wanted_range(fields: Mapping[str, str], etag: str, modified: int, size: int) -> range | None:
    """The bytes of `size` that a GET with `fields` asks for: none of them is 416, None the whole.

    So it is for several ranges, too: §14.2 allows it, and many small ones would cost more than they save.
    """
    asked = _RANGE.fullmatch(fields.get("range", ""))
    if asked is None or asked.groups() == ("", ""):
        return None
    validator = fields.get("if-range")
    if validator is not None and not _is_current(validator, etag, modified):
        return None
    first, last = asked.groups()
    if not first:
        if int(last) and not size:
            return None  # all there is: nothing, which no Content-Range can say
        return range(max(0, size - int(last)), size)
    if not last:
        return range(int(first), size)
    if int(last) < int(first):
        return None  # not a range at all
    return range(int(first), min(int(last) + 1, size))


def read_date(text: str) -> int | None:
    """An HTTP date in any of its three forms, in seconds since 1970; None for what is none.

    >>> read_date("Sun, 06 Nov 1994 08:49:37 GMT")
    784111777
    """
    found = next(filter(None, (pattern.fullmatch(text) for pattern in _DATES)), None)
    if found is None or found["month"] not in _MONTHS:
        return None
    day, year, hour, minute, second = (
        int(found[name]) for name in ("day", "year", "hour", "minute", "second")
    )
    if len(found["year"]) == 2:  # the latest that is not more than 50 years ahead
        latest = time.gmtime().tm_year + 50
        year = latest - (latest - year) % 100
    try:
        moment = datetime(year, _MONTHS.index(found["month"]) + 1, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp())


def _is_among(etag: str, tags: str, weakly: bool) -> bool:
    """Whether a field lists `etag`, or says "any": weakly compared, `W/"a"` is `"a"` (§8.8.3.2)."""
    if tags == "*":
        return True
    return any((tag.removeprefix("W/") if weakly else tag) == etag for tag in _TAG.findall(tags))


def _is_current(validator: str, etag: str, modified: int) -> bool:
    """Whether If-Range names what is there now, beyond doubt (§13.1.5)."""
    if validator.endswith('"'):
        return validator == etag
    # A file may change twice in a second, and its time only once: that proves nothing until the next.
    return read_date(validator) == modified < int(time.time())
