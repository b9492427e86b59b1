"""PureHttpParser: HttpParser over the pure-Python stand-in, whether httptools is installed or not.

Chosen by hand: `Server(parser_class=PureHttpParser)`. Where httptools is missing, HttpParser is the same.
"""

from __future__ import annotations

from kissapi.compat import httptools
from kissapi.parser import HttpParser


class PureHttpParser(HttpParser):
    """HTTP/1.0 and HTTP/1.1 without any C: it takes and refuses what `HttpParser` does.

    Of two faults in one head, one of them a limit, the two may name another one.
    """

    library = httptools
