"""Curves with bands as a picture that needs no script, and the key that names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from scarce.report.chart import Axis, inside_ticks, tick_texts
from scarce.report.markup import Safe, tag

COLORS: Final = ("#5b6472", "#1769aa", "#c2410c", "#15803d", "#7e22ce", "#a16207", "#be185d",
          "#0f766e", "#4338ca", "#57534e")  # fmt: skip
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 860.0, 420.0, 76.0, 44.0, 14.0, 14.0


def lines(
    rows: Mapping[str, Mapping[str, Any]], title: str, *, y: str, x: str = "labels", aim: float | None = None,
    share: bool = True,
) -> Safe:  # fmt: skip
    """Return the picture below its title.

    Args:
        rows: name to ``x`` (its values, rising), ``mean``, ``low`` and ``high``, all of one length; ``dashed`` is
            optional.
        title: of the picture.
        y: what the heights are.
        x: key of the values along the width, and what stands below them.
        aim: height of the dashed line.
        share: heights are shares, written in percent.
    """
    every = [value for row in rows.values() for value in (*row["low"], *row["high"])]
    ticks = Axis.around([*every, *([] if aim is None else [aim])], zero=False).ticks
    low, high = ticks[0], ticks[-1]
    most, least = max(row[x][-1] for row in rows.values()), min(row[x][0] for row in rows.values())

    def place(along: float, score: float) -> str:
        across = LEFT + (WIDTH - LEFT - RIGHT) * (along - least) / ((most - least) or 1)
        return f"{across:.1f},{HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (score - low) / (high - low):.1f}"

    drawn: list[Safe] = []
    for score, said in zip(ticks, tick_texts(ticks, share=share), strict=True):
        drawn += _line(place(least, score), place(most, score), "grid")
        left, down = place(least, score).split(",")
        drawn.append(tag("text", said, x=float(left) - 6, y=float(down) + 4, text_anchor="end"))
    whole = all(float(value).is_integer() for row in rows.values() for value in row[x])
    steps = inside_ticks(least, most, whole=whole)
    for along, said in zip(steps, tick_texts(steps), strict=True):
        at = place(along, low).split(",")[0]
        drawn.append(tag("text", said, x=at, y=HEIGHT - BOTTOM + 18, text_anchor="middle"))
    middle = f"translate(14 {(TOP + HEIGHT - BOTTOM) / 2:.0f}) rotate(-90)"
    drawn.append(tag("text", y, x=0, y=0, text_anchor="middle", transform=middle))
    drawn.append(tag("text", x, x=(LEFT + WIDTH) / 2, y=HEIGHT - 6, text_anchor="middle"))
    if aim is not None:
        drawn += _line(place(least, aim), place(most, aim), "aim")
    for row, color in zip(rows.values(), _colors(rows), strict=True):
        edge = [place(*pair) for pair in zip(row[x], row["low"], strict=True)]
        edge += [place(*pair) for pair in zip(row[x][::-1], row["high"][::-1], strict=True)]
        drawn.append(tag("polygon", points=" ".join(edge), fill=color, fill_opacity="0.12"))
    for (name, row), color in zip(rows.items(), _colors(rows), strict=True):
        points = " ".join(place(*pair) for pair in zip(row[x], row["mean"], strict=True))
        dash = {"stroke_dasharray": "6 4"} if row.get("dashed") else {}
        drawn.append(
            tag("polyline", tag("title", name), points=points, fill="none", stroke=color, stroke_width="2", **dash)
        )
    chart = tag("svg", tag("title", title), *drawn, class_="curves", role="img", viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}")
    return titled(title, chart)


def titled(title: str, chart: Safe) -> Safe:
    """Return a picture below its title."""
    return tag("figure", tag("figcaption", tag("b", title[:1].upper() + title[1:])), chart)


def key(rows: Mapping[str, Any]) -> Safe:
    """Return the names of the curves in their colors."""
    items = [
        tag("li", tag("span", style=f"background:{color}"), name)
        for name, color in zip(rows, _colors(rows), strict=True)
    ]
    return tag("ul", items, class_="names")


def _line(start: str, end: str, class_: str) -> list[Safe]:
    (x1, y1), (x2, y2) = start.split(","), end.split(",")
    return [tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)]


def _colors(rows: Mapping[str, Any]) -> Sequence[str]:
    return [COLORS[number % len(COLORS)] for number in range(len(rows))]
