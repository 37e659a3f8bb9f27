"""Decisions change the training side only; the ledger keeps what helps on real held-out rows."""

from __future__ import annotations

import numpy as np
import pytest

from scarce.dataset import Dataset, Schema
from scarce.decision import (
    Augment,
    DropRows,
    Interpolate,
    Oversample,
    ProbeInstrument,
    Reweight,
    SetAsideLabelErrors,
    combine,
    fold_of_view,
    train_set,
)
from scarce.errors import LeakError
from scarce.ledger import Design, judge
from scarce.loss_spec import LossSpec
from scarce.rebalance.balanced_softmax import logit_prior

COUNTS = (240, 60, 12)


def dataset(seed: int = 0, flipped: int = 0, counts: tuple[int, ...] = COUNTS) -> Dataset:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), counts)
    points = rng.normal(0, 1, (len(labels), 6)).astype(np.float32)
    points[np.arange(len(labels)), labels] += 1.8
    wrong = rng.permutation(counts[0])[:flipped]
    given = labels.copy()
    given[wrong] = 1
    names = np.array(["ok", "worn", "torn"])
    ids = [f"{i:04d}" for i in range(len(labels))]
    ds = Dataset.from_columns(
        Schema(classes=tuple(names)), {"id": ids, "label": names[given], "split": ["train"] * len(ids)}
    )
    return ds.with_columns({"embedding.x": points})


def grown(ds: Dataset, copies: int = 3) -> Dataset:
    rng = np.random.default_rng(5)
    rows = np.flatnonzero(ds["label"] == 2)
    made = {
        "id": [f"g{ds.ids[row]}{copy}" for row in rows for copy in range(copies)],
        "label": ["torn"] * (copies * len(rows)),
        "origin": ["augmented"] * (copies * len(rows)),
        "parents": [[ds.ids[row]] for row in rows for _ in range(copies)],
        "split": ["train"] * (copies * len(rows)),
    }
    out = ds.append(made)
    features = out.wide["embedding.x"].copy()
    for row in np.flatnonzero(out["origin"] == "augmented"):
        parent = out.rows_of(out["parents"][row])[0]
        features[row] = features[parent] + rng.normal(0, 0.2, 6)
    return out.with_columns({"embedding.x": features})


def test_grown_rows_are_invisible_where_their_parent_is_held_out() -> None:
    ds = grown(dataset())
    torn = ds.ids[(ds["label"] == 2) & (ds["origin"] == "real")]
    rest = [name for name in ds.ids[ds["origin"] == "real"] if name not in set(torn[:4])]
    view = ds.fold(rest, torn[:4])
    families = {parent for row in view.train.table["parents"].to_pylist() for parent in row or []}
    assert families == set(torn[4:])
    with pytest.raises(LeakError, match="augmented"):
        ds.fold(rest, ds.ids[ds["origin"] == "augmented"][:1])


def test_each_decision_changes_what_it_says() -> None:
    ds = grown(dataset(flipped=24))
    view = ds.fold(ds.ids[ds["origin"] == "real"], ())
    fold, _ = fold_of_view(view, "embedding.x", 0, 32)
    start = fold.start()
    assert len(start.rows) == sum(COUNTS)
    augmented = train_set(fold, [Augment(policy="garment")])
    assert augmented.online == "garment"
    mass = np.bincount(fold.labels[augmented.rows], augmented.weights, 3)
    assert mass == pytest.approx(np.bincount(fold.labels[start.rows], minlength=3))
    raised = fold.counts(train_set(fold, [Oversample(ratio=3.0, cap=4)]).rows)
    assert raised.tolist() == [216, 84, 60]
    dropped = train_set(fold, [DropRows(name="clean.merge_duplicates", ids=frozenset(ds.ids[:5]))])
    assert len(dropped.rows) == len(start.rows) - sum(ds["origin"][:5] == "real")
    flagged = len(start.rows) - len(train_set(fold, [SetAsideLabelErrors()]).rows)
    assert 8 <= flagged <= 60


def test_cleaning_never_empties_a_class() -> None:
    ds = dataset()
    shuffled = np.random.default_rng(1).permutation(ds["label"])
    ds = ds.with_columns({"label": shuffled})
    fold, _ = fold_of_view(ds.fold(ds.ids, ()), "embedding.x", 0, 32)
    left = fold.counts(train_set(fold, [SetAsideLabelErrors()]).rows)
    assert (left >= 0.5 * np.bincount(shuffled)).all()


def test_the_ledger_keeps_logit_adjustment_and_drops_noise() -> None:
    plan = [
        Reweight(name="rebalance.balanced_softmax", spec=lambda n: LossSpec(prior=tuple(map(float, logit_prior(n))))),
        Reweight(name="rebalance.focal", spec=lambda _: LossSpec(kind="focal", gamma=2.0, alpha=0.25)),
    ]
    counts = (900, 120, 48)
    ledger, probs, folds = judge(
        dataset(counts=counts), plan, ProbeInstrument("embedding.x"), Design(repeats=3, draws=500), combine=combine
    )
    rows = {row.decision: row for row in ledger.rows}
    assert rows["rebalance.balanced_softmax"].verdict == "helped"
    assert ledger.kept == ("rebalance.balanced_softmax",)
    assert ledger.planned > ledger.baseline + 0.03
    assert probs.shape == (3, sum(counts), 3)
    assert rows["rebalance.focal"].detectable > 0
    assert len(folds.ids) == sum(counts)


def test_what_happens_to_held_out_rows_changes_nothing_that_trains() -> None:
    ds = grown(dataset())
    held = ds.ids[ds["origin"] == "real"][::5]
    train = [name for name in ds.ids[ds["origin"] == "real"] if name not in set(held)]
    other = ds["label"].copy()
    other[ds.rows_of(held)] = np.random.default_rng(3).permutation(other[ds.rows_of(held)])
    features = ds["embedding.x"].copy()
    features[ds.rows_of(held)] += 50
    changed = ds.with_columns({"label": other, "embedding.x": features})
    plan = [SetAsideLabelErrors(), Augment(), Oversample()]
    sides = []
    for data in (ds, changed):
        fold, _ = fold_of_view(data.fold(train, held), "embedding.x", 0, 32)
        done = train_set(fold, plan)
        sides.append((fold.train.ids[done.rows], done.weights, fold.projection.basis))
    assert (sides[0][0] == sides[1][0]).all()
    assert (sides[0][1] == sides[1][1]).all()
    assert (sides[0][2] == sides[1][2]).all()


def test_virtual_rows_lie_between_training_rows_of_their_class_and_never_touch_held_out_ones() -> None:
    ds = dataset()
    held = np.concatenate([np.arange(60), np.arange(240, 255), np.arange(300, 304)])
    view = ds.fold(ds.ids[np.setdiff1d(np.arange(len(ds)), held)], ds.ids[held])
    fold, _ = fold_of_view(view, "embedding.x", 0, 6)
    given = train_set(fold, (Interpolate(ratio=3.0),))
    between, labels = given.between, fold.labels
    assert np.bincount(labels[between.parents[:, 0]], minlength=3).tolist() == [0, 15, 52]  # 180 / 3, from 45 and 8
    assert (labels[between.parents[:, 0]] == labels[between.parents[:, 1]]).all()
    assert not set(fold.train.ids[between.parents.ravel()]) & set(ds.ids[held])
    assert len(given.rows) == len(fold.start().rows)  # nothing is copied

    other = ds.with_columns({"embedding.x": np.where(
        np.isin(np.arange(len(ds)), held)[:, None], 99.0, ds["embedding.x"]).astype(np.float32)})  # fmt: skip
    changed, _ = fold_of_view(other.fold(view.train.ids, ds.ids[held]), "embedding.x", 0, 6)
    again = train_set(changed, (Interpolate(ratio=3.0),)).between
    assert np.array_equal(again.parents, between.parents)
    assert np.array_equal(again.points(changed.points), between.points(fold.points))


def test_dropping_a_row_drops_what_lies_between_it_and_others() -> None:
    ds = dataset()
    fold, _ = fold_of_view(ds.fold(ds.ids, ()), "embedding.x", 0, 6)
    given = train_set(fold, (Interpolate(),))
    gone = int(given.between.parents[0, 0])
    left = given.only(given.rows != gone).between
    assert 0 < len(left) < len(given.between)
    assert gone not in left.parents


def test_a_class_of_one_row_is_left_as_it_is() -> None:
    ds = dataset(counts=(60, 20, 1))
    fold, _ = fold_of_view(ds.fold(ds.ids, ()), "embedding.x", 0, 6)
    assert len(train_set(fold, (Interpolate(),)).between) == 0


def test_virtual_rows_and_moved_thresholds_find_more_of_the_rare_class() -> None:
    ds, test = dataset(), dataset(seed=9, counts=(200, 200, 200))
    instrument = ProbeInstrument("embedding.x", workers=1)
    fold, _ = fold_of_view(ds.fold(ds.ids, ()), "embedding.x", 0, 6)
    prior = Reweight(name="rebalance.threshold", spec=lambda n: LossSpec(moved=tuple(logit_prior(n).tolist())))
    points, y = fold.projection(test["embedding.x"]), test["label"]

    def recall(*decisions: object) -> float:
        probs = instrument.fit(fold, train_set(fold, decisions)).predict_proba(points)
        return float((probs.argmax(1) == y)[y == 2].mean())

    plain = recall()
    assert recall(Interpolate(ratio=1.0)) > plain + 0.05
    assert recall(prior) > plain + 0.05


def test_smote_and_copies_do_not_stand_together() -> None:
    both = [Oversample(), Interpolate()]
    gains = {"rebalance.oversample": 0.02, "rebalance.smote": 0.03}
    assert [decision.name for decision in combine(both, gains)] == ["rebalance.smote"]
