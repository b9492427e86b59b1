"""The site as it was made: links that lead nowhere, what is asked of other hosts, names without an entry."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

# Where a browser asks for something without a click.
LOADED = {
    "audio": "src", "embed": "src", "iframe": "src", "image": "href", "img": "src", "link": "href",
    "object": "data", "script": "src", "source": "src", "use": "href", "video": "src",
}  # fmt: skip
OF_CSS = re.compile(r"""(?:@import\s+|url\()\s*["']?\s*((?:https?:)?//[^"')\s]+)""")


class Page(HTMLParser):
    """One page: its anchors, its links, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = {"", "__skip", "top"}
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if (attribute := LOADED.get(tag)) in values and values.get("rel") != "canonical":
            self.loads.append(values[attribute])


class Site(NamedTuple):
    """What has been read of a site, by the path of each page."""

    folder: Path
    pages: dict[Path, Page]

    @classmethod
    def read(cls, folder: Path) -> Site:
        """All pages but that for 404, which leads to the root of a host."""
        files = sorted(file for file in folder.rglob("*.html") if file.name != "404.html")
        return cls(folder, {file: Page(file.read_text(encoding="utf-8")) for file in files})

    def broken(self) -> Iterator[str]:
        """A line for each link or picture of the site that leads nowhere."""
        for file, page in self.pages.items():
            for link in [*page.links, *page.loads]:
                parts = urlsplit(link)
                if parts.scheme or parts.netloc:
                    continue
                target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
                if not target.is_file():
                    yield f"{file.relative_to(self.folder)}: {link} leads nowhere"
                elif target in self.pages and unquote(parts.fragment) not in self.pages[target].anchors:
                    yield f"{file.relative_to(self.folder)}: {link} has no such anchor"

    def foreign(self) -> Iterator[str]:
        """A line for each thing that a page or a style sheet loads from elsewhere."""
        for file, page in self.pages.items():
            for link in page.loads:
                if urlsplit(link).netloc:
                    yield f"{file.relative_to(self.folder)} loads {link}"
        for file in sorted(self.folder.rglob("*.css")):
            for link in OF_CSS.findall(file.read_text(encoding="utf-8")):
                yield f"{file.relative_to(self.folder)} loads {link}"

    def lacking(self, names: list[str]) -> Iterator[str]:
        """A line for each public name that the reference has no entry for."""
        entries: set[str] = set()
        entries = entries.union(
            *(page.anchors for file, page in self.pages.items() if "reference" in file.parts)
        )
        for name in names:
            if name not in entries:
                yield f"{name} has no entry in the reference"
