from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scarce.report.chart import (
    Axis,
    count_bars,
    forest_row,
    inside_ticks,
    log_place,
    reliability,
    strip,
    tick_texts,
)
from scarce.report.curve import Line, lines
from scarce.report.model import Interval

FRACTIONS = st.floats(-1, 1, allow_nan=False)


@given(st.lists(FRACTIONS, min_size=1, max_size=9))
def test_the_axis_holds_every_value_and_zero_in_order(values: list[float]) -> None:
    axis = Axis.around(values)
    assert axis.low <= min([*values, 0.0]) + 1e-9
    assert axis.high >= max([*values, 0.0]) - 1e-9
    assert 2 <= len(axis.ticks) <= 14
    places = [axis(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(axis.margin - 1e-6 <= place <= axis.width - axis.margin + 1e-6 for place in places)


def test_round_ticks() -> None:
    assert Axis.around([-0.012, 0.07]).ticks == pytest.approx((-0.02, 0.0, 0.02, 0.04, 0.06, 0.08))
    assert Axis.around([math.nan]).ticks[0] < 0


@pytest.mark.parametrize("verdict", ["helped", "hurt", "none"])
def test_a_forest_row_is_well_formed_and_says_its_numbers(verdict: str) -> None:
    axis = Axis.around([-0.01, 0.05])
    picture = forest_row(Interval(value=0.031, low=0.02, high=0.042), axis, verdict=verdict, detectable=0.02)
    root = ET.fromstring(picture)
    assert root.find("title").text == "+3.1 points, interval +2.0 to +4.2"
    whisker = next(line for line in root.iter("line") if line.get("class") == f"whisker {verdict}")
    assert float(whisker.get("x1")) == pytest.approx(axis(0.02), abs=0.06)
    assert float(whisker.get("x2")) == pytest.approx(axis(0.042), abs=0.06)


def test_without_bounds_nothing_pretends_to_know_them() -> None:
    root = ET.fromstring(strip(Interval(value=0.5), Axis.around([0, 1])))
    assert not [item for item in root.iter("rect") if item.get("class") == "range"]


def test_log_bars() -> None:
    assert log_place(1, 4000) == 0
    assert log_place(4000, 4000) == 1
    assert log_place(0, 4000) == 0
    root = ET.fromstring(count_bars(40, 1300, 4000, name="Ankle boot"))
    bars = [float(item.get("width")) for item in root.iter("rect")]
    assert bars[0] / 600 == pytest.approx(math.log10(40) / math.log10(4000), abs=1e-3)
    assert bars[1] > bars[0]


@given(st.floats(-100, 100), st.floats(0, 1000), st.booleans())
@example(0.0, 5e-324, False)
@example(100.0, 2e-7, False)
def test_ticks_between_two_ends_are_round_and_no_two_read_alike(low: float, wide: float, whole: bool) -> None:
    ticks = inside_ticks(low, low + wide, whole=whole)
    assert 1 <= len(ticks) <= 14
    if len(ticks) > 2:
        assert low - 1e-6 <= ticks[0]
        assert ticks[-1] <= low + wide + 1e-6
        texts = tick_texts(ticks)
        assert len(set(texts)) == len(texts)
        assert [float(text.replace(",", "")) for text in texts] == pytest.approx(ticks, abs=1e-9)


def test_epochs_are_whole_and_seconds_have_digits() -> None:
    assert tick_texts(inside_ticks(1, 2, whole=True)) == ["1", "2"]
    assert tick_texts(inside_ticks(0.3, 2.4)) == ["0.5", "1.0", "1.5", "2.0"]
    assert tick_texts((0.8, 0.805, 0.81), share=True) == ["80.0 %", "80.5 %", "81.0 %"]


def test_a_chart_of_many_places_has_round_ticks() -> None:
    points = tuple((0.058 + 0.05 * place, 0.1) for place in range(19))
    drawn = ET.fromstring(lines([Line("a", points)], ("t", "x", "y"), x_text=lambda value: f"{100 * value:.0f}"))
    ticks = [item.text for item in drawn.iter("text") if item.get("text-anchor") == "middle"]
    assert ticks[:5] == ["20", "40", "60", "80", "x"]


def test_reliability_dots_stay_within_the_frame() -> None:
    root = ET.fromstring(reliability([(0.0, 0.0, 9), (1.0, 1.0, 9), (0.0, 1.0, 9)]))
    frame = next(item for item in root.iter("rect") if item.get("fill") == "none")
    left, top = float(frame.get("x")), float(frame.get("y"))
    right, foot = left + float(frame.get("width")), top + float(frame.get("height"))
    dots = [item for item in root.iter("circle") if item.get("class") == "dot"]
    assert len(dots) == 3
    for dot in dots:
        x, y, r = (float(dot.get(name)) for name in ("cx", "cy", "r"))
        assert left - 0.1 <= x - r <= x + r <= right + 0.1
        assert top - 0.1 <= y - r <= y + r <= foot + 0.1


def test_reliability_leaves_out_empty_bins() -> None:
    root = ET.fromstring(reliability([(0.15, 0.1, 20), (math.nan, math.nan, 0), (0.95, 0.9, 200)]))
    assert len([item for item in root.iter("circle") if item.get("class") == "dot"]) == 2
