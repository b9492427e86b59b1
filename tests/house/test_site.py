"""The website without its generator: what `make site` would refuse is known before it is built."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import kissapi
from tests.pages import GUIDE, README, chapters, pages
from tests.site.__main__ import SETTINGS, navigation
from tests.site.html import Site
from tests.site.pages import everything, groups, linked, moved, place
from tests.site.reference import GROUPS, extras, names, reference


def of(entries: object) -> set[str]:
    """The pages of a navigation."""
    if isinstance(entries, str):
        return {entries}
    assert isinstance(entries, list)
    return set().union(*(of(value) for entry in entries for value in entry.values()))


def test_each_name_of_kissapi_is_in_one_group() -> None:
    grouped = [name for _, of_page in GROUPS.values() for name in of_page]
    assert sorted(grouped) == sorted(kissapi.__all__), "name it in tests/site/reference.py"


def test_each_public_name_has_an_entry() -> None:
    text = "".join(reference().values())
    assert [name for name in names() if f"::: {name}\n" not in text] == []
    assert {"kissapi.Router", "kissapi.extras.cors.cors", "kissapi.extras.websocket.WebSocket"} <= set(
        names()
    )


def test_the_navigation_has_every_page() -> None:
    settings = (SETTINGS / "zensical.toml").read_text(encoding="utf-8")
    nav = tomllib.loads(f"{settings}\n{navigation()}")["project"]["nav"]
    assert [title for tab in nav for title in tab] == ["Tour", "Guide", "Reference", "Examples"]
    made = {place(path) for path in everything()} | set(reference())
    assert of(nav) <= made
    assert {place(page) for page in pages()} | set(reference()) <= of(nav)
    assert [page for group in groups() for _, page in group.chapters] == chapters()


def test_links_lead_to_pages_of_the_site() -> None:
    made = {place(path) for path in everything()}
    for page in pages():
        text = page.read_text(encoding="utf-8")
        assert {place(target) for target in linked(page, text)} <= made
    assert (
        moved(README, "[a](examples/guide/files.md#x) `[b](LICENSE)`")
        == "[a](guide/files.md#x) `[b](LICENSE)`"
    )
    assert (
        moved(GUIDE / "index.md", "[a](../chat.py)\n![b](speed.svg)")
        == "[a](../examples/chat.py.md)\n![b](speed.svg)"
    )
    assert moved(GUIDE / "index.md", "[a](../../README.md), [b](#c)") == "[a](../index.md), [b](#c)"
    with pytest.raises(ValueError, match=r"README.md links to nowhere.md, which is not in the checkout"):
        linked(README, "[a](nowhere.md)")


def test_an_extra_says_what_is_public() -> None:
    assert {"auth", "cors", "files", "testing", "websocket"} <= {name for name, _ in extras()}


def test_what_is_broken_is_found(tmp_path: Path) -> None:
    (tmp_path / "reference").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="a">A</h1><a href="#a">1</a><a href="#b">2</a><a href="reference/x.html#kissapi.X">3</a>'
        '<a href="gone.html">4</a><a href="https://example.org/">5</a><img src="no.png">'
        '<script src="https://cdn.example/x.js"></script><link rel="stylesheet" href="x.css">'
    )
    (tmp_path / "reference" / "x.html").write_text('<h2 id="kissapi.X">X</h2>')
    (tmp_path / "x.css").write_text("@import url(//fonts.example/a.css); b { background: url(data:x) }")
    site = Site.read(tmp_path)
    assert list(site.broken()) == [
        "index.html: #b has no such anchor",
        "index.html: gone.html leads nowhere",
        "index.html: no.png leads nowhere",
    ]
    assert list(site.foreign()) == [
        "index.html loads https://cdn.example/x.js",
        "x.css loads //fonts.example/a.css",
    ]
    assert list(site.lacking(["kissapi.X", "kissapi.Y"])) == ["kissapi.Y has no entry in the reference"]
