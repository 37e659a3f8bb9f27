from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from scarce import split
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError
from scarce.split.by_time import assign_by_order


def diary(**columns: object) -> Dataset:
    start = datetime(2026, 1, 1)  # noqa: DTZ001 - the column has no zone
    values = {"id": [f"{(i * 7) % 100:04d}" for i in range(100)], "label": ["a", "b"] * 50}
    values["captured_at"] = [start + timedelta(hours=i) for i in range(100)]
    return Dataset.from_columns(Schema(classes=("a", "b")), {**values, **columns})


def test_the_newest_are_tested():
    out = split.run(diary(), splitter="by_time")
    when = out["captured_at"].astype("datetime64[us]")
    newest = {part: when[out["split"] == part] for part in ("train", "val", "test")}
    assert newest["train"].max() < newest["val"].min()
    assert newest["val"].max() < newest["test"].min()
    assert [len(newest[part]) for part in ("train", "val", "test")] == [70, 10, 20]


def test_a_group_counts_at_its_newest_sample():
    out = split.run(diary(group=["g", *[None] * 98, "g"]), splitter="by_time")
    rows = np.flatnonzero(out["group"] == "g")
    assert out["split"][rows].tolist() == ["test", "test"]
    half = diary(captured_at=[None] * 50 + diary().table["captured_at"].to_pylist()[50:])
    out = split.run(half, splitter="by-time")
    assert (out["split"][np.isnat(out["captured_at"].astype("datetime64[us]"))] == "train").all()


def test_needs_a_time():
    with pytest.raises(DataError, match="--time"):
        split.run(diary(captured_at=[None] * 100), splitter="by_time")


def test_equal_times_stay_together_and_closed_splits_are_empty():
    codes = assign_by_order(np.array([1, 1, 2, 2]), np.array([5, 5, 5, 5]), (0.5, 0.0, 0.5))
    assert codes.tolist() == [0, 0, 2, 2]
    assert set(assign_by_order(np.arange(10), np.ones(10), (0.8, 0.2, 0.0)).tolist()) == {0, 1}
