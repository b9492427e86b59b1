"""Conditions: the conditional fields of a request (RFC 9110 §13), and its range of bytes (§14).

All is decided by fields, an entity tag and a time, without a file or a response. A field that cannot be read
is ignored, as §13 and §14 demand: the client then gets the whole file.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from kissapi.http.dates import read_date

FIELDS = frozenset(
    ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range")
)

# The fields that describe a body: an answer without it has none of them (§15.4.5). A 304 keeps Cache-Control,
# ETag and Vary, for a cache needs them.
OF_A_BODY = (
    "accept-ranges", "content-disposition", "content-encoding", "content-language", "content-type",
)  # fmt: skip

_TAG = re.compile(r'(?:W/)?"[^"]*"')
_RANGE = re.compile(r"bytes[ \t]*=[ \t]*([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE | re.ASCII)


def failed(fields: Mapping[str, str], etag: str, modified: int) -> int | None:
    """304 or 412 if the conditions of a GET or HEAD want that, else None; in the order of §13.2.2.

    `etag` is a strong entity tag, `modified` is in seconds since 1970.
    """
    tags = fields.get("if-match")
    if tags is not None:
        if not is_among(etag, tags, weakly=False):
            return 412
    else:
        since = read_date(fields.get("if-unmodified-since", ""))
        if since is not None and modified > since:
            return 412
    return 304 if is_known(fields, etag, modified) else None


def is_known(fields: Mapping[str, str], etag: str | None, modified: int | None) -> bool:
    """Whether the client has the answer of this tag, or this time: then a GET or HEAD answers 304."""
    tags = fields.get("if-none-match")
    if tags is not None:
        return etag is not None and is_among(etag, tags, weakly=True)
    if modified is None:
        return False
    since = read_date(fields.get("if-modified-since", ""))
    return since is not None and modified <= since


def wanted_range(fields: Mapping[str, str], etag: str, modified: int, size: int) -> range | None:
    """The bytes of `size` that a GET with `fields` asks for; an empty range is a 416, None the whole file.

    Several ranges are None too: §14.2 allows it, and many small ones would cost more than they save.
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


def is_among(etag: str, tags: str, weakly: bool) -> bool:
    """Whether `tags` lists `etag`, or is "*"; in a weak comparison `W/"a"` equals `"a"` (§8.8.3.2)."""
    if tags == "*":
        return True
    if not weakly:
        return not etag.startswith("W/") and etag in _TAG.findall(tags)
    return etag.removeprefix("W/") in (tag.removeprefix("W/") for tag in _TAG.findall(tags))


def _is_current(validator: str, etag: str, modified: int) -> bool:
    """Whether If-Range names the present file, by a strong validator (§13.1.5)."""
    if validator.endswith('"'):
        return validator == etag
    # A file may change twice within one second of its time: the time is strong once that second is over.
    return read_date(validator) == modified < int(time.time())
