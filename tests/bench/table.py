"""Table: figures as Markdown, and as a picture."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.picture import bars


@dataclass(frozen=True)
class Table:
    """`rows` below `head`; the first column is words, the others are figures."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    bars: Mapping[str, float] = field(default_factory=dict)  # the picture: a bar each
    unit: str = ""  # of the bars

    def markdown(self) -> str:
        ruler = ["---"] + ["---:"] * (len(self.head) - 1)
        lines = [f"| {' | '.join(cells)} |" for cells in (self.head, ruler, *self.rows)]
        return "\n".join([f"## {self.title}", "", *([self.note, ""] if self.note else []), *lines, ""])

    def draw(self, folder: Path) -> Path | None:
        """The file that it is drawn in, if there is something to draw."""
        if not self.bars:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"\W+", "-", self.title.partition(":")[0].lower())
        file = folder / f"{name}.svg"
        file.write_text(bars(self.title, self.bars, self.unit), encoding="utf-8")
        return file
