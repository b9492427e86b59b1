"""OpenApiRouter: a router that answers with the document of another router, and with a page that shows it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kissapi.extras.etag import tag_of
from kissapi.extras.files.conditions import is_known
from kissapi.extras.openapi.document import document
from kissapi.extras.openapi.pages import NAMES, page
from kissapi.http.json_codec import to_json
from kissapi.http.response import Response
from kissapi.http.words import did_you_mean
from kissapi.routing.router import Router

if TYPE_CHECKING:
    from kissapi.http.request import Request

Object = dict[str, Any]


class OpenApiRouter(Router):
    """What `openapi` gives: the routes of the document and of its page.

    shop = openapi(router, title="Shop", version="1")
    shop.document()["paths"]
    """

    def __init__(self, described: Router, head: Object, path: str, docs: str | None, ui: str) -> None:
        super().__init__()
        self.described = described
        self._head = head
        self._path = path
        self._docs = docs
        self._page = page(ui, _origins(head))
        self._made: tuple[Router, bytes, str] | None = None
        self.add_route("GET", path, self._send_document, hidden=True)
        if docs is not None:
            self.add_route("GET", docs, self._send_page, hidden=True)

    def document(self, root: Router | None = None) -> Object:
        """The document, with the paths as `root` serves them, by default the router that is described.

        json.dump(openapi(router, title="Shop", version="1").document(), file)
        """
        return document(self.described, self.described if root is None else root, self._head)

    async def _send_document(self, req: Request) -> Response:
        root = req.route.route.chain[0]
        if self._made is None or self._made[0] is not root:
            data = to_json(self.document(root))
            self._made = root, data, tag_of(data)
        _, data, etag = self._made
        return _answer(req, data, etag, "application/json", {})

    async def _send_page(self, req: Request) -> Response:
        # Relative: a proxy in between may serve all of it under a prefix of its own.
        here = posixpath.dirname(req.path)
        prefix = req.path.rstrip("/") if self._docs == "/" else req.path.removesuffix(self._docs or "")
        text = self._page.filled(
            title=str(self._head["info"]["title"]),
            document=posixpath.relpath(prefix + self._path, here),
            root=posixpath.relpath("/", here),
        )
        data = text.encode()
        fields = {
            "content-security-policy": self._page.policy,
            "referrer-policy": "same-origin",
            "x-content-type-options": "nosniff",
        }
        return _answer(req, data, tag_of(data), "text/html; charset=utf-8", fields)


def openapi(
    router: Router,
    *,
    title: str,
    version: str,
    description: str = "",
    servers: Iterable[str | Mapping[str, Any]] = (),
    tags: Mapping[str, str] | Iterable[str] = (),
    path: str = "/openapi.json",
    docs: str | None = "/docs",
    ui: str = "kissapi",
) -> OpenApiRouter:
    """A router with the OpenAPI 3.1 document of `router`, and a page that shows it and can try requests.

    `title`, `version` and `description` are about the app. `servers` are URLs, or Server Objects, where a
    client cannot tell them from where it found the document: behind a proxy that takes a prefix away,
    `["/shop"]`. `tags` gives their order, and what they are for: `{"orders": "To buy things"}`. `path` and
    `docs` are those of the document and of the page, None for no page. `ui` may be "swagger", "scalar" or
    "redoc", which browsers load from a CDN. Routes with `hidden=True`, and WebSockets, are left out. The
    document is made when it is first asked for. Raises `TypeError` for what is no router, `ValueError`
    for an unknown `ui`.

        router.mount("/", openapi(router, title="Shop", version="1"))
    """
    if not isinstance(router, Router):
        raise TypeError(f"openapi describes a Router, not {router!r}")
    if ui not in NAMES:
        raise ValueError(f"ui is one of {', '.join(NAMES)}, not {ui!r}{did_you_mean(ui, NAMES)}")
    info = {"title": title, "version": version, "description": description}
    for name, value in info.items():
        if not isinstance(value, str):
            raise TypeError(f"the {name} of an API is a string, not {value!r}")
    for name, values in (("servers", servers), ("tags", tags)):
        if isinstance(values, str):
            raise TypeError(f"{name} is a list of strings: {name}=[{values!r}]")
    words = tags if isinstance(tags, Mapping) else dict.fromkeys(tags, "")
    head: Object = {
        "openapi": "3.1.0",
        "info": {name: value for name, value in info.items() if value or name != "description"},
        "servers": [{"url": each} if isinstance(each, str) else dict(each) for each in servers],
        "tags": [{"name": name, **({"description": text} if text else {})} for name, text in words.items()],
    }
    head = {name: value for name, value in head.items() if value}
    return OpenApiRouter(router, head, path, docs, ui)


def document_of(router: Router, *, title: str = "API") -> str:
    """The document of an app, in JSON: that of the first `openapi` mounted in it, else of all its routes.

    `kissapi openapi app:router` prints it.
    """
    for each in router.below():
        if isinstance(each, OpenApiRouter):
            return to_json(each.document(router)).decode()
    return to_json(openapi(router, title=title, version="0").document()).decode()


def _origins(head: Object) -> list[str]:
    """Where other servers than this one are."""
    urls = [server["url"].split("/") for server in head.get("servers", ())]
    return sorted({"/".join(url[:3]) for url in urls if url[0] in ("http:", "https:")})


def _answer(req: Request, data: bytes, etag: str, kind: str, fields: Mapping[str, str]) -> Response:
    headers = {"etag": etag, "cache-control": "no-cache"}  # it may be kept, and is asked for again
    if is_known(req.headers, etag, None):
        return Response(None, 304, headers)
    return Response(data, 200, {**headers, **fields}, content_type=kind)
