"""The driver: from a fold and a model to a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np

from scarce.ballot import vouched
from scarce.dataset import Array, Dataset, Floats, FoldView, Ints
from scarce.errors import DataError
from scarce.evaluate._base import AbstractSection, Judged, plain
from scarce.evaluate.operating_point import one_vs_rest
from scarce.evaluate.per_class import MOST_CELLS
from scarce.metric.choice import Setting, rare_codes, weighted
from scarce.metric.confusion import accuracy, confusion_matrix
from scarce.metric.interval import clopper_pearson, cluster_bootstrap, plausible_confusions
from scarce.registry import load, names


class Predicts(Protocol):
    """A model: gives probabilities in ``schema.classes`` order."""

    def predict_proba(self, ds: Dataset) -> Floats:
        """Return (N, K)."""


OutOfFold: TypeAlias = Array | tuple[Array, Array] | None
Fitted: TypeAlias = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Report:
    """What a model does on real held-out samples. All figures carry 95 % intervals where one is given.

    Attributes:
        n: evaluation samples; ``unlabelled`` were left out; ``groups`` is what bootstraps draw and bounds count.
        accuracy, balanced_accuracy, macro_f1: value, low, high and the majority ``baseline``.
        rare_average_precision: mean over the rare classes: value, low, high, classes, chance. Bounds of a bootstrap are
            None where a rare class comes from one group, or no draw differs.
        per_class, confusion, calibration, mistakes, baseline, per_slice: the sections, see their files.
        operating_point: None without a normal class; then ``one_vs_rest`` holds one point a class.
        seed: of the bootstraps.
    """

    n: int
    unlabelled: int
    groups: int
    classes: tuple[str, ...]
    accuracy: dict[str, Any]
    balanced_accuracy: dict[str, Any]
    macro_f1: dict[str, Any]
    rare_average_precision: dict[str, Any]
    sections: dict[str, Any]
    one_vs_rest: dict[str, Any] | None
    seed: int

    @property
    def per_class(self) -> dict[str, Any]:
        """Class name to its figures."""
        return self.sections["per_class"]  # type: ignore[no-any-return]

    @property
    def operating_point(self) -> dict[str, Any] | None:
        """The point, or None without a normal class."""
        return self.sections.get("operating_point")

    def to_json(self) -> dict[str, Any]:
        """Return plain values; NaN becomes None."""
        calibration = self.sections.get("calibration") or {}
        body = {
            "n": self.n, "unlabelled": self.unlabelled, "groups": self.groups, "classes": list(self.classes),
            "accuracy": self.accuracy, "balanced_accuracy": self.balanced_accuracy, "macro_f1": self.macro_f1,
            "rare_average_precision": self.rare_average_precision,
            "brier": calibration.get("brier"), "ece": calibration.get("ece"),
            **self.sections, "one_vs_rest": self.one_vs_rest, "seed": self.seed,
        }  # fmt: skip
        return plain(body)  # type: ignore[no-any-return]


def run(  # noqa: PLR0913  one knob each
    view: FoldView, model: Predicts | Array, *, seed: int = 0, false_positive_rate: float = 0.01,
    oof: OutOfFold = None, samples: int | None = None, features: Array | None = None,
    set_threshold: float | None = None, fitted: Fitted | None = None, oof_groups: Array | None = None,
) -> Report:  # fmt: skip
    """Judge a model, or its probabilities, on the evaluation side of a fold.

    Args:
        view: the fold; its evaluation rows are real by construction.
        model: anything with ``predict_proba(ds)``, or (N, K) probabilities of ``view.eval``'s rows in their order.
        seed: of the bootstraps.
        false_positive_rate: wanted share of false alarms at the operating point.
        oof: out-of-fold probabilities that choose the threshold before the test is looked at: (M, K) aligned with
            ``view.train`` (NaN rows are skipped), or a pair (labels (M,), probabilities (M, K)).
        samples: most sample ids in one list; 50 by default.
        oof_groups: (M,) groups of the out-of-fold samples, where a pair is given; otherwise those of ``view.train``.
        features: (N, D) what the model saw in ``view.eval``'s rows, NaN where nothing; for subclasses.
        set_threshold: the model's own threshold of the sets of classes, see :mod:`scarce.evaluate.conformal`.
        fitted: class to origin to the samples that the model was fitted on, ``fitted`` of its card; None = the real
            labelled rows of the training side without ``val``.

    Raises:
        DataError: nothing to judge, or probabilities that do not fit.
    """
    judged = _judged(view, model, seed=seed, false_positive_rate=false_positive_rate, oof=oof, samples=samples)
    if features is not None:
        if len(features) != len(view.eval):
            raise DataError("evaluate", f"{len(features)} rows of features for {len(view.eval)} samples")
        judged = replace(judged, features=np.asarray(features)[view.eval.rows_of(judged.ids)])
    judged = replace(judged, set_threshold=set_threshold, out_of_fold_groups=_oof_groups(view.train, oof, oof_groups))
    if fitted is not None:
        real = [fitted.get(name, {}).get("real", 0) for name in judged.classes]
        judged = replace(judged, train_counts=np.array(real, np.int64))
    kinds = {name: load("evaluate", name, AbstractSection) for name in names("evaluate")}  # type: ignore[type-abstract]
    sections = {name: kind().measure(judged) for name, kind in kinds.items()}
    baseline = sections["baseline"]
    right = int((judged.pred == judged.y).sum())
    groups = judged.group_count(np.ones(len(judged.y), bool))
    low, high = clopper_pearson(right, len(judged.y), 0.95, groups=groups)
    return Report(
        n=len(judged.y), unlabelled=len(view.eval) - len(judged.y),
        groups=groups, classes=judged.classes,
        accuracy=plain({
            "value": accuracy(judged.y, judged.pred), "low": low, "high": high, "baseline": baseline["accuracy"],
        }),
        balanced_accuracy=_scored(judged, "balanced_accuracy", baseline["balanced_accuracy"]),
        macro_f1=_scored(judged, "macro_f1", baseline["macro_f1"]),
        rare_average_precision=_rare(judged),
        sections=plain(sections), one_vs_rest=None if judged.normal else plain(one_vs_rest(judged)), seed=seed,
    )  # fmt: skip


def _scored(judged: Judged, metric: str, baseline: float) -> dict[str, Any]:
    """Return a score with the wider of the bootstrap over groups and what the counts leave possible."""
    score = weighted(metric)
    found = cluster_bootstrap(
        judged.groups, lambda draws: score(judged.y, judged.probs, draws, None),
        repeats=judged.draws, seed=judged.seed, strata=judged.y,
    )  # fmt: skip
    low, high = _possible(judged, metric)
    return plain({  # type: ignore[no-any-return]
        "value": found.value, "low": np.fmin(found.low, low), "high": np.fmax(found.high, high), "baseline": baseline,
    })  # fmt: skip


def _possible(judged: Judged, metric: str) -> tuple[float, float]:
    k = len(judged.classes)
    draws = min(judged.draws, MOST_CELLS // (k * k))
    if not draws:
        return float("inf"), float("-inf")
    units = np.array([judged.group_count(judged.y == code) for code in range(k)])
    matrices = plausible_confusions(confusion_matrix(judged.y, judged.pred, k), units, draws=draws, seed=judged.seed)
    right, support, named = np.einsum("bkk->bk", matrices), matrices.sum(2), matrices.sum(1)
    held = support[0] > 0
    each = right / np.maximum(support, 1e-12) if metric == "balanced_accuracy" else 2 * right / (support + named)
    low, high = np.quantile(each[:, held].mean(1), [0.025, 0.975])
    return float(low), float(high)


def _rare(judged: Judged) -> dict[str, Any]:
    rare = rare_codes(judged.train_counts, judged.normal)
    setting = Setting(normal=judged.normal, rare=rare)
    score = weighted("rare_average_precision")
    found = cluster_bootstrap(
        judged.groups, lambda draws: score(judged.y, judged.probs, draws, setting),
        repeats=max(50, judged.draws // 4), seed=judged.seed, strata=judged.y,
    )  # fmt: skip
    present = [code for code in rare if (judged.y == code).any()]
    chance = float(np.mean([(judged.y == code).mean() for code in present])) if present else float("nan")
    alone = any(judged.group_count(judged.y == code) < 2 for code in present)  # no draw could vary that class
    low, high = (np.nan, np.nan) if alone else (found.low, found.high)
    return plain({  # type: ignore[no-any-return]
        "value": found.value, "low": low, "high": high, "baseline": chance,
        "classes": [judged.classes[code] for code in rare],
    })  # fmt: skip


def _judged(
    view: FoldView, model: Predicts | Array, *, seed: int, false_positive_rate: float, oof: OutOfFold,
    samples: int | None,
) -> Judged:  # fmt: skip
    given, schema = view.eval, view.dataset.schema
    probs = np.asarray(model if isinstance(model, np.ndarray) else model.predict_proba(given), np.float64)
    if probs.shape != (len(given), len(schema.classes)):
        raise DataError(
            "evaluate", f"probabilities have shape {probs.shape}", f"the fold has {len(given)} evaluation samples and "
            f"{len(schema.classes)} classes", "predict view.eval, classes in schema order",
        )  # fmt: skip
    known = vouched(given) & given["keep"].astype(bool)
    if not known.any():
        raise DataError("evaluate", "there is no evaluation sample that people labelled", f"{len(given)} rows",
                        "label some of them, or change the split ratios")  # fmt: skip
    if not np.isfinite(probs[known]).all():
        raise DataError("evaluate", f"{int((~np.isfinite(probs[known])).any(1).sum())} rows have no finite probability")
    kept = given.take(known)
    train = view.train
    counted = (train["origin"] == "real") & (train["label"] >= 0)
    used = counted & (train["split"] != "val")  # val is held back by those who need it
    real = train["label"][used if used.any() else counted]
    if not len(train):  # pooled outer folds: what is judged is what was trained on in turn
        real = kept["label"]
    return Judged(
        ids=kept.ids, y=kept["label"], probs=probs[known], classes=schema.classes,
        normal=tuple(schema.classes.index(name) for name in schema.normal_classes), groups=_groups(kept),
        train_counts=np.bincount(real, minlength=len(schema.classes)),
        slices=_slices(kept),
        out_of_fold=_out_of_fold(train, oof, len(schema.classes)),
        false_positive_rate=false_positive_rate, listed=50 if samples is None else samples, seed=seed,
    )  # fmt: skip


def _groups(ds: Dataset) -> Array:
    for name in ("split_group", "group"):
        if name in ds:
            return ds[name]
    return np.full(len(ds), None, object)


def _slice_columns(ds: Dataset) -> Sequence[str]:
    found = (name for name in ds.table.column_names if name.startswith("meta."))
    return [name for name in found if name in ds and ds[name].dtype.kind in "OUSbiuf"]


MEASURED = {"scan.mean": "brightness (measured)", "scan.sharpness": "sharpness (measured)"}
"""Measurements of pictures that are sliced by, too, and what they are called."""


def _slices(ds: Dataset) -> dict[str, Array]:
    """Return the user's own columns, and of pictures the light and sharpness that were measured."""
    found = {name[5:]: ds[name] for name in _slice_columns(ds)}
    if ds.schema.modality == "image":
        found |= {title: ds.wide[name] for name, title in MEASURED.items() if name in ds.wide}
    return found


def _oof_groups(train: Dataset, oof: OutOfFold, groups: Array | None) -> Array | None:
    """Return the groups of the out-of-fold samples that :func:`_out_of_fold` keeps."""
    if oof is None or (groups is None and isinstance(oof, tuple)):
        return None
    labels, probs = oof if isinstance(oof, tuple) else (train["label"], oof)
    good = np.isfinite(probs).all(axis=1) & (np.asarray(labels) >= 0)
    return np.asarray((_groups(train) if groups is None else groups)[good])


def _out_of_fold(train: Dataset, oof: OutOfFold, n_classes: int) -> tuple[Ints, Floats] | None:
    if oof is None:
        return None
    labels, probs = oof if isinstance(oof, tuple) else (train["label"], oof)
    labels, probs = np.asarray(labels, np.int64), np.asarray(probs, np.float64)
    if probs.shape != (len(labels), n_classes):
        raise DataError("evaluate", f"oof has shape {probs.shape}", f"{len(labels)} rows, {n_classes} classes",
                        "give (M, K) aligned with view.train, or (labels, probabilities)")  # fmt: skip
    good = np.isfinite(probs).all(1) & (labels >= 0)
    return (labels[good], probs[good]) if good.any() else None
