"""Request and Response: what a parser reads, and what a handler may answer.

Both are bare: a protocol adds to them in subclasses. The type of a handler's result decides what is sent; its
contents never do.
"""

from typing import Any


class Request:
    """One request. The defaults are class attributes, so that making one is a single allocation.

    Names with an underscore are for every room of kissapi, the others for apps, which add their own.
    """

    method: str = "GET"
    path: str = "/"
    body: bytes = b""
    params: Any = None  # the parameters of the path, by name; set when the route is found
    route: Any = None  # the `Endpoint` that dispatch has found
    _connection: Any = None
    _asked: bool = False  # whether error handlers have been asked for an answer


class Response:
    """A whole answer with its status. Other results of an error handler get the status of the error."""
