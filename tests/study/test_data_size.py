"""The study of sizes and augmentation, short, on real garments, questions and power curves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce import io, modality
from scarce.augment._lexicon import lexicon
from scarce.dataset import Dataset
from scarce.errors import ConfigError, DataError, UnknownNameError
from scarce.study._seeds import gain_over_seeds, judge, over_seeds, points, share_over_seeds, shares
from scarce.study.data_size import DataSize, _Work, conclusion, table_of

PICTURES = DataSize(sizes=(6,), epochs=(1, 2), policies=("flip_rotation",), most=12, judged=24, seeds=2, batch=12)
OTHERS = DataSize(sizes=(12,), copies=2, most=40, judged=60, seeds=2)


@pytest.fixture(scope="module")
def three(some_garments: Dataset) -> Dataset:
    """600 garments of the three classes that are there."""
    schema = type(some_garments.schema)(classes=("Trouser", "Pullover", "Bag"))
    return Dataset(schema, some_garments.table, some_garments.sources, steps=some_garments.steps)


@pytest.fixture(scope="module")
def curves(shared_data: Path) -> Dataset:
    """200 days of power demand; the last 40 are the test."""
    ds = modality.scan(io.read(shared_data / "time_series" / "ItalyPowerDemand.npz")).take(np.arange(200))
    return ds.with_columns({"split": ["train"] * 160 + ["test"] * 40})


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """Return what was found without what a clock says."""
    cells = [{name: value for name, value in row.items() if name != "training_seconds"} for row in body["cells"]]
    return {**body, "cells": cells, "seconds": None}


def test_it_goes_on_where_it_stopped_and_ends_the_same(three: Dataset, tmp_path: Path) -> None:
    journal = tmp_path / "data_size.jsonl"
    begun = PICTURES.run(three, journal=journal, minutes=0.0, seed=0)
    assert begun.body["seeds_done"] == 0
    assert len(journal.read_text("utf-8").splitlines()) == 2
    found = PICTURES.run(three, journal=journal, minutes=60.0, seed=0)
    assert found.body["seeds_done"] == 2
    assert [(row["size"], row["epochs"], row["arm"]) for row in found.body["cells"]] == [
        (size, epochs, arm) for size in (6, 12) for epochs in (1, 2) for arm in ("real", "flip_rotation")
    ]
    for row in found.body["cells"]:
        assert (row["test"] is not None) == (row["epochs"] == 2)
        assert row["training_seconds"]["mean"] > 0
        assert ("gain" in row) == (row["arm"] != "real")
    assert len(journal.read_text("utf-8").splitlines()) == 1 + 2 * 8 + 4
    unbroken = PICTURES.run(three, journal=None, minutes=60.0, seed=0)
    assert plain(unbroken.body) == plain(found.body)
    assert "<svg" in found.page
    assert "looked at once" in found.page
    head, rows = table_of(found.body)
    assert len(head) == len(rows[0])
    assert "Augmentation" in conclusion(found.body)
    json.dumps(found.body)


def test_series_learn_from_variants_too(curves: Dataset) -> None:
    found = OTHERS.run(curves, journal=None, minutes=60.0, seed=0)
    rows = {(row["size"], row["arm"]): row for row in found.body["cells"]}
    assert rows[12, "real"]["rows"] == 12
    assert rows[12, "series"]["rows"] == 36
    assert rows[40, "series"]["rows"] == 120
    assert rows[40, "real"]["balanced_accuracy"]["mean"] > 0.8
    assert rows[40, "real"]["epochs"] is None
    assert found.body["tested"] == 40
    assert rows[40, "series"]["test"]["accuracy"] > 0.8


def test_texts_learn_from_variants_too(shared_data: Path) -> None:
    try:
        lexicon("auto")
    except ConfigError:
        pytest.skip("WordNet is not installed: apt-get install wordnet-base")
    ds = modality.scan(io.read(shared_data / "text_small" / "trec.csv")).take(np.arange(300))
    study = replace(OTHERS, seeds=1, sizes=(20,), most=80, policies=("text",))
    found = study.run(ds, journal=None, minutes=60.0, seed=0)
    rows = {(row["size"], row["arm"]): row for row in found.body["cells"]}
    assert 20 < rows[20, "text"]["rows"] <= 60
    assert rows[80, "real"]["accuracy"]["mean"] > 0.3
    assert rows[80, "text"]["gain"]["low"] is None
    assert rows[80, "text"]["gain"]["verdict"] == "no evidence"


def test_smaller_sizes_are_parts_of_larger_ones_with_every_class(three: Dataset) -> None:
    work = _Work.of(three, PICTURES)
    own, judged = work.split(3)
    labels = three["label"]
    assert set(labels[own[:3]]) == {0, 1, 2}
    assert not set(own) & set(judged)
    shares = np.bincount(labels[own[:100]], minlength=3) / 100
    np.testing.assert_allclose(shares, np.bincount(labels[own], minlength=3) / len(own), atol=0.03)
    assert set(three["split"][own]) == {"train"}
    assert not np.array_equal(own, work.split(4)[0])


def test_verdicts_are_corrected_for_their_number() -> None:
    rng = np.random.default_rng(0)
    gains = [gain_over_seeds(rng.normal(mean, 0.01, 10)) for mean in (0.05, -0.05, 0.0)]
    judge(gains)
    assert [gain["verdict"] for gain in gains] == ["helps", "hurts", "no evidence"]
    assert all(gain["p_holm"] >= gain["p"] for gain in gains)
    alone = [gain_over_seeds(np.array([0.2]))]
    judge(alone)
    assert alone[0] | {"mean": 0.2, "low": None, "p": None, "p_holm": None, "verdict": "no evidence"} == alone[0]
    assert gain_over_seeds(np.zeros(4))["p"] == 1.0
    assert gain_over_seeds(np.zeros(4))["low"] is None, "an interval of width 0 would claim certainty"
    assert gain_over_seeds(np.full(2, 0.05))["p"] == 0.5, "two equal gains prove nothing"
    assert gain_over_seeds(np.full(8, 0.05))["p"] < 0.01


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"sizes": (6, 4000)}, ConfigError, r"sizes = \[6, 4000\].*are left to train on"),
        ({"sizes": (2,)}, ConfigError, "one of a class"),
        ({"seeds": 0}, ConfigError, "seeds = 0"),
        ({"copies": 21}, ConfigError, "at most 20 copies"),
        ({"policies": ("flip_rotatoin",)}, UnknownNameError, "flip_rotatoin"),
        ({"policies": ("series",)}, ConfigError, "policy series changes time_series"),
    ],
)
def test_bad_settings_are_explained(three: Dataset, change: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        replace(PICTURES, **change).run(three, journal=None, minutes=1.0, seed=0)


def test_bad_data_are_explained(some_garments: Dataset, shared_data: Path) -> None:
    with pytest.raises(DataError, match="T-shirt/top has 0"):
        PICTURES.run(some_garments, journal=None, minutes=1.0, seed=0)
    table = io.read(shared_data / "tabular_imbalanced" / "oil_spill.csv")
    with pytest.raises(DataError, match="this is tabular"):
        PICTURES.run(table, journal=None, minutes=1.0, seed=0)
    assert "Nothing" in conclusion({"cells": []})


def test_seeds_that_agree_give_no_interval() -> None:
    found = share_over_seeds(np.array([0.725, 0.725]))
    assert (found["low"], found["high"], found["no_interval"]) == (None, None, "the seeds agree")
    assert shares(found) == "72.5% (the seeds agree: no interval)"
    assert points(over_seeds(np.zeros(3))) == "+0.0 (the seeds agree: no interval)"
    assert points(over_seeds(np.array([0.01]))) == "+1.0"
    assert share_over_seeds(np.array([0.99, 1.0]))["high"] == 1.0
