"""Who may write which label."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from scarce import label
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError
from scarce.lineage import Step


def dataset() -> Dataset:
    sources = ["given", "human", "rule", None, None, None, None]
    return Dataset.from_columns(
        Schema(modality="image", task="class", classes=("good", "torn")),
        {
            "id": list("abcdefg"),
            "label": ["good", "torn", "good", None, None, None, None],
            "label_source": sources,
            "split": ["train", "train", "train", "pool", "test", "val", None],
            "keep": [True, True, True, True, True, True, False],
        },
    )


def written(source: str, probs: np.ndarray | None = None) -> Dataset:
    new = label.Labels(np.arange(7), np.ones(7, int), source, probs)
    return label.with_labels(dataset(), new, Step(stage="label", name=source))


def test_a_model_overrules_nobody_and_labels_nothing_that_is_evaluated_on() -> None:
    ds = written("zero_shot")
    assert ds.table["label"].to_pylist() == ["good", "torn", "torn", "torn", None, None, None]
    assert ds.table["label_source"].to_pylist() == ["given", "human", "zero_shot", "zero_shot", None, None, None]


def test_people_may_label_everything_that_is_kept() -> None:
    ds = written("human")
    assert ds.table["label"].to_pylist() == ["torn"] * 6 + [None]


def test_soft_labels_go_with_the_label() -> None:
    probs = np.tile([0.3, 0.7], (7, 1))
    probs[2] = np.nan
    soft = written("rule", probs)["label_probs"]
    assert np.isnan(soft[[0, 1, 2, 4, 5, 6]]).all()
    assert soft[3] == pytest.approx([0.3, 0.7])
    assert not np.isfinite(written("human")["label_probs"]).any()


@pytest.mark.parametrize(
    "bad",
    [
        label.Labels(np.array([0, 0]), np.array([0, 1]), "human"),
        label.Labels(np.array([0]), np.array([2]), "human"),
        label.Labels(np.array([0]), np.array([1]), "humam"),
        label.Labels(np.array([0]), np.array([1]), "human", np.ones((1, 3))),
    ],
)
def test_what_does_not_fit_is_refused(bad: label.Labels) -> None:
    with pytest.raises(DataError):
        label.with_labels(dataset(), bad, Step(stage="label", name="test"))


def test_a_few_labels_do_not_cost_a_copy_of_all_as_objects() -> None:
    n, k = 40_000, 10
    names = tuple(f"c{code}" for code in range(k))
    schema = Schema(modality="image", task="class", classes=names)
    probs = np.full((n, k), 1 / k)
    ds = Dataset.from_columns(schema, {"id": [f"{row:06d}" for row in range(n)], "split": ["train"] * n})
    ds = label.with_labels(
        ds, label.Labels(np.arange(n), np.arange(n) % k, "rule", probs), Step(stage="label", name="x")
    )
    tracemalloc.start()
    after = label.with_labels(ds, label.Labels(np.array([3]), np.array([7]), "human"), Step(stage="label", name="y"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert after["label"][[2, 3, 4]].tolist() == [2, 7, 4]
    assert np.isnan(after["label_probs"][3]).all()
    np.testing.assert_allclose(after["label_probs"][4], 1 / k)
    assert peak < 12e6
