"""The driver: votes of a dataset become one label a sample, doubtful ones become questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce import registry
from scarce.ballot import MACHINES, ratings_of
from scarce.dataset import Array, Dataset, Floats, Ints, Mask
from scarce.errors import DataError, closest
from scarce.label._linear import Fitted
from scarce.label._write import Labels, free_rows, with_labels
from scarce.label.vote._base import AbstractVote
from scarce.label.vote._quality import Annotator, annotator_quality
from scarce.lineage import Step

WHO: Final = "label.vote"
LEAST: Final = 0.5


@dataclass(frozen=True, eq=False)
class Voted:
    """What the annotators of a dataset say together.

    Attributes:
        dataset: with the new labels (source ``vote``, soft labels beside them).
        method: that made them.
        voters: names of the W annotators.
        votes: (N, W) their votes, -1 = none.
        fitted: posterior and confusion matrices.
        annotators: how good each is, the best first.
        rows: (M,) rows whose label was written.
        kept: rows whose label a person corrected since, left as they are.
        doubtful: (D,) rows to ask about: annotators disagree and the consensus is unsure, the least sure first.
        doubt: (D,) 1 - probability of the consensus.
        unknown: labels that are no class, with how many votes named them.
    """

    dataset: Dataset
    method: str
    voters: tuple[str, ...]
    votes: Ints
    fitted: Fitted
    annotators: tuple[Annotator, ...]
    rows: Ints
    kept: int
    doubtful: Ints
    doubt: Floats
    unknown: Mapping[str, int]

    @property
    def several(self) -> int:
        """How many of the written labels join the votes of two people or more."""
        return int(((self.votes[self.rows] >= 0).sum(axis=1) > 1).sum())

    def questions(self) -> list[dict[str, Any]]:
        """Return what :meth:`scarce.state.State.ask` takes: the samples that annotators disagree about."""
        out = []
        for row, doubt in zip(self.doubtful, self.doubt, strict=True):
            cast = Counter(self.dataset.schema.classes[code] for code in self.votes[row] if code >= 0)
            said = ", ".join(f"{name} {count}" for name, count in cast.most_common())
            out.append({"sample": str(self.dataset.ids[row]), "reason": f"annotators disagree: {said}",
                        "priority": float(doubt)})  # fmt: skip
        return out

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "method": self.method, "votes": int((self.votes >= 0).sum()),
            "samples": int((self.votes >= 0).any(axis=1).sum()),
            "labeled": len(self.rows), "several": self.several, "kept": self.kept, "doubtful": len(self.doubtful),
            "unknown": dict(self.unknown),
            "annotators": [one.to_json() for one in self.annotators],
        }  # fmt: skip


def run(
    ds: Dataset,
    *,
    method: str = "auto",
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    least: float = LEAST,
    overwrite: bool | Mask = False,
    seed: int = 0,
) -> Voted:
    """Make one label of each sample's votes, in any split: votes are what people said.

    A sample gets the likeliest class if its probability is above ``least`` and no other is as likely. Labels that a
    person gave as a correction (source ``human``) stay.

    Args:
        ds: with votes.
        method: name of the method; ``auto`` = see :func:`choose_method`.
        settings: parameters by method.
        least: probability that a label must exceed.
        overwrite: whether labels of source ``human`` may change, too; (N,) bool = which ones.
        seed: of the folds where a model is fitted beside the votes.

    Raises:
        DataError: nobody voted, or no vote names a class.
        UnknownNameError: there is no such method.
    """
    k = len(ds.schema.classes)
    votes, voters = ratings_of(ds)
    unknown = unknown_labels(ds)
    if not len(voters):
        there = (
            f"{sum(unknown.values())} votes name no class; {_unknown(unknown, ds.schema.classes)}" if unknown else ""
        )
        do = "rename them, or add the class" if unknown else "read a table with one column an annotator, or annotate"
        raise DataError(WHO, "no vote names a class of this data", there, do)
    if not 0 <= least < 1:
        raise DataError(WHO, f"least is {least}", do="give a probability from 0 to below 1")
    name = choose_method(votes, k) if method == "auto" else registry.canonical(method)
    plugin = registry.load("label.vote", name, AbstractVote)  # type: ignore[type-abstract]
    model = plugin.from_params((settings or {}).get(name, {}))
    beside = model_probs(ds, votes, seed=seed) if model.with_model else None
    fitted = model.fit(votes, k, beside)
    probs = np.asarray(fitted.posterior, np.float64)
    two = np.sort(probs, axis=1)[:, -2:] if k > 1 else np.hstack([np.zeros_like(probs), probs])
    some = (votes >= 0).any(axis=1)
    sure = some & (two[:, -1] > least) & (two[:, -1] - two[:, 0] > 1e-6)
    free = free_rows(ds, "vote")
    corrected = (ds["label_source"] == "human") & (ds["label"] >= 0)
    corrected &= ~np.asarray(overwrite, bool)
    may = free & ~corrected
    rows = np.flatnonzero(sure & may)
    probs /= probs.sum(axis=1, keepdims=True)
    step = Step(stage="label", name="vote", seed=seed, params={
        "method": name, **{key: value for key, value in model.params().items() if value is not None},
        "least": least, "overwrite": overwrite is True, "voters": len(voters), "labeled": len(rows),
    })  # fmt: skip
    new = Labels(rows, probs[rows].argmax(axis=1), "vote", probs[rows])
    split = np.where(votes >= 0, votes, -1).max(axis=1) != np.where(votes >= 0, votes, k).min(axis=1)
    ask = np.flatnonzero(some & split & free & ~corrected & (two[:, -1] <= max(least, 0.8)))
    ask = ask[np.argsort(two[ask, -1], kind="stable")]
    return Voted(
        with_labels(ds, new, step), name, tuple(voters), votes, fitted,
        tuple(annotator_quality(votes, fitted, voters)), rows, int((sure & free & ~may).sum()), ask,
        1 - two[ask, -1], unknown,
    )  # fmt: skip


def check(method: str) -> None:
    """Refuse a method that does not exist, before any work.

    Raises:
        UnknownNameError: there is no such method.
    """
    if method != "auto":
        registry.load("label.vote", method, AbstractVote)  # type: ignore[type-abstract]


def choose_method(votes: Array, n_classes: int) -> str:
    """Return the method that this many votes can feed.

    ``dawid_skene`` where the typical annotator gave 5 votes for each cell of his confusion matrix, ``one_coin`` where
    he gave 10; else, or where hardly any sample has two votes, ``majority``.
    """
    there = votes >= 0
    each = np.median(there.sum(axis=0)) if votes.shape[1] else 0
    several = (there.sum(axis=1) > 1).sum()
    if several < 10 or votes.shape[1] < 3:
        return "majority"
    return "dawid_skene" if each >= 5 * n_classes**2 else "one_coin" if each >= 10 else "majority"


def model_probs(ds: Dataset, votes: Array, *, seed: int = 0) -> Floats:
    """Return (N, K) out-of-sample probabilities to weigh beside votes: the newest there are, or a probe's.

    Raises:
        DataError: the dataset has neither probabilities nor features, or the votes name one class only.
    """
    from scarce import probe
    from scarce.label.vote.majority import fit_majority

    k = len(ds.schema.classes)
    given = [ds[name] for name in ds.wide if name.startswith("pred_probs.")]
    if given and np.isfinite(given[-1]).all():
        return np.asarray(given[-1])
    found = [name for name in ds.wide if name.startswith("embedding.")]
    if not found:
        raise DataError(WHO, "there are no features to fit a model on", do="run scarce encode first")
    features = np.asarray(ds[found[-1]], np.float32)
    there: Mask = np.asarray(np.isfinite(features).all(axis=1))
    label = np.where((votes >= 0).any(axis=1), fit_majority(votes, k).posterior.argmax(axis=1), -1)
    if len(np.unique(label[there & (label >= 0)])) < 2:
        raise DataError(WHO, "the votes name fewer than two classes", do="take majority")
    out = np.full((len(ds), k), 1 / k)
    out[there] = probe.cross_val_probs(features[there], label[there], k, groups=_groups(ds, there), seed=seed)
    return out


def _groups(ds: Dataset, rows: Mask) -> Array | None:
    return ds["split_group"][rows] if "split_group" in ds else None


def unknown_labels(ds: Dataset) -> dict[str, int]:
    """Return labels of people's votes that are no class, with how many votes name them."""
    people = ds.votes.filter(pc.invert(pc.is_in(pc.fill_null(ds.votes["kind"], ""), pa.array(MACHINES))))
    counts = Counter(name for name in people["label"].to_pylist() if name is not None)
    return {name: count for name, count in counts.most_common() if name not in ds.schema.classes}


def _unknown(unknown: Mapping[str, int], classes: tuple[str, ...]) -> str:
    name = next(iter(unknown))
    return f"{sum(unknown.values())} votes name no class, for example {name!r}; {closest(name, classes)}"
