"""Charts as inline SVG, drawn by hand: intervals on a common axis, bars on a log scale, a reliability diagram.

Colors come from the page's style sheet, so that charts follow light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from scarce.report.markup import Safe, join, tag
from scarce.report.model import Interval
from scarce.report.words import known, percent, points

WIDTH = 400.0
BARS = 600.0


@dataclass(frozen=True)
class Axis:
    """A linear axis in fractions, mapped to 0..width with a margin on both sides."""

    low: float
    high: float
    ticks: tuple[float, ...]
    margin: float = 10.0
    width: float = WIDTH

    @classmethod
    def around(cls, values: Sequence[float], *, zero: bool = True, most: int = 6) -> Axis:
        """Return an axis with round ticks that holds all values (and zero)."""
        finite = [value for value in values if known(value)] + ([0.0] if zero else [])
        low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
        if high - low < 0.01:
            low, high = low - 0.005, high + 0.005
        step = _round_step((high - low) / most)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        return cls(first * step, last * step, tuple(index * step for index in range(first, last + 1)))

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        inside = min(max(value, self.low), self.high)
        return self.margin + (self.width - 2 * self.margin) * (inside - self.low) / (self.high - self.low)


def inside_ticks(low: float, high: float, *, most: int = 6, whole: bool = False) -> tuple[float, ...]:
    """Return round numbers from one end to the other, none beyond them; the ends where there are none.

    Args:
        low: one end of the scale.
        high: the other.
        most: steps at most.
        whole: whole numbers only, as for epochs.
    """
    if not high - low > 1e-9 * max(abs(low), abs(high), 1e-3):  # no digits tell more apart
        return (low,)
    step = _round_step((high - low) / most)
    step = max(1.0, round(step)) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(index * step for index in range(first, last + 1)) or (low, high)


def tick_texts(ticks: Sequence[float], *, share: bool = False) -> list[str]:
    """Return the ticks as text, with as many digits as tell them apart; of shares in percent."""
    size = 100.0 if share else 1.0
    steps = [size * (b - a) for a, b in pairwise(ticks)]
    digits = max(0, math.ceil(-math.log10(min(steps)) - 1e-9)) if steps else 0
    return [f"{size * tick + 0.0:,.{digits}f}" + " %" * share for tick in ticks]


def _round_step(rough: float) -> float:
    scale: float = 10.0 ** math.floor(math.log10(rough))
    return next(size * scale for size in (1, 2, 5, 10) if rough <= size * scale * (1 + 1e-9))


def _svg(height: float, *children: Safe, label: str, class_: str = "", width: float = WIDTH) -> Safe:
    return tag(
        "svg",
        tag("title", label),
        *children,
        class_=f"chart {class_}".strip(),
        role="img",
        viewBox=f"0 0 {width:g} {height:g}",
        preserveAspectRatio="none" if "stretch" in class_ else None,
    )


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Safe:
    return tag("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=class_)


def _text(x: float, y: float, words: str, class_: str = "tick", anchor: str = "middle") -> Safe:
    return tag("text", words, x=f"{x:.1f}", y=f"{y:.1f}", class_=class_, text_anchor=anchor)


def forest_axis(axis: Axis) -> Safe:
    """Return the axis above a forest plot, in points."""
    marks = [_text(axis(tick), 15, points(tick) if tick else "0") for tick in axis.ticks]
    return _svg(20, *marks, label="Gain in points")


def forest_row(interval: Interval, axis: Axis, *, verdict: str, detectable: float = math.nan) -> Safe:
    """Return one row of a forest plot: the interval as a bar, the estimate as a mark, no gain as a line.

    A shaded band shows the gains that this data could not have told from nothing.
    """
    children = [_line(axis(tick), 0, axis(tick), 44, "grid") for tick in axis.ticks]
    if known(detectable):
        left, right = axis(-detectable), axis(detectable)
        children.append(tag("rect", x=f"{left:.1f}", y="8", width=f"{right - left:.1f}", height="28", class_="band"))
    children.append(_line(axis(0), 0, axis(0), 44, "zero"))
    if known(interval.low) and known(interval.high):
        children.append(_line(axis(interval.low), 22, axis(interval.high), 22, f"whisker {verdict}"))
        ends = (interval.low, interval.high)
        children += [_line(axis(end), 16, axis(end), 28, f"cap {verdict}") for end in ends]
    if known(interval.value):
        children.append(_mark(axis(interval.value), 22, verdict))
    label = f"{points(interval.value)} points, interval {points(interval.low)} to {points(interval.high)}"
    return _svg(44, *children, label=label)


def _mark(x: float, y: float, verdict: str) -> Safe:
    size = 7.5
    if verdict == "helped":
        shape = f"M{x - size:.1f} {y + size * 0.8:.1f} L{x:.1f} {y - size:.1f} L{x + size:.1f} {y + size * 0.8:.1f} Z"
        return tag("path", d=shape, class_="mark helped")
    if verdict == "hurt":
        shape = f"M{x - size:.1f} {y - size * 0.8:.1f} L{x:.1f} {y + size:.1f} L{x + size:.1f} {y - size * 0.8:.1f} Z"
        return tag("path", d=shape, class_="mark hurt")
    return tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="6", class_="mark none")


def strip(interval: Interval, axis: Axis, *, class_: str = "", reference: float = math.nan) -> Safe:
    """Return a value on a track with its interval; a reference value is a thin line."""
    children = [_line(axis(axis.low), 11, axis(axis.high), 11, "track")]
    if known(reference):
        children.append(_line(axis(reference), 1, axis(reference), 21, "reference"))
    if known(interval.low) and known(interval.high):
        left, right = axis(interval.low), axis(interval.high)
        children.append(
            tag("rect", x=f"{left:.1f}", y="7", width=f"{max(right - left, 1):.1f}", height="8", rx="4", class_="range")
        )
    if known(interval.value):
        children.append(tag("circle", cx=f"{axis(interval.value):.1f}", cy="11", r="6", class_="dot"))
    label = f"{percent(interval.value)} %"
    if known(interval.low):
        label += f", interval {percent(interval.low)} to {percent(interval.high)}"
    return _svg(22, *children, label=label, class_=class_, width=axis.width)


def strip_axis(axis: Axis) -> Safe:
    """Return the axis of strips, in percent."""
    marks = [_text(axis(tick), 15, percent(tick, digits=0)) for tick in axis.ticks]
    return _svg(20, *marks, label="Percent", width=axis.width)


def log_place(value: float, top: float) -> float:
    """Return the place of a count on a log axis from 1 (at 0) to ``top`` (at 1); zero stands at 0."""
    return max(0.0, math.log10(max(value, 1)) / max(math.log10(max(top, 10)), 1e-9))


def count_bars(before: int, after: int, top: int, *, name: str) -> Safe:
    """Return two bars on a log scale: as the data came, and as it was trained on."""
    children = []
    for power in range(math.ceil(math.log10(max(top, 10))) + 1):
        x = BARS * log_place(10**power, top)
        if x <= BARS + 0.5:
            children.append(_line(x, 0, x, 30, "grid"))
    for y, value, class_ in ((4, before, "bar before"), (16, after, "bar after")):
        width = 0.0 if value == 0 else max(3.0, BARS * log_place(value, top))
        children.append(tag("rect", x="0", y=f"{y}", width=f"{width:.1f}", height="10", rx="2", class_=class_))
    return _svg(30, *children, label=f"{name}: {before:,} before, {after:,} after", class_="stretch", width=BARS)


def count_axis(top: int) -> Safe:
    """Return the log axis of :func:`count_bars`."""
    powers = [10**power for power in range(math.ceil(math.log10(max(top, 10))) + 1)]
    marks = []
    for value in powers:
        x = BARS * log_place(value, top)
        if x <= BARS + 0.5:
            marks.append(_text(x, 15, f"{value:,}", anchor="start" if x < 10 else "end" if x > BARS - 30 else "middle"))
    return _svg(20, *marks, label="Number of samples, logarithmic", width=BARS)


def reliability(bins: Sequence[tuple[float, float, int]]) -> Safe:
    """Return stated probability against the share that was right; the area of a dot is its number of samples."""
    size, margin, most = 320.0, 44.0, 11.0
    frame = size - margin - 14
    inner = frame - 2 * most  # the largest dot has room at both ends

    def x(value: float) -> float:
        return margin + most + inner * value

    def y(value: float) -> float:
        return 14 + most + inner * (1 - value)

    left, right, top, foot = margin, margin + frame, 14.0, 14.0 + frame
    children = [tag("rect", x=f"{left:.1f}", y=f"{top:.1f}", width=f"{frame:.1f}", height=f"{frame:.1f}", fill="none",
                    class_="grid")]  # fmt: skip
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        children += [_line(left, y(tick), right, y(tick), "grid"), _line(x(tick), top, x(tick), foot, "grid")]
        children += [
            _text(x(tick), size - 26, percent(tick, digits=0)),
            _text(36, y(tick) + 4, percent(tick, digits=0), anchor="end"),
        ]
    children.append(_line(x(0), y(0), x(1), y(1), "zero"))
    total = max((n for _, _, n in bins), default=1)
    dots = [(stated, right, n) for stated, right, n in bins if n and known(stated) and known(right)]
    if len(dots) > 1:
        path = " ".join(f"{x(stated):.1f},{y(right):.1f}" for stated, right, _ in dots)
        children.append(tag("polyline", points=path, class_="curve"))
    for stated, right, n in dots:
        radius = 3 + (most - 3) * math.sqrt(n / total)
        words = f"said {percent(stated)} %, right {percent(right)} %, {n:,} samples"
        dot = tag(
            "circle", tag("title", words), cx=f"{x(stated):.1f}", cy=f"{y(right):.1f}", r=f"{radius:.1f}", class_="dot"
        )
        children.append(dot)
    children.append(_text(x(0.5), size - 6, "how sure it says it is, %", "axis"))
    turned = tag(
        "text",
        "how often it is right, %",
        x="0",
        y="0",
        class_="axis",
        text_anchor="middle",
        transform=f"translate(11 {y(0.5):.0f}) rotate(-90)",
    )
    return tag(
        "svg",
        tag("title", "Reliability: stated probability against the share that was right"),
        join(*children),
        turned,
        class_="chart square",
        role="img",
        viewBox=f"0 0 {size:g} {size:g}",
    )
