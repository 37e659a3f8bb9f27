from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest

from scarce import augment
from scarce.augment import Policy, policy
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError, LeakError, UnknownNameError
from scarce.recipe import render


def data(**columns: Any) -> Dataset:
    """Six samples of a, three of b in train; one of each in val and test; one b set aside."""
    label = ["a"] * 6 + ["b"] * 3 + ["a", "b", "a", "b", "b"]
    values = {
        "id": [f"{row:02d}" for row in range(14)],
        "label": label,
        "split": ["train"] * 9 + ["val", "val", "test", "test", "train"],
        "split_group": [f"g{row}" for row in range(14)],
        "keep": [True] * 13 + [False],
        "meta.camera": ["left", "right"] * 7,
        "source": ["s"] * 14,
        "uri": [f"{row}.png" for row in range(14)],
        "content_hash": [f"{row:032x}" for row in range(14)],
    }
    return Dataset.from_columns(Schema(classes=("a", "b")), {**values, **columns}, sources={"s": "."})


def test_rows_are_appended_with_parents_recipes_and_inherited_columns() -> None:
    ds = data()
    grown = augment.run(ds, "natural", counts={"b": 7, "a": 2}, seed=3)
    new = grown.take(grown["origin"] == "augmented")
    assert Counter(new.table["label"].to_pylist()) == {"b": 7, "a": 2}
    assert set(new["split"]) == {"train"}
    assert set(new["label_source"]) == {"inherited"}
    assert grown.take(grown["origin"] == "real").table.equals(ds.table)
    for row in new.table.to_pylist():
        (parent,) = row["parents"]
        original = ds.table.slice(int(ds.rows_of([parent])[0]), 1).to_pylist()[0]
        assert json.loads(row["recipe"])["base"] == parent
        assert original["split"] == "train"
        assert all(row[name] == original[name] for name in ("label", "split_group", "meta.camera"))
        assert row["uri"] is None
        assert row["content_hash"] not in set(ds["content_hash"])
    assert grown.steps[-1].stage == "augment"
    assert "opencv" in grown.steps[-1].versions


def test_parents_are_taken_in_turn_and_each_copy_is_another() -> None:
    grown = augment.run(data(), "natural", counts={"b": 7})
    rows = grown.take(grown["origin"] == "augmented").table.to_pylist()
    assert sorted(Counter(row["parents"][0] for row in rows).values()) == [2, 2, 3]
    image = np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)
    pixels = {render(row["recipe"], lambda _: image).tobytes() for row in rows if row["parents"] == rows[0]["parents"]}
    assert len(pixels) == sum(row["parents"] == rows[0]["parents"] for row in rows)


def test_a_second_run_makes_other_copies() -> None:
    once = augment.run(data(), "natural", counts={"b": 3})
    twice = augment.run(once, "natural", counts={"b": 3})
    assert Counter(json.loads(recipe)["copy"] for recipe in twice["recipe"] if recipe) == {0: 3, 1: 3}


def test_the_cap_bounds_copies_and_is_told() -> None:
    grown = augment.run(data(), "natural", counts={"b": 50}, cap=4)
    assert (grown["origin"] == "augmented").sum() == 12
    (finding,) = grown.findings.to_pylist()
    assert finding["members"] == ["b"]
    assert "12 of 50" in finding["why"]
    again = augment.run(grown, "natural", counts={"b": 5}, cap=4)
    assert len(again) == len(grown)


def test_the_same_seed_gives_the_same_rows_and_another_seed_others() -> None:
    first, second, other = (augment.run(data(), "gray", counts={"a": 9}, seed=seed) for seed in (1, 1, 2))
    assert first.table.equals(second.table)
    assert set(first["recipe"]) != set(other["recipe"])


def test_growing_before_the_split_is_refused() -> None:
    with pytest.raises(LeakError, match="no split"):
        augment.run(data(split=[None] * 14), "natural", counts={"a": 1})


def test_validation_and_test_samples_are_never_grown() -> None:
    with pytest.raises(LeakError, match="09 is val"):
        augment.run(data(), "natural", counts={"a": 1}, ids=["00", "09"])
    only = augment.run(data(), "natural", counts={"a": 8}, ids=["00", "02"])
    assert {row["parents"][0] for row in only.table.to_pylist() if row["parents"]} == {"00", "02"}


def test_a_class_without_training_samples_is_explained() -> None:
    split = ["train"] * 6 + ["test"] * 8
    with pytest.raises(DataError, match="6 of its samples are in other splits"):
        augment.run(data(split=split), "natural", counts={"b": 4})
    with pytest.raises(UnknownNameError, match="did you mean"):
        augment.run(data(), "natural", counts={"bb": 4})
    with pytest.raises(DataError, match="-1"):
        augment.run(data(), "natural", counts={"a": -1})


def test_nothing_asked_changes_nothing() -> None:
    ds = data()
    assert augment.run(ds, policy("gray"), counts={"a": 0}) is ds


def test_an_empty_policy_still_gives_rows() -> None:
    grown = augment.run(data(), Policy(()), counts={"b": 3})
    assert (grown["origin"] == "augmented").sum() == 3


def test_a_fold_does_not_see_copies_of_its_evaluation_side() -> None:
    grown = augment.run(data(), "natural", counts={"a": 12})
    real = grown.ids[(grown["origin"] == "real") & (grown["split"] == "train")]
    fold = grown.fold(real[1:], real[:1])
    seen = [row["parents"] for row in fold.train.table.to_pylist() if row["origin"] == "augmented"]
    assert len(seen) == 10
    assert [real[0]] not in seen
