"""PureHttpParser: HttpParser over the pure-Python stand-in, whether httptools is installed or not.

Chosen by hand: `Server(parser_class=PureHttpParser)`. Where httptools is missing, HttpParser is the same.
"""

from __future__ import annotations

from kissapi.compat import httptools
from kissapi.http.parser import HttpParser


class PureHttpParser(HttpParser):
    """HTTP/1.0 and HTTP/1.1 without any C: it takes and refuses what `HttpParser` does.

    If a head has two faults and one is a limit, the two parsers may report different ones.
    """

    library = httptools
