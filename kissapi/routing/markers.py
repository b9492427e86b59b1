"""Markers: in an annotation, where an argument of a handler comes from, and under which name.

    @router.get("/search")
    async def search(req: Request, words: Annotated[str, Query("q")], token: Annotated[str, Header()]): ...

They are data: `kissapi.routing.arguments` reads them.
"""

from __future__ import annotations


class Marker:
    """Where an argument comes from; `key` is its name there, None for the name of the parameter.

    Raises `TypeError` for a name that is no string.
    """

    __slots__ = ("key",)
    place = ""

    def __init__(self, key: str | None = None) -> None:
        if key is not None and not isinstance(key, str):
            raise TypeError(f"a marker takes the name on the wire, such as Header('x-token'), not {key!r}")
        self.key = key

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self.key is None else repr(self.key)})"


class Query(Marker):
    """A parameter of the query: `size: Annotated[int, Query("page-size")] = 10`.

    Of a dataclass, a Struct or a model, each field is one: `Annotated[Filter, Query()]`.
    """

    __slots__ = ()
    place = "query"


class Header(Marker):
    """A header field: `token: Annotated[str, Header("x-token")]`.

    Without a name it is that of the parameter with dashes: `user_agent: Annotated[str, Header()]`.
    """

    __slots__ = ()
    place = "header"


class Cookie(Marker):
    """A cookie: `theme: Annotated[str, Cookie()] = "light"`."""

    __slots__ = ()
    place = "cookie"


class Form(Marker):
    """A field of a form, urlencoded or multipart: `name: Annotated[str, Form()]`.

    Of a dataclass, a Struct or a model, each field is one: `Annotated[Order, Form()]`.
    """

    __slots__ = ()
    place = "form"


class File(Marker):
    """A file of a multipart form: `image: Annotated[Upload, File("photo")]`, or `bytes` for its content."""

    __slots__ = ()
    place = "file"
