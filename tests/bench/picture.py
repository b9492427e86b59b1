"""Picture: figures as bars, as SVG that is read on light and on dark paper."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

WIDTH, LINE, LEFT = 720, 24, 250  # pixels: of the picture, of a bar with its gap, of the names
_GREY, _OURS = "#8b949e", "#2f81f7"


def bars(title: str, values: Mapping[str, float], unit: str) -> str:
    """An SVG with one bar for each of `values`; those of kissapi stand out.

    >>> bars("Speed", {"kissapi": 2.0, "another": 1.0}, "requests/s").count("<rect")
    2
    """
    most = max(values.values())
    height = LINE * (len(values) + 2)
    frame = f'viewBox="0 0 {WIDTH} {height}" role="img" font-family="system-ui, sans-serif" font-size="13"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {frame} fill="{_GREY}">',
        f"<title>{escape(title)}, {escape(unit)}</title>",
        f'<text x="0" y="{LINE * 0.7:.0f}" font-weight="bold">{escape(title)} ({escape(unit)})</text>',
    ]
    for row, (name, value) in enumerate(values.items(), 1):
        top, length = row * LINE + 6, (WIDTH - LEFT - 90) * value / most
        ours = "kissapi" in name
        colour = _OURS if ours else _GREY
        weight = ' font-weight="bold"' if ours else ""
        figure = f"{value:,.0f}" if most >= 100 else f"{value:.1f}"
        parts += [
            f'<text x="{LEFT - 8}" y="{top + 13}" text-anchor="end"{weight}>{escape(name)}</text>',
            f'<rect x="{LEFT}" y="{top}" width="{length:.1f}" height="{LINE - 6}" rx="2" fill="{colour}"/>',
            f'<text x="{LEFT + length + 6:.1f}" y="{top + 13}"{weight}>{figure}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
