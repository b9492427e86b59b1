"""The site in a real browser, from a server and from its folder: what is too wide, fails, or asks elsewhere.

Its pictures, wide and narrow, light and dark, are for people: build/site-looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kissapi import Router
from kissapi.extras.files import static
from tests.browser import CHROMIUM, DRIVER, Browser
from tests.serving import make, running

SIZES = {"wide": (1280, 900), "narrow": (390, 844)}
SCHEMES = ("light", "dark")
SHOWN = [
    "index.html", "guide/index.html", "guide/coming-from.html", "guide/limits.html", "guide/performance.html",
    "reference/index.html", "reference/router.html", "reference/extras/auth.html", "examples/index.html",
    "examples/chat.py.html",
]  # fmt: skip
WORD, CHAPTER = "multipart", "guide/forms.html"  # it must be among what a search for the word finds
# The search of the theme lives in a shadow root.
TYPE = """
const host = [...document.querySelectorAll("body > div")].find((element) => element.shadowRoot);
const input = host?.shadowRoot.querySelector("input");
if (!input) return false;
input.value = arguments[0];
input.dispatchEvent(new Event("input", { bubbles: true }));
return [...host.shadowRoot.querySelectorAll("a")].some((link) => link.href.includes(arguments[1]));
"""


def available() -> bool:
    """Whether there is a browser to look with."""
    return CHROMIUM is not None and DRIVER is not None


def problems(site: Path, pictures: Path, prefix: str) -> Iterator[str]:
    """A line for each problem. `prefix` is the path that the site will have on its host, "" for its root."""
    pictures.mkdir(parents=True, exist_ok=True)
    router = Router()
    router.mount("/", static(prefix or "/", site))
    with running(make("asyncio", router)) as server, Browser(network=True) as browser:
        served, here = server.url + prefix, site.resolve().as_uri()
        for root in (served, here):
            yield from _search(browser, root)
        yield from _narrow(browser, served, site)
        for size, (width, height) in SIZES.items():
            browser.resize(width, height)
            for scheme in SCHEMES:
                browser.prefer(scheme)
                for page in SHOWN:
                    browser.open(f"{served}/{page}")
                    name = page.removesuffix(".html").replace("/", "-")
                    (pictures / f"{name}-{size}-{scheme}.png").write_bytes(browser.picture())
        for url in sorted(set(browser.asked())):
            if not url.startswith((server.url, here, "data:", "blob:", "about:")):
                yield f"a page has asked for {url}"


def _search(browser: Browser, root: str) -> Iterator[str]:
    browser.resize(*SIZES["wide"])
    browser.open(f"{root}/index.html")
    browser.click(".md-search__button")
    try:
        browser.wait_for(TYPE, 20, WORD, CHAPTER)
    except AssertionError:
        yield f"{root}: a search for {WORD!r} does not find {CHAPTER}"
    yield from (f"{root}: {line}" for line in browser.console())


def _narrow(browser: Browser, root: str, site: Path) -> Iterator[str]:
    width, height = SIZES["narrow"]
    browser.resize(width, height)
    for file in sorted(site.rglob("*.html")):
        page = file.relative_to(site).as_posix()
        browser.open(f"{root}/{page}")
        wide = browser.run("return document.documentElement.scrollWidth")
        if wide > width:
            yield f"{page}: {wide} pixels wide on a screen of {width}"
        yield from (f"{page}: {line}" for line in browser.console())
