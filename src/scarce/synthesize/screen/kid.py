"""The kernel distance between real and synthetic samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.synthesize.screen._base import AbstractScreen, Exam, Judgement, checked_features, distance_name
from scarce.synthesize.screen._by_class import by_class

WHO: Final = "synthesize.screen.kid"
BLOCK: Final = 2048
"""Rows and columns of the kernel matrix that are held at once."""


class KernelDistance(NamedTuple):
    """An unbiased squared kernel distance, and its interval; below 0 means that no difference is seen."""

    value: float
    low: float
    high: float


def kernel_distance(real: Array, synthetic: Array) -> float:
    """Return the unbiased squared maximum mean discrepancy with the cubic kernel ``(x y / D + 1) ** 3``.

    Over all pairs of samples, by blocks; no subsets are drawn. Called KID only on features of Inception.

    Args:
        real: (N, D), N >= 2.
        synthetic: (M, D), M >= 2.

    Raises:
        DataError: shapes that do not fit, too few rows, or values that are not finite.

    Source: Binkowski et al. 2018, section 4.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(400, 8))
        >>> kernel_distance(rows[:200], rows[200:]) < kernel_distance(rows[:200], rows[200:] + 1)
        True
    """
    return kernel_interval(real, synthetic).value


def kernel_interval(
    real: Array, synthetic: Array, *, groups: tuple[Array, Array] | None = None, confidence: float = 0.95
) -> KernelDistance:
    """Return the unbiased squared kernel distance with its interval over groups.

    The interval is that of the linear part of the statistic: each sample's mean likeness to its own side less that to
    the other. Where both sides are the same distribution that part vanishes and the interval is too narrow by a little.

    Args:
        real: (N, D).
        synthetic: (M, D).
        groups: names of the (N,) and (M,) samples' groups; samples of one group count as one. None = each alone.
        confidence: of the interval.

    Source: Binkowski et al. 2018; the variance is that of Sutherland et al. 2017, first order.
    """
    from scipy.stats import t

    first, second = checked_features(real, synthetic, WHO)
    n, m = len(first), len(second)
    scale = np.float32(1 / np.sqrt(first.shape[1]))
    left, right = first.astype(np.float32) * scale, second.astype(np.float32) * scale
    own_left, own_right = _own_sums(left), _own_sums(right)
    cross_left, cross_right = _cross_sums(left, right)
    within = own_left.sum() / (n * (n - 1)) + own_right.sum() / (m * (m - 1))
    value = float(within - 2 * cross_left.sum() / (n * m))
    parts = (own_left / (n - 1) - cross_left / m, own_right / (m - 1) - cross_right / n)
    names = (np.arange(n), np.arange(m)) if groups is None else groups
    variance, units = 0.0, []
    for part, named in zip(parts, names, strict=True):
        member = np.unique(np.asarray(named).astype(str), return_inverse=True)[1]
        sums = np.bincount(member, part - part.mean())
        count = len(sums)
        units.append(count)
        variance += 4 * float((sums**2).sum()) / len(part) ** 2 * count / max(count - 1, 1)
    reach = float(t.ppf((1 + confidence) / 2, max(min(units) - 1, 1))) * np.sqrt(variance)
    return KernelDistance(value, value - float(reach), value + float(reach))


def _cube(left: Floats, right: Floats) -> Floats:
    """Return the kernel of each row with each row of the other side."""
    near = left @ right.T
    near += 1
    cube: Floats = near * near
    cube *= near
    return cube


def _own_sums(rows: Floats) -> Floats:
    """Return (N,) float64 sums of the kernel of each row with all others of its side; each pair is computed once."""
    out = np.zeros(len(rows))
    for top in range(0, len(rows), BLOCK):
        for start in range(top, len(rows), BLOCK):
            cube = _cube(rows[top : top + BLOCK], rows[start : start + BLOCK])
            out[top : top + BLOCK] += cube.sum(axis=1, dtype=np.float64)
            if start > top:
                out[start : start + BLOCK] += cube.sum(axis=0, dtype=np.float64)
    out -= (np.einsum("nd,nd->n", rows, rows, dtype=np.float64) + 1) ** 3
    return out


def _cross_sums(left: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Return (N,) and (M,) float64 sums of the kernel of each row with all rows of the other side."""
    rows, columns = np.zeros(len(left)), np.zeros(len(right))
    for top in range(0, len(left), BLOCK):
        for start in range(0, len(right), BLOCK):
            cube = _cube(left[top : top + BLOCK], right[start : start + BLOCK])
            rows[top : top + BLOCK] += cube.sum(axis=1, dtype=np.float64)
            columns[start : start + BLOCK] += cube.sum(axis=0, dtype=np.float64)
    return rows, columns


@final
@dataclass(frozen=True, kw_only=True)
class Kid(AbstractScreen):
    """Measure the kernel distance of each class's synthetic samples from its real ones; unbiased at any size.

    Use for rare classes, where the Frechet distance is mostly bias. Do not read a value below 0 as better than 0.
    Needs: features; 2 real and 2 synthetic training samples of the class.
    Writes: per class the value and its interval. Refuses a class's samples only with ``limit``.
    Source: Binkowski et al. 2018.

    Args:
        components: principal components of the real training features that are compared; 0 = all features as they are
            (on Inception features only that is KID).
        limit: distance whose lower end refuses all samples of the class; 0 = only measured.
    """

    turn: ClassVar[int] = 3
    components: int = 32
    limit: float = 0.0

    def judge(self, exam: Exam) -> Judgement:
        """Measure each class."""

        def measured(real: Floats, made: Floats, groups: tuple[Array, Array]) -> tuple[float, float, float, float]:
            found = kernel_interval(real, made, groups=groups)
            return found.value, found.value, found.low, found.high

        what = f"kernel distance ({self.components} components)" if self.components else "kernel distance"
        name = distance_name(exam.embedding, what, what if self.components else "KID")
        return by_class(exam, measured, name, (self.components, self.limit, 2))
