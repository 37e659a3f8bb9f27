"""Line charts as inline SVG: values over a scale, each with its interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scarce.report.chart import Axis, inside_ticks
from scarce.report.markup import Safe, join, tag
from scarce.report.words import known, percent

WIDE, HIGH, LEFT, BELOW, ABOVE = 320.0, 210.0, 44.0, 40.0, 12.0


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        name: for the legend.
        points: (x, y) or (x, y, low, high); y and its bounds are shares.
        other: it stands beside the one that is judged.
    """

    name: str
    points: tuple[tuple[float, ...], ...]
    other: bool = False


def lines(
    given: Sequence[Line], names: tuple[str, str, str], *, x_text: Callable[[float], str] = "{:g}".format,
    zero: bool = True, in_percent: bool = True,
) -> Safe:  # fmt: skip
    """Return a chart of lines over one scale, with a legend where there are several.

    Args:
        given: the lines.
        names: of the chart, of the scale and of the values.
        x_text: how a place on the scale is written.
        zero: whether the values' axis starts at 0.
        in_percent: values are shares, and are written in percent.
    """
    title, x_name, y_name = names
    flat = [point for line in given for point in line.points]
    ends = [point[0] for point in flat]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    values = [value for point in flat for value in point[1:] if known(value)]
    axis = Axis.around(values, zero=zero, most=5)

    def x(value: float) -> float:
        return LEFT + (WIDE - LEFT - 14) * ((value - low) / (high - low) if high > low else 0.5)

    def y(value: float) -> float:
        return ABOVE + (HIGH - BELOW - ABOVE) * (axis.high - value) / (axis.high - axis.low)

    def said(value: float) -> str:
        return percent(value, digits=0) if in_percent else f"{value:.3g}"

    marks = [_rule(LEFT, y(tick), WIDE - 14, y(tick)) for tick in axis.ticks]
    marks += [_word(LEFT - 6, y(tick) + 4, said(tick), "end") for tick in axis.ticks]
    marks += [_word(x(place), HIGH - BELOW + 16, x_text(place), "middle") for place in _places(ends)]
    for line in given:
        kind = "other" if line.other else "own"
        spread = [point for point in line.points if len(point) == 4 and known(point[2]) and known(point[3])]
        if len(spread) > 1:
            edge = [f"{x(a):.1f},{y(high_):.1f}" for a, _, _, high_ in spread]
            edge += [f"{x(a):.1f},{y(low_):.1f}" for a, _, low_, _ in reversed(spread)]
            marks.append(tag("polygon", points=" ".join(edge), class_=f"band {kind}"))
        path = " ".join(f"{x(point[0]):.1f},{y(point[1]):.1f}" for point in line.points if known(point[1]))
        marks.append(tag("polyline", points=path, class_=f"curve {kind}"))
        for point in line.points:
            if known(point[1]):
                words = f"{x_text(point[0])}: {said(point[1])}"
                marks.append(tag("circle", tag("title", words), cx=f"{x(point[0]):.1f}", cy=f"{y(point[1]):.1f}",
                                 r="3", class_=f"dot {kind}"))  # fmt: skip
    marks.append(_word(LEFT + (WIDE - LEFT) / 2, HIGH - 6, x_name, "middle", "axis"))
    turn = f"translate(11 {y((axis.low + axis.high) / 2):.0f}) rotate(-90)"
    marks.append(tag("text", y_name, x="0", y="0", class_="axis", text_anchor="middle", transform=turn))
    chart = tag("svg", tag("title", title), join(*marks), class_="chart", role="img",
                viewBox=f"0 0 {WIDE:g} {HIGH:g}")  # fmt: skip
    keys = [tag("span", tag("span", "", class_=f"key {'other' if line.other else 'own'}"), line.name) for line in given]
    legend = tag("p", keys, class_="legend") if len(given) > 1 else None
    return tag("figure", chart, tag("figcaption", tag("b", title), legend), class_="curves")


def _places(ends: Sequence[float], most: int = 5) -> list[float]:
    """Return the places themselves where they are few, else round numbers between the ends."""
    found = sorted(set(ends))
    if len(found) <= most:
        return found
    return list(inside_ticks(found[0], found[-1], most=most, whole=all(float(end).is_integer() for end in found)))


def _rule(x1: float, y1: float, x2: float, y2: float) -> Safe:
    return tag("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_="grid")


def _word(x: float, y: float, text: str, anchor: str, class_: str = "tick") -> Safe:
    return tag("text", text, x=f"{x:.1f}", y=f"{y:.1f}", class_=class_, text_anchor=anchor)
