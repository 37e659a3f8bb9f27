from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from scarce import evaluate
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError
from scarce.evaluate.next import between
from scarce.evaluate.variety import variety
from scarce.loop.judging import _unasked


def test_a_field_like_the_test_passes_and_a_wider_one_does_not() -> None:
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.data))
    x, y = data.data[order], data.target[order]
    alike = variety(x[:600], x[600:1000])
    assert alike.verdict == "as varied"
    assert alike.covered > 0.9
    assert 0.4 < alike.told_apart < 0.6
    narrow = variety(x[:600][y[:600] < 5], x[600:1000])
    assert narrow.verdict == "less varied"
    assert narrow.covered < alike.covered - 0.1
    assert (y[600:1000][narrow.strange[:50]] >= 5).mean() > 0.8, "what the test lacks is named first"
    with pytest.raises(DataError, match="20"):
        variety(x[:10], x)


def test_a_field_around_one_test_sample_is_not_as_varied() -> None:
    rng = np.random.default_rng(0)
    test = rng.normal(size=(200, 40))
    found = variety(test, test[:1] + 0.01 * rng.normal(size=(200, 40)))
    assert found.covered > 0.95, "it lies close enough"
    assert found.told_low > 0.9
    assert found.verdict == "different"


def test_few_field_samples_show_nothing() -> None:
    rng = np.random.default_rng(1)
    found = variety(rng.normal(size=(300, 10)), rng.normal(size=(25, 10)))
    assert found.low < 0.9
    assert found.high >= 0.95
    assert found.verdict == "not shown"


def test_the_next_list_names_doubtful_labels_missing_samples_and_subclasses() -> None:
    data = load_digits()
    merged = np.where(data.target == 1, 0, data.target)  # zeros and ones are called one class
    rows = np.flatnonzero(data.target < 4)
    names = ("round", "unused", "two", "three")
    y = merged[rows]
    ds = Dataset.from_columns(
        Schema(classes=names), {"id": [f"{row:05d}" for row in rows], "label": [names[code] for code in y]}
    )
    rng = np.random.default_rng(0)
    probs = rng.dirichlet([0.3] * 4, len(rows)) * 0.2
    probs[np.arange(len(rows)), y] += 0.8
    swapped = np.flatnonzero(y == 3)[:40]
    probs[swapped] = [0.01, 0.01, 0.97, 0.01]
    order = ds.rows_of([f"{row:05d}" for row in rows])
    placed, features = np.empty_like(probs), np.empty((len(rows), 64))
    placed[order], features[order] = probs, data.data[rows]
    found = evaluate.run(ds.fold((), ds.ids), placed, oof=None, features=features).to_json()["next"]
    first = found["pairs"][0]
    assert (first["true"], first["predicted"], first["n"]) == ("three", "two", 40)
    assert first["low"] < first["share"] < first["high"]
    assert first["needs"] == "more", "nothing is known of the labels without out-of-fold answers"
    report = evaluate.run(ds.fold(ds.ids[:2], ds.ids[2:]), placed[2:], oof=(y, probs)).to_json()["next"]["pairs"][0]
    assert report["needs"] == "cleaner"
    assert "labelled three are called two" in report["why"]
    assert len(found["classes"]["round"]["subclasses"]) >= 2, "zeros and ones lie apart"
    assert np.mean([row["spread"] for row in found["classes"].values()]) == pytest.approx(1.0)


def test_questions_lie_between_the_classes_of_the_pairs() -> None:
    probs = np.array([[0.5, 0.5, 0.0], [0.9, 0.1, 0.0], [0.0, 0.5, 0.5], [0.0, 0.9, 0.1], [0.4, 0.4, 0.2]])
    found = between(probs, [(0, 1), (1, 2)], np.array([0.3, 0.1]), 4)
    assert {row for row, pair in found if pair == 0} == {0, 4, 1}
    assert {row for row, pair in found if pair == 1} == {2}
    assert found[0] == (0, 0)
    assert len({row for row, _ in between(probs, [(0, 1), (0, 1)], np.ones(2), 5)}) == 5


def test_training_samples_are_counted_without_those_of_val() -> None:
    ids = [f"{row:02d}" for row in range(30)]
    ds = Dataset.from_columns(
        Schema(classes=("a", "b")),
        {"id": ids, "label": ["a", "b"] * 15, "split": ["train"] * 14 + ["val"] * 6 + ["test"] * 10},
    )
    probs = np.tile([0.9, 0.1], (10, 1))
    found = evaluate.run(ds.fold(ids[:20], ids[20:]), probs, oof=None).to_json()
    assert {name: row["train"] for name, row in found["per_class"].items()} == {"a": 7, "b": 7}
    assert found["next"]["pairs"][0]["train"] == 7
    fitted = {"a": {"real": 10, "augmented": 20}, "b": {"real": 9, "augmented": 0}}
    found = evaluate.run(ds.fold(ids[:20], ids[20:]), probs, oof=None, fitted=fitted).to_json()
    assert {name: row["train"] for name, row in found["per_class"].items()} == {"a": 10, "b": 9}
    assert found["next"]["pairs"][0]["train"] == 9
    assert "b has 9 training samples" in found["next"]["pairs"][0]["why"]


def test_nothing_to_ask_says_why() -> None:
    ds = Dataset.from_columns(Schema(classes=("a", "b")), {"id": ["1", "2"], "label": ["a", "b"]})
    some = [{"true": "a", "predicted": "b"}]
    assert _unasked(ds, some, [{"sample": "1"}]) is None
    assert "no two classes" in str(_unasked(ds, [], []))
    assert "no unlabelled sample" in str(_unasked(ds, some, []))
