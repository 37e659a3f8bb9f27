"""Whether the test set is as varied as what the model meets in the field."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError
from scarce.evaluate._base import plain
from scarce.metric.interval import clopper_pearson, group_codes
from scarce.two_sample import told_apart

WHO = "evaluate.variety"
NEIGHBORS = 5
BLOCK = 512
FEWEST = 20
ALIKE, COVERED = 0.95, 0.9
"""Share of the field that is covered if both are alike, and the share that has to be proven."""
TOLD_APART = 0.9
"""Area under the ROC curve from which on a classifier tells two sets apart almost surely."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Variety:
    """How the field compares with the test set.

    Attributes:
        test, field: samples of each.
        covered: share of the field that lies as near to test samples as test samples lie to each other (95 % of them);
            ``low``, ``high``: its exact 95 % bounds. About .95 if both are alike.
        told_apart: chance that a classifier tells a field sample from a test sample (0.5 = not at all), with bounds
            ``told_low`` and ``told_high``.
        spread: deviation of the field over that of the test set, 1 = alike.
        strange: (S,) rows of the field that are not covered, the farthest first.
        verdict: ``as varied``: at least 90 % of the field is proven covered, and the two are proven not to be told
            apart almost surely (area below .9); ``less varied``: less than 95 % are covered, proven; ``different``:
            covered, but told apart almost surely, as where the field shows one kind of sample only; else ``not shown``.
    """

    test: int
    field: int
    covered: float
    low: float
    high: float
    told_apart: float
    told_low: float
    told_high: float
    spread: float
    strange: Ints
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return plain(asdict(self))  # type: ignore[no-any-return]


def variety(test: Array, field: Array, *, groups: Array | None = None, seed: int = 0) -> Variety:
    """Say whether field samples look like test samples.

    Args:
        test: (N, D) features of the test set.
        field: (M, D) features of samples from the field, unlabelled.
        groups: (N,) groups of the test samples; a sample's own group does not count as near.
        seed: of the folds of the classifier.

    Raises:
        DataError: fewer than 20 samples on one side, or features that do not fit.

    Source: after the coverage of Naeem et al. 2020, with a conformal radius.
    """
    test, field = np.asarray(test, np.float64), np.asarray(field, np.float64)
    if test.ndim != 2 or field.ndim != 2 or test.shape[1] != field.shape[1]:
        raise DataError(WHO, f"features of shapes {test.shape} and {field.shape}", do="use one model for both")
    if min(len(test), len(field)) < FEWEST:
        raise DataError(WHO, f"{len(test)} test and {len(field)} field samples", do=f"give {FEWEST} of each at least")
    scale = np.where(test.std(0) > 1e-9, test.std(0), 1.0)
    middle = test.mean(0)
    known, others = (test - middle) / scale, (field - middle) / scale
    codes = np.arange(len(test)) if groups is None else group_codes(groups)
    own = _kth(known, known, codes, codes)
    radius = float(np.quantile(own, 0.95))
    away = _kth(others, known, np.full(len(others), -1), codes)
    near = int((away <= radius).sum())
    low, high = clopper_pearson(near, len(field))
    names = np.concatenate([codes, len(test) + np.arange(len(field))])
    shift = told_apart(
        np.concatenate([known, others]).astype(np.float32), np.arange(len(names)) >= len(test), groups=names, seed=seed
    )
    strange = np.flatnonzero(away > radius)
    return Variety(
        test=len(test), field=len(field), covered=near / len(field), low=low, high=high, told_apart=shift.auroc,
        told_low=shift.low, told_high=shift.high,
        spread=float(np.sqrt(others.var(0).sum() / max(float(known.var(0).sum()), 1e-12))),
        strange=strange[np.argsort(-away[strange], kind="stable")],
        verdict=_verdict((low, high), (shift.low, shift.high)),
    )  # fmt: skip


def _verdict(covered: tuple[float, float], told: tuple[float, float]) -> str:
    """Return what the bounds of coverage and of the classifier's area show."""
    if covered[1] < ALIKE:
        return "less varied"
    if told[0] >= TOLD_APART:
        return "different"
    return "as varied" if covered[0] >= COVERED and told[1] < TOLD_APART else "not shown"


def _kth(rows: Floats, bank: Floats, own: Ints, codes: Ints) -> Floats:
    """Return (n,) distances to the k-th nearest bank sample of another group."""
    out = np.empty(len(rows))
    square = (bank**2).sum(1)
    for at in range(0, len(rows), BLOCK):
        block = rows[at : at + BLOCK]
        away = (block**2).sum(1)[:, None] - 2.0 * block @ bank.T + square
        away[own[at : at + BLOCK, None] == codes[None]] = np.inf
        k = min(NEIGHBORS, len(bank) - 1)
        out[at : at + BLOCK] = np.sqrt(np.maximum(np.partition(away, k - 1, axis=1)[:, k - 1], 0.0))
    return out
