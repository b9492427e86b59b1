"""static: a router for the files below a folder.

`Folder` decides what can be reached; here are the routes, the index of a folder, and the compressed siblings
of a file.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kissapi.core import Fail
from kissapi.extras.files.codings import CODINGS, accepted_codings
from kissapi.extras.files.fields import file_fields
from kissapi.extras.files.folder import Folder, names_in
from kissapi.extras.files.media_types import is_compact, type_of
from kissapi.extras.files.response import FileResponse
from kissapi.http.headers import Headers
from kissapi.http.response import Response, redirect
from kissapi.routing.router import Router

if TYPE_CHECKING:
    from kissapi.extras.files.sendfile import OpenFile
    from kissapi.http.request import Request

_REST = "path"


def static(
    prefix: str,
    folder: str | os.PathLike[str],
    *,
    index: str | None = "index.html",
    cache_control: str | None = None,
    precompressed: bool = True,
    name: str = "static",
) -> Router:
    """A router that answers GET and HEAD of `prefix/…` with the files below `folder`.

    A folder answers with its `index`, unless that is None; without the slash at its end, its path redirects
    there, so that relative links work. With `precompressed`, a client that accepts the coding gets
    `app.js.br`, `app.js.zst` or `app.js.gz` in place of `app.js`, unless that one is older. Anything else is
    404: what is no regular file, names that begin with a dot or contain an escaped slash or a backslash,
    links that lead out of the folder. Raises `NotADirectoryError` if there is no such folder, `TypeError` and
    `ValueError` for a wrong prefix or `cache_control`. `name` is what `req.url_for` knows it by:
    `req.url_for("static", path="app.css")`.

        router.mount("/", static("/assets", "public", cache_control="max-age=3600"))
        Server(router=static("/", "site")).loop()
    """
    if not isinstance(prefix, str):
        raise TypeError(f'a prefix is a string such as "/assets", not {prefix!r}')
    below = Folder(folder)
    if not os.path.isdir(below.root):
        raise NotADirectoryError(f"static files: there is no folder {below.root}")
    if cache_control is not None:
        Headers({"cache-control": cache_control})  # a wrong one is an error here, not at a request

    async def serve(req: Request) -> Response:
        rest = req.params.get(_REST)  # missing for the prefix itself, without a slash
        names = [] if rest is None else names_in(req.path, rest)
        has_slash = names[-1:] == [""]
        if has_slash:
            if index is None:
                raise Fail(404)
            names[-1] = index
        try:
            opened = below.open(names)
        except IsADirectoryError:
            if has_slash or index is None or not _has(below, [*names, index]):
                raise Fail(404) from None
            return _to_slash(req)
        kind, coding = type_of(names[-1]), None
        varies = precompressed and not is_compact(kind)
        if varies and "accept-encoding" in req.headers:
            opened, coding = _compressed(below, names, opened, req.headers["accept-encoding"])
        known = file_fields(kind, opened.mtime_ns, opened.size, coding, varies, cache_control)
        return FileResponse(opened, known)

    router = Router()
    prefix = prefix.strip("/")
    if prefix:
        prefix = f"/{prefix}"
        router.add_route("GET", prefix, serve, name=name, hidden=True)
    router.add_route("GET", f"{prefix}/{{{_REST}:path}}", serve, name=name, hidden=True)
    return router


def _has(folder: Folder, names: list[str]) -> bool:
    try:
        folder.open(names).close()
    except (Fail, IsADirectoryError):
        return False
    return True


def _to_slash(req: Request) -> Response:
    """A redirect relative to the client's path: a proxy in between may serve it under another prefix."""
    name = req.path.rpartition("/")[2]
    query = f"?{req.query_string}" if req.query_string else ""
    return redirect(f"./{name}/{query}", 301)


def _compressed(
    folder: Folder, names: list[str], opened: OpenFile, accepted: str
) -> tuple[OpenFile, str | None]:
    """The file in the coding that the client prefers, and that coding; else `opened`, and None."""
    *above, name = names
    for coding in accepted_codings(accepted):
        beside = [*above, name + CODINGS[coding]]
        if not folder.may_have(beside):
            continue
        try:
            sibling = folder.open(beside)
        except (Fail, IsADirectoryError):
            continue
        # In whole seconds: tools that copy the original's time drop the rest. An older one is outdated.
        if sibling.mtime_ns // 10**9 >= opened.mtime_ns // 10**9:
            opened.close()
            return sibling, coding
        sibling.close()
    return opened, None
