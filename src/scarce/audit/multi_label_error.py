"""Wrong labels where a sample may have several classes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.audit import _shape
from scarce.audit._base import AbstractCheck, Finding, Measurement, ds_embedding, finding
from scarce.audit._shape import real_numbers
from scarce.dataset import Array, Dataset, Floats, Mask
from scarce.errors import DataError


def multi_label_error_probability(labels: Array, pred_probs: Array, *, seed: int = 0) -> Floats:
    """Return (N, K) probability that each entry is wrong; NaN where nobody said.

    Each class is judged by itself as a question with two answers, by the adaptive rule of ``label_error``.

    Args:
        labels: (N, K) 1 = has the class, 0 = has it not, -1 = not labelled.
        pred_probs: (N, K) out-of-sample probability of each class; columns need not sum to 1.
        seed: of the rule's subsample.

    Raises:
        DataError: the shapes differ, a label is none of -1, 0 and 1, or a probability leaves [0, 1].
    """
    from scarce.audit.label_error import judge_labels

    who = "audit.multi_label_error"
    given = real_numbers(who, "labels", labels, 2)
    probs = real_numbers(who, "pred_probs", pred_probs, 2).astype(np.float64)
    if given.shape != probs.shape:
        raise DataError(who, f"labels have shape {given.shape}, probabilities {probs.shape}", do="pass (N, K) twice")
    if not np.isin(given, (-1, 0, 1)).all():
        raise DataError(who, "labels hold other values than 1, 0 and -1", do="1 = has the class, -1 = not labelled")
    if not ((probs >= 0) & (probs <= 1)).all():
        raise DataError(who, "a probability is NaN or leaves [0, 1]")
    out = np.full(given.shape, np.nan)
    for k in range(given.shape[1]):
        known = given[:, k] >= 0
        if len(np.unique(given[known, k])) < 2:
            out[known, k] = 0.0
            continue
        pair = np.stack([1 - probs[:, k], probs[:, k]], axis=1)
        out[:, k] = judge_labels(given[:, k].astype(np.int64), pair, seed=seed).wrong
    return out


def flag_multi_label_errors(labels: Array, pred_probs: Array, *, seed: int = 0) -> Mask:
    """Return (N, K) bool: which entries are probably wrong; see :func:`multi_label_error_probability`."""
    return np.asarray(np.nan_to_num(multi_label_error_probability(labels, pred_probs, seed=seed)) > 0.5)


def cross_val_memberships(
    features: Floats, labels: Array, groups: Array | None = None, *, folds: int = 5, seed: int = 0
) -> Floats:
    """Return (N, K) out-of-sample probabilities, one linear probe a class, groups never cut.

    Args:
        features: (N, D), finite.
        labels: (N, K) 1, 0 or -1; entries of -1 train nothing and are predicted.
        groups: (N,) that stay together.
        folds: of the cross-validation.
        seed: of the folds.
    """
    from scarce import probe

    out = np.full(labels.shape, 0.5)
    for k in range(labels.shape[1]):
        known = labels[:, k] >= 0
        codes = labels[known, k].astype(np.int64)
        counts = np.bincount(codes, minlength=2)
        if counts.min() < 2:
            out[:, k] = counts[1] / max(counts.sum(), 1)
            continue
        part = None if groups is None else groups[known]
        probs = probe.cross_val_probs(features[known], codes, 2, groups=part, folds=folds, seed=seed)
        out[known, k] = probs[:, 1] / probs.sum(axis=1)
    return np.asarray(np.clip(out, 0.0, 1.0))


@final
@dataclass(frozen=True, kw_only=True)
class MultiLabelError(AbstractCheck):
    """Find classes that are missing from a sample's label set, or wrongly in it.

    Use when a picture may show several defects at once. Do not use when exactly one class is right: ``label_error`` is
    stronger there, since classes exclude each other.
    Needs: embedding (N, D) and a column of label sets: ``meta.label_set``, ``labels``, ``tags`` or ``classes``, a
    cell as ``scratch|stain``, or a JSON list.
    Writes: score (N,) = the largest probability that an entry is wrong; sample findings that say which class is
    missing or too many; a data finding with the rate per class.
    Source: one-against-rest of label_error's noise model; cleanlab (Thyagarajan et al. 2022) goes by class, too.

    Args:
        column: of the label sets; empty = the first of the names above.
        encoder: whose features; empty = the newest.
        folds: of the cross-validation.
        seed: of the folds.
    """

    needs: ClassVar[tuple[str, ...]] = ("embedding",)
    column: str = ""
    encoder: str = ""
    folds: int = 5
    seed: int = 0

    def unmet(self, ds: Dataset) -> str:
        """Return why it cannot run: there is no column with sets of two classes or more."""
        column = _shape.column_of(ds, self.column, _shape.SETS)
        if not column:
            return f"it needs a column of label sets ({self.column or ', '.join(_shape.SETS)})"
        labels, classes = _shape.label_sets(ds, column)
        if len(classes) < 2 or (labels == 1).sum(axis=1).max(initial=0) < 2:
            return f"no cell of {column.removeprefix('meta.')} names two classes"
        return super().unmet(ds)

    def measure(self, ds: Dataset) -> Measurement:
        """Return the largest probability of a wrong entry per sample."""
        from scarce.audit.label_error import groups_of_copies

        column = _shape.column_of(ds, self.column, _shape.SETS)
        _, features = ds_embedding(ds, self.encoder)
        every, classes = _shape.label_sets(ds, column)
        rows = np.flatnonzero(np.isfinite(features).all(axis=1) & (every >= 0).all(axis=1))
        labels, score = every[rows], np.full(len(ds), np.nan)
        if len(rows) < 2 * self.folds:
            raise DataError("audit.multi_label_error", f"only {len(rows)} samples have label sets and features")
        probs = cross_val_memberships(
            features[rows], labels, groups_of_copies(ds, rows), folds=self.folds, seed=self.seed
        )  # fmt: skip
        wrong = np.nan_to_num(multi_label_error_probability(labels, probs, seed=self.seed))
        score[rows] = wrong.max(axis=1)
        found: list[Finding] = [_by_class(wrong, classes)]
        for i in np.flatnonzero(score[rows] > 0.5)[np.argsort(-score[rows][score[rows] > 0.5], kind="stable")]:
            said = [
                f"{json.dumps(classes[k], ensure_ascii=False)} "
                f"{'is probably not there' if labels[i, k] == 1 else 'is probably missing'} ({wrong[i, k]:.2f}; the "
                f"model gives it {probs[i, k]:.2f})"
                for k in np.argsort(-wrong[i], kind="stable") if wrong[i, k] > 0.5
            ]  # fmt: skip
            found.append(finding("sample", [ds.ids[rows[i]]], float(score[rows[i]]), "; ".join(said)))
        return Measurement(score, found)


def _by_class(wrong: Floats, classes: tuple[str, ...]) -> Finding:
    rates = wrong.mean(axis=0)
    worst = np.argsort(-rates, kind="stable")[:10]
    told = ", ".join(f"{classes[k]} {100 * rates[k]:.1f} %" for k in worst)
    return finding("data", (), float(rates.mean()), f"{100 * rates.mean():.1f} % of the entries are wrong: {told}")
