from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from scarce import classes, columns
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError, UnknownNameError
from scarce.invariant import invariants
from scarce.lineage import Step
from scarce.store import Store

NAMES = ("good", "stain", "tear")


def sample() -> Dataset:
    ids = [f"s{i}" for i in range(6)]
    probs = [[0.7, 0.2, 0.1], None, [0.1, 0.6, 0.3], [0.0, 0.5, 0.5], None, [0.2, 0.2, 0.6]]
    ds = Dataset.from_columns(
        Schema(classes=NAMES, normal_classes=("good",)),
        {"id": ids, "label": ["good", "good", "stain", "stain", None, "tear"], "label_probs": probs,
         "label_source": ["given"] * 6},
    )  # fmt: skip
    votes = [{"sample": name, "voter": "ann", "label": label} for name, label in
             (("s0", "good"), ("s2", "stain"), ("s3", "stain"), ("s4", "stain"), ("s5", None))]  # fmt: skip
    ds = replace(ds, votes=pa.Table.from_pylist(votes, schema=columns.VOTE))
    ds = ds.with_columns({"pred_probs.m": np.zeros((6, 3)), "embedding.x": np.zeros((6, 2))})
    ds = ds.with_findings("imbalance", [{"level": "class", "members": ["tear"], "score": 1.0, "why": "rare"}])
    ds = ds.with_findings("blur", [{"level": "sample", "members": ["s0"], "score": 1.0, "why": "blurred"}])
    return ds.with_step(Step(stage="io"))


def labels(ds: Dataset) -> list[str | None]:
    return ds.table["label"].to_pylist()


def votes(ds: Dataset) -> list[str | None]:
    return ds.votes["label"].to_pylist()


def check(ds: Dataset) -> None:
    assert invariants(ds, sample()) == []
    assert "pred_probs.m" not in ds
    assert "embedding.x" in ds
    assert ds.findings["check"].to_pylist() == ["blur"]
    assert ds.steps[-1].stage == "classes"
    assert ds.steps[-1].params["stale"] == ["models", "pred_probs"]


def test_add() -> None:
    ds = classes.add(sample(), ["hole", "ok"], normal=False)
    check(ds)
    assert ds.schema.classes == (*NAMES, "hole", "ok")
    assert labels(ds) == labels(sample())
    assert ds["label_probs"][0].tolist() == pytest.approx([0.7, 0.2, 0.1, 0, 0])
    assert classes.add(sample(), ["fine"], normal=True).schema.normal_classes == ("good", "fine")


def test_rename_may_swap() -> None:
    ds = classes.rename(sample(), {"stain": "tear", "tear": "stain", "good": "sound"})
    check(ds)
    assert ds.schema.classes == ("sound", "tear", "stain")
    assert ds.schema.normal_classes == ("sound",)
    assert labels(ds) == ["sound", "sound", "tear", "tear", None, "stain"]
    assert votes(ds) == ["sound", "tear", "tear", "tear", None]
    assert ds["label"].tolist() == sample()["label"].tolist()
    assert np.array_equal(ds["label_probs"], sample()["label_probs"], equal_nan=True)


def test_merge_adds_up_probabilities() -> None:
    ds = classes.merge(sample(), ["tear", "stain"], "defect")
    check(ds)
    assert ds.schema.classes == ("good", "defect")
    assert ds.schema.normal_classes == ("good",)
    assert labels(ds) == ["good", "good", "defect", "defect", None, "defect"]
    assert ds["label_probs"][2].tolist() == pytest.approx([0.1, 0.9])
    assert votes(ds) == ["good", "defect", "defect", "defect", None]
    mixed = classes.merge(sample(), ["good", "tear"], "good")
    assert (mixed.schema.classes, mixed.schema.normal_classes) == (("good", "stain"), ())


def test_split_moves_the_named_samples() -> None:
    ds = classes.split(sample(), "stain", {"oil": ["s2"]})
    check(ds)
    assert ds.schema.classes == ("good", "stain", "oil", "tear")
    assert labels(ds) == ["good", "good", "oil", "stain", None, "tear"]
    assert ds.table["label_source"].to_pylist() == ["given", "given", "human", "given", "given", "given"]
    assert ds["label_probs"][2].tolist() == pytest.approx([0.1, 0.0, 0.6, 0.3])
    assert ds["label_probs"][3].tolist() == pytest.approx([0.0, 0.5, 0.0, 0.5])
    assert votes(ds) == ["good", "oil", "stain", "stain", None]


def test_split_of_a_whole_class_lets_it_go() -> None:
    ds = classes.split(sample(), "stain", {"oil": ["s2"], "ink": ["s3"]})
    check(ds)
    assert ds.schema.classes == ("good", "oil", "ink", "tear")
    assert labels(ds) == ["good", "good", "oil", "ink", None, "tear"]
    assert ds["label_probs"][5].tolist() == pytest.approx([0.2, 0.1, 0.1, 0.6])
    assert ds["label_probs"][2].tolist() == pytest.approx([0.1, 0.6, 0.0, 0.3])
    assert votes(ds) == ["good", "oil", "ink", None, None]


def test_splitting_a_normal_class_stays_normal() -> None:
    ds = classes.split(sample(), "good", {"new": ["s0"], "worn": ["s1"]})
    assert ds.schema.normal_classes == ("new", "worn")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda ds: classes.add(ds, ["tear"]), DataError, "already"),
        (lambda ds: classes.add(ds, [" "]), DataError, "needs a name"),
        (lambda ds: classes.rename(ds, {"tera": "x"}), UnknownNameError, "did you mean 'tear'"),
        (lambda ds: classes.rename(ds, {"tear": "stain"}), DataError, "merge them instead"),
        (lambda ds: classes.merge(ds, ["tear"], "x"), DataError, "at least two"),
        (lambda ds: classes.merge(ds, ["tear", "stain"], "good"), DataError, "already"),
        (lambda ds: classes.split(ds, "stain", {"oil": ["s5"]}), DataError, "s5 is not of class 'stain'"),
        (lambda ds: classes.split(ds, "stain", {"oil": ["s2"], "ink": ["s2"]}), DataError, "two parts"),
        (lambda ds: classes.split(ds, "stain", {"good": ["s2"]}), DataError, "already"),
        (lambda ds: classes.split(ds, "stain", {"oil": ["s9"]}), UnknownNameError, "sample id"),
    ],
)
def test_what_cannot_be_is_refused(change: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        change(sample())


def test_models_made_before_are_stale() -> None:
    before = sample()
    made_on = before.steps[-1].step_id
    assert not classes.is_stale(before, made_on)
    assert not classes.is_stale(before.with_step(Step(stage="clean")), made_on)
    after = classes.rename(before, {"tear": "rip"}).with_step(Step(stage="clean"))
    assert classes.is_stale(after, made_on)
    assert not classes.is_stale(after, after.steps[-1].step_id)
    assert classes.is_stale(before, "unknown")


def test_diff_shows_it(tmp_path: Path) -> None:
    store = Store(tmp_path / ".scarce")
    one = store.commit(sample(), parent=None)
    two = store.commit(classes.merge(store.open(), ["stain", "tear"], "defect"), parent=one)
    found = store.diff(one, two)
    assert found.classes == (NAMES, ("good", "defect"))
    assert ("s5", "tear", "defect") in found.relabeled
    assert store.open(two).steps[-1].name == "merge"
