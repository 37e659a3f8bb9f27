"""Means with intervals, one line a method and one panel a setting, as a picture that needs no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scarce.report.chart import Axis, tick_texts
from scarce.report.markup import Safe, tag
from scarce.study._lines import titled

WIDTH, LINE, TOP, BOTTOM = 300.0, 18.0, 26.0, 30.0
FEWEST, LETTER = 190.0, 7.0
"""Pixels that names take at least, and that a letter takes."""


def forest(panels: Mapping[str, Mapping[str, Mapping[str, Any]]], title: str) -> Safe:
    """Return the picture.

    Args:
        panels: heading to method to ``mean``, ``low`` and ``high`` (None = not known), as shares; methods and their
            order are those of the first panel.
        title: of the picture.
    """
    methods = list(next(iter(panels.values())))
    left = max(FEWEST, LETTER * max(map(len, methods), default=0) + 16)
    every = [
        float(row[key]) for panel in panels.values() for row in panel.values() for key in ("low", "mean", "high")
        if row[key] is not None
    ]  # fmt: skip
    ticks = Axis.around(every, zero=False, most=5).ticks
    height = TOP + LINE * len(methods) + BOTTOM
    drawn: list[Safe] = [
        tag("text", name, x=left - 8, y=TOP + LINE * (place + 0.5) + 4, text_anchor="end")
        for place, name in enumerate(methods)
    ]
    for number, (heading, panel) in enumerate(panels.items()):
        drawn += _panel(heading, [panel.get(name) for name in methods], left + number * (WIDTH + 24), ticks)
    width = left + len(panels) * (WIDTH + 24)
    chart = tag("svg", tag("title", title), *drawn, class_="curves", role="img", viewBox=f"0 0 {width:g} {height:g}")
    return titled(title, tag("div", chart, class_="wide"))


def _panel(heading: str, rows: Sequence[Mapping[str, Any] | None], left: float, ticks: Sequence[float]) -> list[Safe]:
    foot = TOP + LINE * len(rows)

    def x(value: float) -> str:
        return f"{left + WIDTH * (value - ticks[0]) / (ticks[-1] - ticks[0]):.1f}"

    out = [tag("text", heading, x=left + WIDTH / 2, y=14, text_anchor="middle")]
    for tick, said in zip(ticks, tick_texts(ticks, share=True), strict=True):
        out.append(tag("line", x1=x(tick), x2=x(tick), y1=TOP, y2=foot, class_="grid"))
        out.append(tag("text", said, x=x(tick), y=foot + 16, text_anchor="middle"))
    for place, row in enumerate(rows):
        if row is None:
            continue
        y = TOP + LINE * (place + 0.5)
        if row["low"] is not None:
            out.append(tag("line", x1=x(row["low"]), x2=x(row["high"]), y1=y, y2=y, stroke="#1769aa", stroke_width=2))
        out.append(tag("circle", cx=x(row["mean"]), cy=y, r=4, fill="#1769aa"))
    return out
