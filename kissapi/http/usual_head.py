"""Usual head: the fast road for a request's head that has arrived whole and has the form that clients send.

It accepts a subset of what the careful road (`HttpParser._gather_head`) accepts, with the same result. A head
that it does not match may be wrong or only rare, and is judged there. Hence one verdict, whatever the pieces
in which a head comes.
"""

from __future__ import annotations

import re

from kissapi.http.grammar import TEXT, TOKEN
from kissapi.http.request_line import PATH_BYTES, QUERY_BYTES

# The cost is linear in the length of what came. Within a field no byte is tried twice (`++`). A field that a
# loop gives back is looked at once more, up to its name: a loop takes no framing field, and only a framing
# field or the end of the head may follow it.
# Trap: a possessive repeat is of one class of bytes, never of a group. CPython 3.11.0 to 3.11.4 (Debian 12
# has 3.11.2) match those of groups wrongly, beyond the end of the head (python/cpython#106052).
_NAME = rb"[%b]++" % re.escape(TOKEN)
_VALUE = rb"[%b]*+" % re.escape(TEXT)
# Fields that change nothing about where the message ends; every browser says keep-alive, to no effect. Most
# names differ from these in their first letter. `cost:` matches too, which costs it only time.
_FRAMING = rb"[cChHtTeE](?i:ost:|ontent-length:|ransfer-encoding:|xpect:|onnection:(?! keep-alive\r))"
_FIELDS = rb"(?:\r\n(?!%b)%b:%b)*" % (_FRAMING, _NAME, _VALUE)

# What frames a body; or the end, which a client announces that asks once, such as a health check: the careful
# road takes such a request, with a connection of its own, 25 µs more.
_BODY = rb"[cC]ontent-[lL]ength: (0|[1-9][0-9]{0,17}+)|[tT]ransfer-[eE]ncoding: (chunked)"
_END = rb"%b|[cC]onnection: (close)" % _BODY

# Method, path, query, host, Content-Length, `chunked` and `close` of an HTTP/1.1 head; of the last four the
# one usual spelling, and of the last three one at most.
usual_head = re.compile(
    rb"([A-Z-]++) (/[%b]*+)(?:\?([%b]*+))? HTTP/1\.1" % (re.escape(PATH_BYTES), re.escape(QUERY_BYTES))
    + rb"%b\r\n[hH]ost: ([!-~]*+)" % _FIELDS
    + rb"%b(?:\r\n(?:%b)%b)?\r\n\r\n" % (_FIELDS, _END, _FIELDS)
).match
