"""The driver on data sets: who may be asked about, copies, costs, cold starts, and what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from scarce import registry
from scarce.dataset import Dataset, Schema
from scarce.errors import ConfigError, DataError, UnknownNameError
from scarce.label.query import Batch, Scope, run
from scarce.testing import tiny_dataset

NAMES = registry.names("label.query")


def partly(known: int = 24, **columns: Any) -> Dataset:
    """The tiny dataset with some labels left, at least one of each class."""
    ds = tiny_dataset()
    order = np.random.default_rng(1).permutation(88)
    codes = ds["label"]
    first = [int(order[codes[order] == code][0]) for code in range(3)]
    keep = np.zeros(88, bool)
    keep[[*first, *order[:known].tolist()]] = True
    ds = ds.with_columns({"label": np.where(keep, codes, -1), **columns})
    return replace(ds, wide={"embedding.tiny": ds.wide["embedding.tiny"]})


def rows_of(ds: Dataset, batch: Batch) -> np.ndarray:
    return ds.rows_of([one.id for one in batch.samples])


@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_chooses_unlabeled_samples_and_says_why(name: str) -> None:
    ds = partly()
    before = ds.table
    batch = run(ds, name, budget=8)
    rows = rows_of(ds, batch)
    assert batch.strategy == name
    assert len(set(rows.tolist())) == 8
    assert (ds["label"][rows] == -1).all()
    assert [one.place for one in batch.samples] == list(range(1, 9))
    assert all(len(one.why) > 15 for one in batch.samples)
    assert run(ds, name, budget=8) == batch
    order = np.random.default_rng(0).permutation(len(ds))
    assert ds.table.equals(before)
    if "seed" not in batch.params:  # others draw from the rows in their order
        assert {one.id for one in run(ds.take(order), name, budget=8).samples} == {one.id for one in batch.samples}


def test_val_and_test_only_if_told_and_set_aside_never() -> None:
    split = ["test"] * 20 + ["val"] * 20 + ["train"] * 20 + [None] * 28
    ds = partly(0, split=split, keep=[row % 2 == 0 for row in range(88)])
    ds = ds.with_columns({"label": np.full(88, -1)})
    asked = rows_of(ds, run(ds, "random", budget=500))
    assert not np.isin(ds["split"][asked].astype(str), ("val", "test")).any()
    assert ds["keep"][asked].all()
    assert len(asked) == 24
    told = rows_of(ds, run(ds, "random", budget=500, scope=Scope(include=("test",))))
    assert set(ds["split"][told].astype(str)) == {"test", "train", "None"}
    with pytest.raises(UnknownNameError, match="train"):
        run(ds, scope=Scope(include=("train",)))


def test_labels_of_val_and_test_teach_nothing() -> None:
    ds = tiny_dataset()
    label = np.where(np.arange(88) < 40, ds["label"], -1)
    ds = ds.with_columns({"label": label, "split": ["test"] * 40 + ["pool"] * 48})
    batch = run(ds, "margin", budget=5)
    assert batch.labeled == 0
    assert batch.strategy == "typi_clust"
    assert "margin needs a model, and 0 samples of 0 classes have a label" in batch.notes[0]


def test_auto_starts_cold_and_goes_on_with_a_model() -> None:
    assert run(partly(4)).strategy == "typi_clust"
    assert run(partly(30)).strategy == "priority"
    nothing = partly(0).with_columns({"label": np.full(88, -1)})
    assert run(nothing, budget=3).strategy == "typi_clust"
    assert len(run(nothing, "rare_class", budget=5).samples) == 5


def test_a_budget_above_the_pool_returns_the_pool_and_says_so() -> None:
    ds = partly(24)
    batch = run(ds, "margin", budget=1000)
    assert len(batch.samples) == batch.pool == int((ds["label"] < 0).sum())
    assert "larger than the pool" in batch.notes[-1]


def test_an_empty_pool_is_told_with_where_the_samples_are() -> None:
    with pytest.raises(DataError, match=r"no sample is left to ask about. of 88 samples: 88 labeled"):
        run(tiny_dataset())
    ds = tiny_dataset().with_columns({"label": np.full(88, -1), "split": ["test"] * 88})
    with pytest.raises(DataError, match=r"88 in val or test\. add samples, or name val or test"):
        run(ds)
    with pytest.raises(DataError, match="there are 0 samples"):
        run(Dataset.from_columns(Schema(classes=("a",)), {"id": []}))


def test_what_waits_for_an_answer_is_not_asked_again() -> None:
    ds = partly(24)
    first = run(ds, "core_set", budget=6)
    waiting = [one.id for one in first.samples]
    second = run(ds, "core_set", budget=6, scope=Scope(asked=waiting))
    assert not {one.id for one in second.samples} & set(waiting)
    both = run(ds, "core_set", budget=12)
    assert [one.id for one in both.samples] == [*waiting, *(one.id for one in second.samples)]
    with pytest.raises(DataError, match="asked about already"):
        run(ds, scope=Scope(asked=ds.ids.tolist()))


def test_samples_without_features_are_left_out_with_a_note() -> None:
    ds = partly(24)
    open_ = np.flatnonzero(ds["label"] < 0)
    features = ds["embedding.tiny"].copy()
    features[open_[:7]] = np.nan
    ds = ds.with_columns({"embedding.tiny": features})
    batch = run(ds, "core_set", budget=500)
    assert not np.isin(rows_of(ds, batch), open_[:7]).any()
    assert "7 samples have no features" in batch.notes[0]


def test_a_batch_holds_no_copy_twice_however_it_is_known() -> None:
    ds = partly(24)
    open_ = np.flatnonzero(ds["label"] < 0)
    hashes = ds["content_hash"].copy()
    hashes[open_[:10]] = "same"
    features = ds["embedding.tiny"].copy()
    rng = np.random.default_rng(0)
    features[open_[10:20]] = features[open_[10]] + 1e-3 * rng.normal(size=(10, 16))
    ds = ds.with_columns({"content_hash": hashes.tolist(), "embedding.tiny": features.astype(np.float32)})
    pair = {"level": "pair", "members": [str(ds.ids[row]) for row in open_[20:22]], "score": 1.0, "why": "alike"}
    ds = ds.with_findings("near_duplicate", [pair])
    for name in NAMES:
        rows = rows_of(ds, run(ds, name, budget=500))
        for start, end in ((0, 10), (10, 20), (20, 22)):
            assert np.isin(open_[start:end], rows).sum() == 1, name
        assert len(rows) == len(open_) - 9 - 9 - 1
    batch = run(ds, "random", budget=500)
    assert "are copies of these" in batch.notes[-1]
    everything = run(ds, "random", budget=500, scope=Scope(copies=2.0))
    assert len(everything.samples) == len(open_) - 9 - 1


def test_copies_of_labeled_samples_are_not_asked_about() -> None:
    ds = partly(24)
    hashes = ds["content_hash"].copy()
    labeled, open_ = np.flatnonzero(ds["label"] >= 0), np.flatnonzero(ds["label"] < 0)
    hashes[open_[0]] = hashes[labeled[0]]
    ds = ds.with_columns({"content_hash": hashes.tolist()})
    batch = run(ds, "random", budget=500)
    assert open_[0] not in rows_of(ds, batch)
    assert "1 samples are copies of labeled or asked ones" in batch.notes[0]


def test_of_a_split_group_one_sample_until_all_groups_had_one() -> None:
    ds = partly(24)
    ds = ds.with_columns({"split_group": [f"part {row % 10}" for row in range(88)]})
    for name in NAMES:
        batch = run(ds, name, budget=14)
        groups = ds["split_group"][rows_of(ds, batch)]
        assert len(set(groups[:10])) == 10, name
        assert len(batch.samples) == 14
        assert "10 samples are of different groups" in batch.notes[-1]


def test_cost_decides_utility_per_cost_and_the_budget() -> None:
    ds = partly(24)
    cost = np.where(np.arange(88) % 2 == 0, 1.0, 5.0)
    priced = ds.with_columns({"meta.cost": cost})
    plain, cheap = run(ds, "margin", budget=12), run(priced, "margin", budget=12)
    assert cheap.spent <= 12
    assert sum(one.cost for one in cheap.samples) == cheap.spent
    assert "meta.cost" in cheap.notes[0]
    share = cost[rows_of(priced, cheap)] == 1
    assert share.mean() > (cost[rows_of(ds, plain)] == 1).mean()
    for name in NAMES:
        batch = run(ds, name, budget=9, scope=Scope(cost=cost))
        assert 0 < batch.spent <= 9, name
    assert not run(ds, "margin", budget=0.5, scope=Scope(cost=cost)).samples
    everything = run(ds, "margin", budget=1e6, scope=Scope(cost=cost))
    assert "pays for the whole pool" in everything.notes[-1]


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
def test_costs_must_be_above_zero_where_samples_may_be_asked_about(wrong: float) -> None:
    ds = partly(24)
    cost = np.ones(88)
    cost[np.flatnonzero(ds["label"] >= 0)] = wrong  # nobody asks about these
    assert run(ds, "random", budget=3, scope=Scope(cost=cost)).spent == 3
    cost[np.flatnonzero(ds["label"] < 0)[2]] = wrong
    with pytest.raises(DataError, match=r"the cost of .*\.png is .* 1 of \d+ samples have such a cost"):
        run(ds, "random", budget=3, scope=Scope(cost=cost))
    with pytest.raises(DataError, match=r"cost has shape \(3,\)"):
        run(ds, "random", budget=3, scope=Scope(cost=[1, 2, 3]))
    with pytest.raises(DataError, match="is nan"):
        run(ds.with_columns({"meta.cost": ["cheap"] * 88}), "random", budget=3)


@pytest.mark.parametrize("budget", [0, -3, float("nan"), float("inf")])
def test_a_budget_must_be_a_number_above_zero(budget: float) -> None:
    with pytest.raises(ConfigError, match="budget"):
        run(partly(), budget=budget)


def test_a_mix_takes_its_shares_and_names_who_chose() -> None:
    batch = run(partly(24), "margin:3+core-set:1", budget=8)
    who = [one.why.partition(":")[0] for one in batch.samples]
    assert batch.strategy == "mix"
    assert {name: who.count(name) for name in who} == {"margin": 6, "core_set": 2}
    assert who[:4].count("core_set") == 1
    for wrong in ("margin:x+core_set", "margin:0+core_set:0", "margin:-1+core_set", "mix+margin"):
        with pytest.raises(ConfigError):
            run(partly(24), wrong)
    with pytest.raises(UnknownNameError, match="margin"):
        run(partly(24), "margn+core_set")


def test_settings_reach_the_strategy_and_wrong_ones_are_refused() -> None:
    ds = partly(24)
    batch = run(ds, "mc-dropout", budget=3, settings={"mc_dropout": {"passes": 5, "score": "predictive_entropy"}})
    assert batch.params["passes"] == 5
    assert "5 passes" in batch.samples[0].why
    with pytest.raises(ConfigError, match="passs"):
        run(ds, "mc_dropout", settings={"mc_dropout": {"passs": 5}})
    with pytest.raises(ConfigError, match="weights"):
        run(ds, "priority", settings={"priority": {"uncertainty": -1.0}})
    with pytest.raises(UnknownNameError, match="stain"):
        run(ds, "rare_class", settings={"rare_class": {"classes": ["stains"]}})
    assert "stain" in run(ds, "rare_class", settings={"rare_class": {"classes": ["stain"]}}).samples[0].why


def test_given_predictions_are_used_and_must_be_whole() -> None:
    ds = partly(24)
    probs = np.tile([0.98, 0.01, 0.01], (88, 1))
    open_ = np.flatnonzero(ds["label"] < 0)
    probs[open_[5]] = [0.5, 0.5, 0.0]
    ds = ds.with_columns({"pred_probs.net": probs})
    assert rows_of(ds, run(ds, "margin", budget=1, scope=Scope(model="net"))).tolist() == [open_[5]]
    alone = replace(ds, wide={"pred_probs.net": probs})
    assert rows_of(ds, run(alone, "entropy", budget=1)).tolist() == [open_[5]]
    with pytest.raises(DataError, match="looks at features and there are none"):
        run(alone, "core_set", budget=1)
    probs[open_[9]] = np.nan
    with pytest.raises(DataError, match="no probabilities for"):
        run(ds.with_columns({"pred_probs.net": probs}), "margin", scope=Scope(model="net"))
    with pytest.raises(UnknownNameError, match="net"):
        run(ds, "margin", scope=Scope(model="nett"))


def test_one_class_only_is_a_cold_start() -> None:
    ds = Dataset.from_columns(Schema(classes=("a",)), {"id": list("abcdefgh"), "label": ["a"] * 2 + [None] * 6})
    ds = ds.with_columns({"embedding.x": np.random.default_rng(0).normal(size=(8, 4))})
    batch = run(ds, "entropy", budget=2)
    assert batch.strategy == "typi_clust"
    assert "2 samples of 1 classes" in batch.notes[0]


def test_the_queue_gets_reasons_and_falling_priorities() -> None:
    entries = run(partly(24), "margin", budget=4).entries("v3")
    assert [row["priority"] for row in entries] == [1.0, 0.75, 0.5, 0.25]
    assert all(row["reason"].startswith("margin: the model hesitates between ") for row in entries)
    assert {row["version"] for row in entries} == {"v3"}
