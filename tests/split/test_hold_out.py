from __future__ import annotations

import numpy as np
import pytest

from scarce import split
from scarce.dataset import Dataset, Schema
from scarce.errors import ConfigError, UnknownNameError


def cameras(**columns: object) -> Dataset:
    values = {"id": [f"{i:04d}" for i in range(90)], "label": ["a", "b"] * 45, "meta.camera": ["A", "B", "C"] * 30}
    return Dataset.from_columns(Schema(classes=("a", "b")), {**values, **columns})


def test_the_condition_is_the_test():
    out = split.run(cameras(), hold_out="camera=B")
    held = np.array(out.table["meta.camera"].to_pylist()) == "B"
    assert (out["split"][held] == "test").all()
    assert set(out["split"][~held]) == {"train", "val"}
    assert out.steps[-1].name == "hold_out"
    assert out.steps[-1].params["where"] == "camera=B"
    two = split.run(cameras(), hold_out="meta.camera=B, C")
    assert (two["split"] == "test").sum() == 60
    counts = split.conditions(out, "camera")
    assert counts["B"] == {"test": {"a": 15, "b": 15}}


def test_a_group_that_is_partly_held_out_does_not_train():
    out = split.run(cameras(group=["g0", "g0", *[None] * 88]), hold_out="camera=B")
    assert out["split"][:2].tolist() == ["pool", "test"]
    assert (out["split"] == "pool").sum() == 1
    assert any("held-out" in row["why"] for row in out.findings.to_pylist())


def test_numbers_and_narrow_columns():
    out = split.run(cameras(**{"meta.lot": [i % 5 for i in range(90)]}), hold_out="lot=3")
    assert (out["split"] == "test").sum() == 18
    out = split.run(cameras(source=["x"] * 80 + ["y"] * 10), hold_out="source=y")
    assert (out["split"][80:] == "test").all()


@pytest.mark.parametrize(("where", "error"), [("camera", ConfigError), ("=B", ConfigError), ("camera=", ConfigError)])
def test_badly_written(where, error):
    with pytest.raises(error, match="column=value"):
        split.run(cameras(), hold_out=where)


def test_unknown_names_are_hinted():
    with pytest.raises(UnknownNameError, match="camera"):
        split.run(cameras(), hold_out="camra=B")
    with pytest.raises(UnknownNameError, match="known are A, B, C"):
        split.run(cameras(), hold_out="camera=D")
    with pytest.raises(ConfigError, match="test already"):
        split.run(cameras(split=["test"] * 10 + [None] * 80), hold_out="camera=B")
