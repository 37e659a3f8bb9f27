"""Which label model suits these functions: none wins everywhere, so a few gold labels decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scarce import registry
from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError, ScarceError
from scarce.label._ballot import valid_votes
from scarce.label._linear import Fitted
from scarce.label.rule._base import AbstractLabelModel, valid_gold
from scarce.label.rule._proof import Proof, prove, worse_than_chance
from scarce.probe import fold_of

WHO: Final = "label.rule"
ENOUGH: Final = 10
"""Fewer covered gold labels than this, or of one class only, choose nothing."""
PLAIN: Final = "majority"


@dataclass(frozen=True)
class Candidate:
    """How one label model did on the gold labels that it had not seen.

    Attributes:
        name: of the model.
        balanced_accuracy: mean share found of the classes, ties shared; NaN where it could not be fitted.
        log_loss: mean -log probability of the right class.
        why: the reason why it could not be fitted, or empty.
    """

    name: str
    balanced_accuracy: float
    log_loss: float
    why: str = ""


@dataclass(frozen=True, eq=False)
class Choice:
    """The label model that is taken.

    Attributes:
        name: of the model.
        fitted: on all votes, and all gold labels where it learns from them.
        candidates: what was compared, the best first; empty where there was nothing to compare on.
        why: one sentence.
        judged: gold labels on samples that a function votes on.
        proof: whether they show that it is better than chance; None = too few to tell.
        left_out: columns of functions that all gold labels prove worse than chance; it was fitted without them.
    """

    name: str
    fitted: Fitted
    candidates: tuple[Candidate, ...]
    why: str
    judged: int
    proof: Proof | None = None
    left_out: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class _Part:
    """One fold: its rows, those that a kept function votes on, and the columns that the other folds' gold keeps."""

    rows: Ints
    judged: Ints
    columns: Ints


def choose_model(  # noqa: PLR0913 - one knob each
    votes: Array,
    n_classes: int,
    gold: Array | None = None,
    *,
    models: Sequence[str] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    sift: bool = False,
    folds: int = 5,
    seed: int = 0,
) -> Choice:
    """Return the label model that does best on gold labels, fitted on all votes.

    Models that learn from gold labels are fitted without those of the fold that judges them. The best balanced
    accuracy wins, among equal ones the least log loss; but where it does not exceed that of the majority by more than
    the standard error of their difference, the majority is taken, unless only the other is proven better than chance.

    Args:
        votes: (N, m) class codes, -1 = abstained.
        n_classes: K.
        gold: (N,) right codes, -1 = not known; without ten on covered samples, of two classes, majority is taken.
        models: names of the models to compare; None = all.
        settings: parameters by model.
        sift: leave out functions that gold labels prove worse than chance; what judges a fold is sifted without the
            gold labels of that fold, so that the choice of functions is judged, too.
        folds: of the cross-validation.
        seed: of the folds.

    Raises:
        DataError: no vote matrix, an unknown class, or no model could be fitted.
        UnknownNameError: there is no such model.
    """
    rows = valid_votes(WHO, votes, n_classes)
    built = {name: model_of(name, settings) for name in models or registry.names("label.rule")}
    truth = np.full(len(rows), -1) if gold is None else np.asarray(gold)
    if len(valid_gold(WHO, gold, n_classes)) and len(truth) != len(rows):
        raise DataError(WHO, f"there are {len(truth)} gold labels", f"and {len(rows)} samples", "pass -1 where unknown")
    bad = harmful(rows, truth, n_classes) if sift else np.zeros(0, np.int64)
    columns, left_out = np.setdiff1d(np.arange(rows.shape[1]), bad), tuple(bad.tolist())
    kept = np.ascontiguousarray(rows[:, columns])
    parts = _parts(rows, truth, n_classes, folds=folds, seed=seed, sift=sift)
    judged = np.concatenate([part.judged for part in parts]) if parts else _covered(kept, truth)
    if not _enough(judged, truth):
        name = PLAIN if PLAIN in built else next(iter(built))
        why = "asked for" if len(built) == 1 else (
            f"{len(judged)} gold labels on covered samples are too few to compare models; {ENOUGH} of two classes do"
        )  # fmt: skip
        return Choice(name, built[name].fit(kept, n_classes, truth), (), why, len(judged), left_out=left_out)
    found, fits, earned = [], {}, {}
    for name, model in built.items():
        try:
            fitted = model.fit(kept, n_classes, truth)
            probs = _unseen(model, fitted, rows, truth, (columns, parts))
            fits[name], earned[name] = fitted, _credit(probs, truth[judged])
            found.append(_candidate(name, probs, earned[name], truth[judged]))
        except ScarceError as error:
            if len(built) == 1:
                raise
            found.append(Candidate(name, float("nan"), float("nan"), str(error)))
    found.sort(key=lambda one: (-np.nan_to_num(round(one.balanced_accuracy, 3), nan=-1.0), one.log_loss, one.name))
    best = found[0]
    if best.name not in fits:
        raise DataError(WHO, "no label model could be fitted", "; ".join(one.why for one in found))
    proofs = {name: prove(credit, truth[judged]) for name, credit in earned.items()}
    proven = PLAIN in fits and proofs[PLAIN].holds >= proofs[best.name].holds
    if proven and not _clearly(earned[best.name], earned[PLAIN], truth[judged]):
        best = next(one for one in found if one.name == PLAIN)
    why = f"balanced accuracy {best.balanced_accuracy:.3f} on {len(judged)} gold labels, cross-validated"
    why = f"asked for; {why}" if len(built) == 1 else why
    return Choice(best.name, fits[best.name], tuple(found), why, len(judged), proofs[best.name], left_out)


def model_of(name: str, settings: Mapping[str, Mapping[str, Any]] | None) -> AbstractLabelModel:
    """Return a label model by name with its settings.

    Raises:
        UnknownNameError: no such model.
    """
    plugin = registry.load("label.rule", name, AbstractLabelModel)  # type: ignore[type-abstract]
    return plugin.from_params((settings or {}).get(registry.canonical(name), {}))


def harmful(votes: Array, gold: Array, n_classes: int) -> Ints:
    """Return the columns of functions worse than chance; none where all are, since nothing would be left."""
    found = worse_than_chance(votes, gold, n_classes)
    return found if len(found) < votes.shape[1] else found[:0]


def _covered(votes: Array, truth: Array) -> Ints:
    return np.flatnonzero((truth >= 0) & (votes >= 0).any(axis=1))


def _enough(judged: Ints, truth: Array) -> bool:
    return len(judged) >= ENOUGH and len(np.unique(truth[judged])) >= 2


def _parts(rows: Array, truth: Array, n_classes: int, *, folds: int, seed: int, sift: bool) -> list[_Part]:
    """Return the folds of the gold labels on covered samples; none where there are too few."""
    known = _covered(rows, truth)
    if not _enough(known, truth):
        return []
    place = fold_of(truth[known], None, min(folds, len(known)), seed=seed)
    parts = []
    for fold in np.unique(place):
        own, hidden = known[place == fold], truth.copy()
        hidden[own] = -1
        bad = harmful(rows, hidden, n_classes) if sift else np.zeros(0, np.int64)
        columns = np.setdiff1d(np.arange(rows.shape[1]), bad)
        parts.append(_Part(own, own[(rows[np.ix_(own, columns)] >= 0).any(axis=1)], columns))
    return parts


def _unseen(
    model: AbstractLabelModel, fitted: Fitted, rows: Array, truth: Array, folds: tuple[Ints, Sequence[_Part]]
) -> Floats:
    """Return the probabilities (J, K) of the judged rows by models that did not learn their labels.

    Args:
        model: of the kind that is judged.
        fitted: on all rows, the kept columns and all gold labels.
        rows: (N, m) votes of all functions.
        truth: (N,) gold codes, -1 = not known.
        folds: the columns that all gold labels keep, and the folds.
    """
    columns, parts = folds
    found = []
    for part in parts:
        if not model.learns_from_gold and np.array_equal(part.columns, columns):
            found.append(fitted.posterior[part.judged])
            continue
        hidden = truth.copy()
        hidden[part.rows] = -1
        votes = np.ascontiguousarray(rows[:, part.columns])
        found.append(model.fit(votes, fitted.posterior.shape[1], hidden).posterior[part.judged])
    return np.concatenate(found)


def _credit(probs: Floats, truth: Array) -> Floats:
    """Return (J,) 1 where the right class is the likeliest, a share of it where classes tie."""
    top = probs >= probs.max(axis=1, keepdims=True) - 1e-6
    return np.asarray(top[np.arange(len(truth)), truth] / top.sum(axis=1))


def _candidate(name: str, probs: Floats, credit: Floats, truth: Array) -> Candidate:
    recalls = [credit[truth == code].mean() for code in np.unique(truth)]
    own = probs[np.arange(len(truth)), truth]
    return Candidate(name, float(np.mean(recalls)), float(-np.log(np.maximum(own, 1e-6)).mean()))


def _clearly(one: Floats, other: Floats, truth: Array) -> bool:
    """Return whether one balanced accuracy exceeds the other by more than the standard error of their difference."""
    parts = [(one - other)[truth == code] for code in np.unique(truth)]
    error = np.sqrt(sum(part.var() / len(part) for part in parts)) / len(parts)
    return bool(np.mean([part.mean() for part in parts]) > error)
