"""Pages: the page that shows a document: our own, or a well-known one from a CDN.

Ours is `page.html`: it loads nothing from elsewhere, and its policy (CSP) allows what is in it, by hashes,
and nothing more. The others are pinned to a major version. They need the internet, and their policy has to
allow their CDN, and styles that they make up as they go.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

try:
    from html import escape
except ImportError:
    from kissapi.compat.html import escape

_NPM = "https://cdn.jsdelivr.net/npm/"
_HEAD = '<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
_HEAD += '<meta name="viewport" content="width=device-width, initial-scale=1">'

# Each shows the document at {document}, which it reads from an attribute.
FROM_CDN = {
    "swagger": f'{_HEAD}<link rel="stylesheet" href="{_NPM}swagger-ui-dist@5/swagger-ui.css">'
    f'<body><div id="ui" data-url="{{document}}"></div>'
    f'<script src="{_NPM}swagger-ui-dist@5/swagger-ui-bundle.js"></script>'
    "<script>SwaggerUIBundle({url: ui.dataset.url, dom_id: '#ui', deepLinking: true})</script>",
    "scalar": f'{_HEAD}<body><script id="api-reference" data-url="{{document}}"></script>'
    f'<script src="{_NPM}@scalar/api-reference@1/dist/browser/standalone.js"></script>',
    "redoc": f'{_HEAD}<body><redoc spec-url="{{document}}"></redoc>'
    f'<script src="{_NPM}redoc@2/bundles/redoc.standalone.js"></script>',
}
NAMES = ("kissapi", *FROM_CDN)


class Page(NamedTuple):
    """A page with {title}, {document} and {root} still to be filled in, and its Content-Security-Policy."""

    text: str
    policy: str

    def filled(self, **values: str) -> str:
        """The page with `values`, escaped, in place of their names."""
        return re.sub(r"\{(title|document|root)\}", lambda name: escape(values[name[1]]), self.text)


def page(ui: str, origins: Iterable[str]) -> Page:
    """The page called `ui`, one of `NAMES`, which may ask this server and `origins`."""
    asked = " ".join(["'self'", *origins])
    frame = "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    if ui != "kissapi":
        text = FROM_CDN[ui]
        scripts = f"https://cdn.jsdelivr.net {_hashes('script', text)}".strip()
        return Page(
            text,
            f"default-src 'none'; script-src {scripts}; style-src https: 'unsafe-inline'; "
            f"img-src https: data:; font-src https: data:; worker-src blob:; "
            f"connect-src {asked} https://cdn.jsdelivr.net; {frame}",
        )
    text = _own()
    return Page(
        text,
        f"default-src 'none'; script-src {_hashes('script', text)}; style-src {_hashes('style', text)}; "
        f"connect-src {asked}; {frame}",
    )


def _own() -> str:
    assert __spec__ is not None
    # The loader: the package may be in an archive.
    data: bytes = __spec__.loader.get_data(__file__.removesuffix("pages.py") + "page.html")  # type: ignore[union-attr]
    return data.decode()


def _hashes(tag: str, text: str) -> str:
    """What allows the elements `tag` of `text` (CSP3 §2.3.1)."""
    contents = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return " ".join(f"'sha256-{b64encode(sha256(each.encode()).digest()).decode()}'" for each in contents)
