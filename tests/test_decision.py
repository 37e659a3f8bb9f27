"""Decisions change the training side only; the ledger keeps what helps on real held-out rows."""

from __future__ import annotations

import numpy as np
import pytest

from scarce.dataset import Dataset, Schema
from scarce.decision import (
    Augment,
    DropRows,
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
