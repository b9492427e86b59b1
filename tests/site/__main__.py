"""Build the site into build/site and look for what is wrong with it: `make site`. Exit code 1 if anything is.

SITE_URL, in the environment, is the address that it will have: for the page of 404 and sitemap.xml.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from tests.browser import MISSING
from tests.pages import GUIDE, INDEX
from tests.places import BUILD, ROOT
from tests.site import looks
from tests.site.html import Site
from tests.site.pages import EXAMPLES, examples, groups, place, write
from tests.site.reference import GROUPS, extras, names

SETTINGS = GUIDE / "site"
PAGES = BUILD / "site-pages"  # what the site is made of
SITE = BUILD / "site"
PICTURES = BUILD / "site-looks"
PROGRAM = BUILD / "site-venv" / "bin" / "zensical"


def main() -> int:
    if not PROGRAM.exists():
        print(f"site: {PROGRAM} is missing: make site installs it", file=sys.stderr)
        return 1
    try:
        gather()
    except ValueError as error:  # a link to what is not there
        print(f"site: {error}", file=sys.stderr)
        return 1
    built = subprocess.run(
        [PROGRAM, "build", "--strict", "--clean"],
        cwd=PAGES,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if built.returncode:
        print(f"site: Zensical has failed\n{built.stdout}{built.stderr}", file=sys.stderr)
        return 1
    shutil.rmtree(SITE, ignore_errors=True)
    (PAGES / "site").rename(SITE)

    site = Site.read(SITE)
    wrong = [*site.broken(), *site.foreign(), *site.lacking(names())]
    if looks.available():
        wrong += looks.problems(SITE, PICTURES, urlsplit(os.environ.get("SITE_URL", "")).path.rstrip("/"))
        print(f"site: pictures for a look at it are in {PICTURES.relative_to(ROOT)}")
    else:
        print(f"site: not looked at in a browser: {MISSING}")
    for line in wrong:
        print(f"site: {line}", file=sys.stderr)
    links = sum(len(page.links) for page in site.pages.values())
    print(
        f"site: {len(site.pages)} pages, {links} links, {len(names())} public names, {len(wrong)} problems: "
        f"{(SITE / 'index.html').relative_to(ROOT)}"
    )
    return 1 if wrong else 0


def gather() -> None:
    """Write what Zensical makes the site of: pages, style sheet, settings, navigation."""
    shutil.rmtree(PAGES, ignore_errors=True)
    write(PAGES / "docs")
    for name in ("site.css", "iframe-worker.js"):
        shutil.copy(SETTINGS / name, PAGES / "docs")
    settings = (SETTINGS / "zensical.toml").read_text(encoding="utf-8")
    if url := os.environ.get("SITE_URL"):
        settings = settings.replace(
            "[project]\n", f"[project]\nsite_url = {json.dumps(url.rstrip('/') + '/')}\n", 1
        )
    (PAGES / "zensical.toml").write_text(f"{settings}\n{navigation()}", encoding="utf-8")


def navigation() -> str:
    """The navigation, as TOML: four tabs, each a list of pages or of groups of pages."""
    guide = [_entry("All chapters", place(INDEX))]
    for title, chapters in groups():
        guide.append(_entry(title, [_entry(name, place(page)) for name, page in chapters]))
    reference = [
        _entry("All names", "reference/index.md"),
        _entry("kissapi", [_entry(title, f"reference/{page}.md") for page, (title, _) in GROUPS.items()]),
        _entry("kissapi.extras", [_entry(name, f"reference/extras/{name}.md") for name, _ in extras()]),
    ]
    folders: dict[Path, list[str]] = {}
    for file in examples():
        folder = file.relative_to(EXAMPLES).parent
        folders.setdefault(folder, []).append(_entry(file.name, place(file)))
    inside = [_entry("All files", place(EXAMPLES)), *folders.pop(Path())]
    inside += [_entry(folder.as_posix(), pages) for folder, pages in folders.items()]
    tabs = [("Tour", "index.md"), ("Guide", guide), ("Reference", reference), ("Examples", inside)]
    return "".join(f"[[project.nav]]\n{_pair(title, pages)}\n" for title, pages in tabs)


def _entry(title: str, pages: str | list[str]) -> str:
    return f"{{ {_pair(title, pages)} }}"


def _pair(title: str, pages: str | list[str]) -> str:
    # A string of JSON is one of TOML as well.
    value = json.dumps(pages) if isinstance(pages, str) else f"[{', '.join(pages)}]"
    return f"{json.dumps(title)} = {value}"


if __name__ == "__main__":
    sys.exit(main())
