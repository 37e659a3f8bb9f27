"""Two models on the same samples: McNemar's test, and a paired bootstrap over whole groups."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import DataError
from scarce.evaluate._base import plain
from scarce.metric.choice import weighted
from scarce.metric.interval import cluster_bootstrap, group_codes

WHO = "evaluate.compare"
FLIPS = 9999
METRICS = ("accuracy", "balanced_accuracy", "macro_f1")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What the second model does that the first does not; positive differences favor the second.

    Attributes:
        n, groups: samples, and the independent groups that they come from.
        only_first, only_second: samples that one model alone gets right.
        p: two-sided exact McNemar test; where samples share groups, a sign-flip test over whole groups instead.
        differences: metric to ``first``, ``second``, ``value`` and its 95 % interval ``low``, ``high``.
        verdict: ``better``, ``worse`` or ``no evidence``, from the interval of the balanced accuracy.
    """

    n: int
    groups: int
    only_first: int
    only_second: int
    p: float
    differences: dict[str, dict[str, float]]
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return plain(asdict(self))  # type: ignore[no-any-return]


def compare(
    y: Array, first: Array, second: Array, *, groups: Array | None = None, draws: int = 1000, seed: int = 0
) -> Comparison:
    """Compare two models on the same samples.

    Args:
        y: (N,) true codes.
        first: (N, K) probabilities of one model.
        second: (N, K) probabilities of the other.
        groups: (N,) what several samples share; None entries stand alone.
        draws: of the bootstrap.
        seed: of everything random.

    Raises:
        DataError: shapes that do not fit, or no sample.

    Source: McNemar 1947, the exact form; Davison and Hinkley 1997, section 4.3, for the sign flips.

    Example:
        >>> y = np.zeros(8, int)
        >>> sure, lost = np.array([[0.9, 0.1]] * 8), np.array([[0.1, 0.9]] * 8)
        >>> found = compare(y, lost, sure)
        >>> found.only_second, round(found.p, 4), found.verdict
        (8, 0.0078, 'better')
    """
    y = np.asarray(y, np.int64)
    sides = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if any(side.ndim != 2 or side.shape != sides[0].shape or len(side) != len(y) for side in sides) or not len(y):
        shapes = f"{sides[0].shape} and {sides[1].shape} for {len(y)} labels"
        raise DataError(WHO, f"probabilities of shape {shapes}", do="let both models answer the same samples")
    codes = np.arange(len(y)) if groups is None else group_codes(groups)
    right = [side.argmax(1) == y for side in sides]
    gain = right[1].astype(np.int64) - right[0].astype(np.int64)
    differences = {name: _difference(name, y, sides, codes, draws, seed) for name in METRICS}
    low, high = (differences["balanced_accuracy"][end] for end in ("low", "high"))
    return Comparison(
        n=len(y), groups=len(np.unique(codes)), only_first=int((gain < 0).sum()), only_second=int((gain > 0).sum()),
        p=_p(gain, codes, seed), differences=differences,
        verdict="better" if low > 0 else "worse" if high < 0 else "no evidence",
    )  # fmt: skip


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided exact p of as lopsided a split, were both models equally good.

    Example:
        >>> round(mcnemar(1, 9), 4)
        0.0215
    """
    from scipy.stats import binomtest

    total = only_first + only_second
    return float(binomtest(only_first, total).pvalue) if total else 1.0


def _p(gain: Array, codes: Array, seed: int) -> float:
    if len(np.unique(codes)) == len(codes):
        return mcnemar(int((gain < 0).sum()), int((gain > 0).sum()))
    sums = np.bincount(codes, gain)
    sums = sums[sums != 0]
    if not len(sums):
        return 1.0
    signs = np.random.default_rng([seed, 0x6D63]).integers(2, size=(FLIPS, len(sums))) * 2 - 1
    extreme = np.abs(signs @ sums) >= abs(float(sums.sum())) - 1e-9
    return float((extreme.sum() + 1) / (FLIPS + 1))


def _difference(  # noqa: PLR0917 - the parts of one comparison
    metric: str, y: Array, sides: tuple[Floats, Floats], codes: Array, draws: int, seed: int
) -> dict[str, float]:
    score = _accuracy if metric == "accuracy" else weighted(metric)
    one = np.ones((1, len(y)), np.int16)
    values = [float(score(y, side, one, None)[0]) for side in sides]
    found = cluster_bootstrap(
        codes, lambda weights: score(y, sides[1], weights, None) - score(y, sides[0], weights, None),
        repeats=draws, seed=seed, strata=y,
    )  # fmt: skip
    return {"first": values[0], "second": values[1], "value": found.value, "low": found.low, "high": found.high}


def _accuracy(y: Array, probs: Floats, weights: Array, _setting: None) -> Floats:
    return np.asarray(weights @ (probs.argmax(1) == y) / np.maximum(weights.sum(1), 1), np.float64)
