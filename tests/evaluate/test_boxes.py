from __future__ import annotations

import numpy as np
import pytest

from scarce.errors import DataError
from scarce.evaluate.boxes import boxes
from scarce.metric.box import Boxes, mean_average_precision


def scene(seed: int) -> tuple[Boxes, Boxes]:
    rng = np.random.default_rng(seed)
    picture = np.repeat(np.arange(20), 3)
    corners = rng.random((60, 4)) * 50
    corners[:, 2:] = corners[:, :2] + 10 + corners[:, 2:]
    label = rng.integers(0, 2, 60)
    moved = corners + rng.normal(0, 2, (60, 4))
    truth = Boxes(picture=picture, corners=corners, label=label)
    return truth, Boxes(picture=picture, corners=moved, label=label, score=rng.random(60))


def test_the_figures_are_those_of_the_metric_with_intervals_around() -> None:
    truth, found = scene(3)
    told = boxes(truth, found, ("a", "b", "c"), np.arange(20) // 2, repeats=60, seed=1)
    want = mean_average_precision(truth, found)
    assert told["mean_average_precision"]["value"] == pytest.approx(want.mean)
    assert told["at_50"]["value"] == pytest.approx(want.at_50)
    assert told["per_class"]["a"]["mean_average_precision"]["value"] == pytest.approx(want.per_class[0])
    assert told["per_class"]["c"] == {"n": 0, "mean_average_precision": None, "at_50": None, "recall_50": None}
    row = told["mean_average_precision"]
    assert row["low"] < row["value"] < row["high"]


def test_nothing_to_judge() -> None:
    truth, found = scene(3)
    empty = Boxes(picture=np.zeros(0, int), corners=np.zeros((0, 4)), label=np.zeros(0, int))
    with pytest.raises(DataError, match="no test picture"):
        boxes(empty, found, ("a", "b"), np.arange(20))
    with pytest.raises(DataError, match="no scores"):
        boxes(truth, truth, ("a", "b"), np.arange(20))
