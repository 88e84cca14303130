"""The chart: wall time over the floor, and peak memory, over the size of the corpus. SVG, written by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 960, 430
COLOURS = {
    "teapot": "#c2410c",
    "teapot-1": "#ea9a5f",
    "teapot-2": "#c2410c",
    "hf-datasets": "#7c3aed",
    "polars": "#0369a1",
    "polars-streaming": "#38a3d1",
    "duckdb": "#4d7c0f",
    "duckdb-1gb": "#9bbf4a",
}
FONT = 'font-family="system-ui, sans-serif" font-size="12"'
GAP = 15
"""Pixels between two labels."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One diagram. ``left`` and ``width`` are of the drawing area; the y axis is logarithmic from ``low`` to ``high``."""

    title: str
    key: str
    left: int
    width: int
    low: float
    high: float
    ticks: Sequence[float]

    def y(self, value: float) -> float:
        part = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return round(370 - 310 * part, 1)

    def x(self, number: int, count: int) -> float:
        return round(self.left + self.width * (number + 0.5) / count, 1)


def panel(title: str, key: str, left: int, values: list[float]) -> Panel:
    """A panel whose axis holds all values, in steps of 1, 2, 5."""
    low, high = min(values, default=1), max(values, default=10)
    steps = [step * 10.0**power for power in range(-2, 7) for step in (1, 2, 5)]
    bottom = max(step for step in steps if step <= low)
    top = min(step for step in steps if step >= high and step > bottom)
    return Panel(title, key, left, 250, bottom, top, [step for step in steps if bottom <= step <= top])


def spread(wanted: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """The labels' heights, moved so that none covers another."""
    placed: list[tuple[float, str]] = []
    for height, name in sorted(wanted):
        placed.append((max(height, placed[-1][0] + GAP) if placed else height, name))
    over = placed[-1][0] - 380 if placed else 0
    return [(height - max(0.0, over), name) for height, name in placed]


def label_of(name: str, summaries: Mapping[str, Mapping[str, Any]]) -> str:
    return str(next(one["variants"][name]["label"] for one in summaries.values() if name in one["variants"]))


def lines(one: Panel, summaries: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """A line with points for each variant, and its label at the right."""
    sizes = list(summaries)
    drawn: list[str] = []
    ends: list[tuple[float, str]] = []
    for name in names:
        found = [(i, summaries[size]["variants"].get(name, {}).get(one.key)) for i, size in enumerate(sizes)]
        points = [(one.x(i, len(sizes)), one.y(value)) for i, value in found if value is not None]
        if not points:
            continue
        where = " ".join(f"{x},{y}" for x, y in points)
        drawn.append(f'<polyline points="{where}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
        drawn += [f'<circle cx="{x}" cy="{y}" r="3.5" fill="{COLOURS[name]}"/>' for x, y in points]
        ends.append((points[-1][1], name))
    for height, name in spread(ends):
        drawn.append(
            f'<text x="{one.left + one.width + 6}" y="{height + 4:.1f}" fill="{COLOURS[name]}">{escape(label_of(name, summaries))}</text>'
        )
    return drawn


def frame(one: Panel, sizes: Sequence[str]) -> list[str]:
    """The title, the axes and their ticks."""
    drawn = [f'<text x="{one.left}" y="32" font-weight="600">{escape(one.title)}</text>']
    for tick in one.ticks:
        y = one.y(tick)
        drawn.append(f'<line x1="{one.left}" x2="{one.left + one.width}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        drawn.append(f'<text x="{one.left - 6}" y="{y + 4}" text-anchor="end" fill="#555">{tick:g}</text>')
    for i, size in enumerate(sizes):
        drawn.append(f'<text x="{one.x(i, len(sizes))}" y="395" text-anchor="middle" fill="#555">{escape(size)}</text>')
    return drawn


def svg(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """The chart of what was measured; without a measurement it says so."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" {FONT}>'
    body = ["<title>Wall time and memory over the size of the corpus</title>", f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>']
    names = [name for name in COLOURS if any(name in one["variants"] for one in summaries.values())]
    if not names:
        body.append(f'<text x="{WIDTH // 2}" y="{HEIGHT // 2}" text-anchor="middle" fill="#555">Not measured yet: make bench</text>')
    else:
        for title, key, left in (
            ("Wall time, as a multiple of the floor", "wall", 50),
            ("All processes together, peak MiB", "together_mib", 530),
        ):
            found = [one["variants"].get(name, {}).get(key) for one in summaries.values() for name in names]
            one = panel(title, key, left, [value for value in found if value is not None])
            body += [*frame(one, list(summaries)), *lines(one, summaries, names)]
    return "\n".join([head, *body, "</svg>"]) + "\n"
