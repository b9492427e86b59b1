"""ETag: an around hook that answers 304 to a client that has the answer already (RFC 9110 §8.8.3, §13).

    from kissapi.extras.etag import etag

    router.around(etag())

The handler runs as ever: what is saved is the way to the client. The tag is a digest of the body, so it is
there for bodies of bytes, not for streams. A handler that knows a cheaper one, such as the version of a row,
sets `ETag` or `Last-Modified` itself; the hook then compares that. Files do all of this on their own.

`check_match` is for the other direction: a PUT that must not overwrite what has changed meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING

from kissapi.backends.awaitables import to_thread
from kissapi.core import Fail
from kissapi.extras.files.conditions import OF_A_BODY, is_among, is_known
from kissapi.http.dates import read_date
from kissapi.http.pieces import close

if TYPE_CHECKING:
    from kissapi.http.request import Request
    from kissapi.http.response import Response

__all__ = ["check_match", "etag", "tag_of"]

LARGE = 256 * 1024  # bytes; more is digested in a worker thread: blake2b takes 0.3 ms for so many


def etag(*, weak: bool = False) -> Callable[[Request], AsyncGenerator[None, Response]]:
    """Give answers with status 200 to GET and HEAD a tag, and answer 304 where the client names it.

    If-None-Match counts, and for an answer with Last-Modified If-Modified-Since. A 304 keeps all fields but
    those that describe a body. `weak=True` makes `W/"…"`: for bodies that are the same in meaning, though
    not in every byte. Answers with `Cache-Control: no-store` are left as they are.

        router.around(etag())
    """

    async def hook(req: Request) -> AsyncGenerator[None, Response]:
        response = yield
        headers, body = response.headers, response.body
        if response.status != 200 or req.method not in ("GET", "HEAD"):
            return
        tag = headers.get("etag")
        # HEAD without a body tells nothing of what GET would answer.
        if tag is None and isinstance(body, bytes) and (body or req.method == "GET"):
            if "no-store" in headers.get("cache-control", "").lower():
                return
            tag = tag_of(body) if len(body) <= LARGE else await to_thread(tag_of, body)
            headers["etag"] = tag = f"W/{tag}" if weak else tag
        if "if-none-match" not in req.headers and "if-modified-since" not in req.headers:
            return
        modified = read_date(headers["last-modified"]) if "last-modified" in headers else None
        if not is_known(req.headers, tag, modified):
            return
        for name in (*OF_A_BODY, "content-length", "last-modified"):
            headers.pop(name, None)
        response.status = 304
        response.body = None
        await close(body)

    hook.__qualname__ = "etag"
    return hook


def tag_of(body: bytes) -> str:
    """The strong tag of `body`, in its quotes.

    >>> tag_of(b"hello")
    '"46fb7408d4f285228f4af516ea25851b"'
    """
    return f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def check_match(request: Request, tag: str, *, required: bool = False) -> None:
    """Raise `Fail(412)` if the request is for another version than `tag`: it has an If-Match without it.

    For PUT, PATCH and DELETE: of two clients that change the same thing, the second is told so. `tag` is
    strong, in its quotes: `tag_of(…)`, or '"7"' for version 7. With `required`, a request without If-Match
    is `Fail(428)`.

        @router.put("/notes/{id:int}")
        async def change(req: Request):
            check_match(req, f'"{note.version}"', required=True)
    """
    tags = request.headers.get("if-match")
    if tags is None:
        if required:
            raise Fail(428, "Precondition Required: send If-Match with the ETag that you have")
    elif not is_among(tag, tags, weakly=False):
        raise Fail(412)
