"""Scores under each condition, numbers included."""

from __future__ import annotations

import numpy as np
import pytest

from scarce.errors import ConfigError
from scarce.evaluate._base import Judged
from scarce.evaluate.per_slice import PerSlice


def judged(**slices: object) -> Judged:
    n = 400
    y = np.arange(n) % 2
    angle = np.linspace(-10, 10, n)
    right = np.where(angle > 5, 1 - y, y)  # it fails above five degrees
    probs = np.stack([1.0 - right, right], 1)
    return Judged(
        ids=np.arange(n).astype(str), y=y, probs=probs, classes=("a", "b"), groups=np.full(n, None, object),
        train_counts=np.array([5, 5]), slices={"angle": angle, **slices},
    )  # fmt: skip


def test_an_angle_is_cut_into_parts_and_the_part_where_it_fails_shows() -> None:
    rows = PerSlice().measure(judged())["angle"]
    assert list(rows) == ["-10 to -5", "-5 to 0", "0 to 5", "5 to 10"]
    assert [row["n"] for row in rows.values()] == [100, 100, 100, 100]
    assert [row["accuracy"] for row in rows.values()] == [1.0, 1.0, 1.0, 0.0]
    assert rows["5 to 10"]["high"] < 0.05


def test_names_few_numbers_and_missing_values_are_slices_and_row_numbers_are_not() -> None:
    camera = np.array(["north", "south", None, "north"] * 100, object)
    shift = np.array([1, 2, 3, 2] * 100)
    tables = PerSlice().measure(judged(camera=camera, shift=shift, row=np.arange(400), one=np.ones(400)))
    assert {name: row["n"] for name, row in tables["camera"].items()} == {"north": 200, "south": 100, "(missing)": 100}
    assert list(tables["shift"]) == ["1", "2", "3"]
    assert set(tables) == {"angle", "camera", "shift"}


def test_too_few_parts_are_refused() -> None:
    with pytest.raises(ConfigError, match="2 or more"):
        PerSlice(parts=1)


def test_large_numbers_are_written_whole() -> None:
    values = np.linspace(1234.5, 10583.0, 80)
    names = PerSlice()._names(values)
    assert not [name for name in names if "e+" in name]
    assert "10583" in names[-1]
