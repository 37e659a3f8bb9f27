"""The Frechet distance between real and synthetic samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.extras import available
from scarce.synthesize.screen._base import AbstractScreen, Exam, Judgement, checked_features, distance_name
from scarce.synthesize.screen._by_class import by_class

WHO: Final = "synthesize.screen.frechet"
EXACT: Final = 512
"""Features up to so many are multiplied in double precision, which costs little there."""
BLOCK: Final = 1024
LARGE: Final = 1024
"""From so many rows on, eigenvalues are worth the loading of torch."""


class Distance(NamedTuple):
    """A distance with its small-sample correction.

    Attributes:
        value: as measured, biased upward by about a constant over the number of samples.
        corrected: without that bias: twice the value less the mean over random halves of the groups.
        low, high: interval of ``corrected``, by deleting half of the groups.
    """

    value: float
    corrected: float
    low: float
    high: float


def frechet_distance(real: Array, synthetic: Array) -> float:
    """Return the Frechet distance of two Gaussians with the means and covariances of the features.

    Called FID only on features of Inception. With fewer samples than features the cross matrix of the centred samples
    has the same singular values as the product of the roots of the covariances, and is much smaller.

    Args:
        real: (N, D), N >= 2.
        synthetic: (M, D), M >= 2.

    Raises:
        DataError: shapes that do not fit, too few rows, or values that are not finite.

    Source: Heusel et al. 2017, equation 6; the value is that of their code, without any noise added to covariances.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(500, 8))
        >>> round(frechet_distance(rows, rows + 1.0), 6)
        8.0
    """
    first, second = checked_features(real, synthetic, WHO)
    mean_a, mean_b = first.mean(axis=0, dtype=np.float64), second.mean(axis=0, dtype=np.float64)
    if min(len(first), len(second)) < first.shape[1]:
        left, right = (_centred(rows, mean) for rows, mean in ((first, mean_a), (second, mean_b)))
        spread, cross = _square(left) + _square(right), _nuclear(left, right)
    else:
        own, other = _covariance(first, mean_a), _covariance(second, mean_b)
        spread, cross = float(np.trace(own) + np.trace(other)), _product_root(own, other)
    return float(((mean_a - mean_b) ** 2).sum() + max(spread - 2 * cross, 0.0))


def _centred(rows: Array, mean: Floats) -> Floats:
    """Return the rows less their mean, over the root of N - 1, so that their cross product is the covariance."""
    out: Floats = rows - mean
    out *= 1 / np.sqrt(len(rows) - 1)
    return out


def _square(rows: Floats) -> float:
    return float(np.einsum("nd,nd->", rows, rows, dtype=np.float64))


def _nuclear(left: Floats, right: Floats) -> float:
    """Return the sum of singular values of ``left @ right.T`` from the smaller Gram matrix."""
    small, large = (left, right) if len(left) <= len(right) else (right, left)
    cross = small @ large.T
    return _roots(cross @ cross.T)


def _product_root(first: Floats, second: Floats) -> float:
    """Return the trace of the root of the product of two covariances; ``second`` is overwritten.

    With ``first = L L'`` the product has the eigenvalues of ``L' second L``, of which LAPACK makes the lower half.
    """
    from scipy.linalg import LinAlgError, cholesky
    from scipy.linalg.lapack import dsygst

    try:
        lower = cholesky(first, lower=True, check_finite=False)
    except LinAlgError:  # a constant feature, or one that others determine
        values, vectors = np.linalg.eigh(first)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        return _roots(root.T @ second @ root)
    half, _ = dsygst(second.T, lower, itype=2, lower=1, overwrite_a=1)
    return _roots(half)


def _covariance(rows: Array, mean: Floats) -> Floats:
    """Return the float64 covariance; many features are multiplied in single precision, over short blocks only."""
    kind = np.float64 if rows.shape[1] <= EXACT else np.float32
    out, centre = np.zeros((rows.shape[1], rows.shape[1])), mean.astype(kind)
    for start in range(0, len(rows), BLOCK):
        block = np.subtract(rows[start : start + BLOCK], centre, dtype=kind, casting="same_kind")
        out += block.T @ block
    out /= len(rows) - 1
    return out


def _roots(matrix: Floats) -> float:
    """Return the sum of the roots of the eigenvalues of a symmetric matrix, of which the lower half is read.

    Large ones are given to torch where it is installed: its eigenvalues take a seventh of the time of SciPy's.
    """
    if len(matrix) >= LARGE and available("torch"):
        import torch

        values = torch.linalg.eigvalsh(torch.from_numpy(matrix), UPLO="L").numpy()
    else:
        from scipy.linalg import eigvalsh

        values = eigvalsh(matrix, lower=True, overwrite_a=True, check_finite=False)
    return float(np.sqrt(np.maximum(values, 0.0), dtype=np.float64).sum())


def frechet_interval(
    real: Array, synthetic: Array, *, groups: tuple[Array, Array] | None = None, draws: int = 40,
    confidence: float = 0.95, seed: int = 0,
) -> Distance:  # fmt: skip
    """Return the distance, corrected for the number of samples, with its interval.

    The bias falls as one over the number of samples, so two sizes tell it: all samples, and random halves. The same
    halves give the standard error (a delete-half jackknife over whole groups).

    Args:
        real: (N, D).
        synthetic: (M, D).
        groups: names of the (N,) and (M,) samples' groups; None = each stands alone.
        draws: halves.
        confidence: of the interval.
        seed: of the halves.

    Raises:
        DataError: fewer than 4 samples, or what :func:`frechet_distance` refuses.

    Source: the extrapolation is that of Chong and Forsyth 2020, section 4.2, with two sizes in place of fifteen.
    """
    from scipy.stats import t

    first, second = checked_features(real, synthetic, WHO, least=4)
    rng = np.random.default_rng([seed, 0x4644])
    value = frechet_distance(first, second)
    units = [np.unique(names, return_inverse=True)[1] for names in _names(first, second, groups)]
    halves = np.array([
        frechet_distance(first[_half(units[0], rng)], second[_half(units[1], rng)]) for _ in range(draws)
    ])  # fmt: skip
    corrected = 2 * value - float(halves.mean())
    freedom = max(1, min(int(unit.max()) for unit in units))
    reach = float(t.ppf((1 + confidence) / 2, freedom)) * float(halves.std(ddof=1))
    return Distance(value, corrected, corrected - reach, corrected + reach)


def _names(first: Array, second: Array, groups: tuple[Array, Array] | None) -> tuple[Array, Array]:
    if groups is None:
        return np.arange(len(first)), np.arange(len(second))
    return np.asarray(groups[0]).astype(str), np.asarray(groups[1]).astype(str)


def _half(unit: Array, rng: np.random.Generator) -> Array:
    """Return the rows of a random half of the groups; at least two rows."""
    count = int(unit.max()) + 1
    if count < 4:
        return rng.permutation(len(unit))[: max(2, len(unit) // 2)]
    kept = np.zeros(count, bool)
    kept[rng.permutation(count)[: count // 2]] = True
    rows = np.flatnonzero(kept[unit])
    return rows if len(rows) >= 2 else rng.permutation(len(unit))[:2]


@final
@dataclass(frozen=True, kw_only=True)
class Frechet(AbstractScreen):
    """Measure the Frechet distance of each class's synthetic samples from its real ones.

    Use to compare generators on one data set with one encoder. Do not use to compare data sets, and not alone where a
    class has under some hundred samples: ``kid`` has no bias.
    Needs: features; 4 real and 4 synthetic training samples of the class.
    Writes: per class the value, the corrected value and its interval. Refuses a class's samples only with ``limit``.
    Source: Heusel et al. 2017; Chong and Forsyth 2020.

    Args:
        components: principal components of the real training features that are compared, in units in which their mean
            square is 1; 0 = all features as they are (on Inception features only that is FID).
        limit: corrected distance whose lower end refuses all samples of the class; 0 = only measured.
        draws: random halves for correction and interval.
    """

    turn: ClassVar[int] = 3
    components: int = 32
    limit: float = 0.0
    draws: int = 40

    def judge(self, exam: Exam) -> Judgement:
        """Measure each class."""
        what = f"Frechet distance ({self.components} components)" if self.components else "Frechet distance"
        name = distance_name(exam.embedding, what, what if self.components else "FID")

        def measured(real: Floats, made: Floats, groups: tuple[Array, Array]) -> tuple[float, float, float, float]:
            return frechet_interval(real, made, groups=groups, draws=self.draws, seed=exam.seed)

        return by_class(exam, measured, name, (self.components, self.limit, 4))
