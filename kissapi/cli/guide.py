"""Guide: `kissapi guide [chapter]` prints a chapter of the manual, which is installed with the package."""

from __future__ import annotations

from pathlib import Path

from kissapi.http.words import did_you_mean

FOLDER = Path(__file__).parent.parent / "guide"
INDEX = "index"


def chapter(name: str = INDEX) -> str:
    """The text of a chapter, by the name of its file. Raises `LookupError` that lists the chapters there are.

    >>> chapter("files").splitlines()[0]
    '# Files'
    """
    names = sorted(file.stem for file in FOLDER.glob("*.md"))
    if name not in names:
        hint = did_you_mean(name, names) or "."
        raise LookupError(f"the guide has no chapter {name!r}{hint} There are: {', '.join(names)}")
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")
