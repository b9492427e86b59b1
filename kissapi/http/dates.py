"""Dates: the dates of HTTP (RFC 9110 §5.6.7), as in Date, Last-Modified, If-Modified-Since and Expires.

They are in English and in GMT, whatever the locale of the machine. The service, files and cookies use them.
"""

from __future__ import annotations

import re
import time

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
# The one form that is sent, and two obsolete ones that a recipient must accept: RFC 850's and asctime's.
_FORMS = (
    r"[A-Z][a-z]{2}, (?P<day>\d\d) (?P<month>[A-Z][a-z]{2}) (?P<year>\d{4}) " + _TIME + " GMT",
    r"[A-Z][a-z]{5,8}, (?P<day>\d\d)-(?P<month>[A-Z][a-z]{2})-(?P<year>\d\d) " + _TIME + " GMT",
    r"[A-Z][a-z]{2} (?P<month>[A-Z][a-z]{2}) (?P<day>[ \d]\d) " + _TIME + r" (?P<year>\d{4})",
)


def http_date(moment: time.struct_time) -> str:
    """A moment in GMT as HTTP writes it.

    >>> http_date(time.gmtime(784111777))
    'Sun, 06 Nov 1994 08:49:37 GMT'
    """
    year, month, day, hour, minute, second, weekday, *_ = moment
    return f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{second:02} GMT"


def read_date(text: str) -> int | None:
    """A date in any of the three forms, in seconds since 1970; None if `text` is no date.

    >>> read_date("Sun, 06 Nov 1994 08:49:37 GMT")
    784111777
    """
    from datetime import UTC, datetime  # costs 2 ms, and most servers never read a date

    # Compiled at the first use, by `re` itself.
    found = next(filter(None, (re.fullmatch(form, text, re.ASCII) for form in _FORMS)), None)
    if found is None or found["month"] not in _MONTHS:
        return None
    day, year, hour, minute, second = (
        int(found[name]) for name in ("day", "year", "hour", "minute", "second")
    )
    if len(found["year"]) == 2:  # the latest such year that is not more than 50 years ahead
        latest = time.gmtime().tm_year + 50
        year = latest - (latest - year) % 100
    try:
        moment = datetime(year, _MONTHS.index(found["month"]) + 1, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp())
