"""Table: figures as Markdown; and as a picture, where matplotlib is installed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Table:
    """`rows` below `head`; the first column is words, the others are figures."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    bars: Mapping[str, float] = field(default_factory=dict)  # the picture: a bar each …
    lines: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)  # … or a line each
    axes: tuple[str, str] = ("", "")

    def markdown(self) -> str:
        ruler = ["---"] + ["---:"] * (len(self.head) - 1)
        lines = [f"| {' | '.join(cells)} |" for cells in (self.head, ruler, *self.rows)]
        return "\n".join([f"## {self.title}", "", *([self.note, ""] if self.note else []), *lines, ""])

    def draw(self, folder: Path) -> Path | None:
        """The file it is drawn in, if there is something to draw and matplotlib to draw it."""
        if not (self.bars or self.lines):
            return None
        try:
            from matplotlib import pyplot as plt
        except ImportError:
            return None
        plt.switch_backend("agg")
        height = 1 + 0.25 * len(self.bars) if self.bars else 6
        figure, axes = plt.subplots(figsize=(9, height), layout="constrained")
        if self.bars:
            axes.barh(list(self.bars), list(self.bars.values()))
            axes.invert_yaxis()
        for name, points in self.lines.items():
            axes.loglog(*zip(*points, strict=True), marker="o", label=name)
        if self.lines:
            axes.legend()
        axes.set_xlabel(self.axes[0])
        axes.set_ylabel(self.axes[1])
        axes.set_title(self.title)
        folder.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"\W+", "-", self.title.partition(":")[0].lower())
        file = folder / f"{name}.png"
        figure.savefig(file, dpi=120)
        plt.close(figure)
        return file
