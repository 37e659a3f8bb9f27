"""Tests whether two sets of samples differ: kernel distance, a classifier, one number, a mix, probabilities.

Each takes plain arrays of independent samples, the reference first, and returns a statistic and a p-value. All of them
hold their rate at any number of samples: they permute, or are exact.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import DataError
from scarce.flywheel._chance import WHO, as_seen, chance, permuted

BLOCK: Final = 1024
"""Rows of the kernel matrix that are held at once."""
MEDIAN_OF: Final = 500
COMPONENTS: Final = 32
FOLDS: Final = 5
RIDGE: Final = 0.1
SMALL: Final = 200
"""Up to so many samples of a side the law of the Kolmogorov-Smirnov distance is computed exactly."""


class Apart(NamedTuple):
    """A difference.

    Attributes:
        statistic: how large it is, in the test's own unit; higher = further apart.
        p: how likely at least as much is where nothing differs.
    """

    statistic: float
    p: float


def together(first: Array, second: Array, *, components: int = COMPONENTS) -> tuple[Floats, Floats]:
    """Return the features of both sides in one space of few components, fitted on both alike.

    Fitting on one side would make the other look strange where nothing changed.

    Args:
        first: (N, D), finite.
        second: (M, D), finite.
        components: at most.

    Raises:
        DataError: different widths, or values that are not finite.
    """
    from scarce.probe import Projection

    rows = [np.asarray(side, np.float32) for side in (first, second)]
    if rows[0].ndim != 2 or rows[1].ndim != 2 or rows[0].shape[1] != rows[1].shape[1]:
        raise DataError(WHO, f"features of shapes {rows[0].shape} and {rows[1].shape}",
                        "they come from different encoders", "compute both with one encoder")  # fmt: skip
    both = np.concatenate(rows)
    if not np.isfinite(both).all():
        bad = int((~np.isfinite(both)).any(1).sum())
        raise DataError(WHO, f"{bad} of {len(both)} rows have features that are not finite", do="leave them out")
    flat = Projection.fit(both, components=components)(both)
    return flat[: len(rows[0])], flat[len(rows[0]) :]


def kernel_test(
    first: Array, second: Array, *, permutations: int = 1999, width: float | None = None, seed: int = 0
) -> Apart:
    """Compare all of the features: unbiased squared maximum mean discrepancy, Gaussian kernel, permuted.

    The kernel is computed by blocks of rows and multiplied with many permutations at once: N^2 B operations for B
    permutations, memory of N times the block.

    Args:
        first: (N, D), N >= 2.
        second: (M, D), M >= 2.
        permutations: B at most.
        width: sigma of ``exp(-d^2 / (2 sigma^2))``; None = the median distance of up to 500 samples of both sides.
        seed: of the permutations.

    Source: Gretton et al. 2012.
    """
    rows = np.concatenate([first, second]).astype(np.float32)
    n, m = len(first), len(second)
    sigma = _median_distance(rows, seed) if width is None else width
    scaled = rows / np.float32(np.sqrt(2.0) * max(sigma, 1e-12))
    squares = np.einsum("nd,nd->n", scaled, scaled)

    def statistic(marks: Array) -> Floats:
        within, rows_sum = np.zeros(marks.shape[1]), np.zeros(len(scaled))
        for top in range(0, len(scaled), BLOCK):
            end = min(top + BLOCK, len(scaled))
            near = scaled[top:end] @ scaled[top:].T
            near *= 2
            near -= squares[top:end, None]
            near -= squares[top:]
            np.exp(np.minimum(near, 0, out=near), out=near)
            rows_sum[top:end] += near.sum(1, dtype=np.float64)
            rows_sum[end:] += near[:, end - top :].sum(0, dtype=np.float64)
            near[:, end - top :] *= 2  # each pair of blocks is computed once
            within += np.einsum("nb,nb->b", near @ marks[top:], marks[top:end], dtype=np.float64)
        total, cross = rows_sum.sum(), rows_sum @ marks - within
        other = total - within - 2 * cross
        return np.asarray((other - n) / (n * (n - 1)) + (within - m) / (m * (m - 1)) - 2 * cross / (n * m), np.float64)

    return Apart(*permuted(statistic, n, m, permutations=permutations, seed=seed))


def _median_distance(rows: Floats, seed: int) -> float:
    from scipy.spatial.distance import pdist

    rng = np.random.default_rng([seed, 0x6D65])
    some = rows if len(rows) <= MEDIAN_OF else rows[np.sort(rng.choice(len(rows), MEDIAN_OF, replace=False))]
    return float(np.median(pdist(some.astype(np.float64))))


def classifier_test(first: Array, second: Array, *, permutations: int = 1999, seed: int = 0) -> Apart:
    """Compare all of the features by a linear classifier, cross-fitted, whose labels are permuted.

    The classifier is ridge regression, so that the out-of-fold scores of a thousand permutations are two matrix
    products: it is fitted anew for each of them, and the p-value is exact.

    Args:
        first: (N, P).
        second: (M, P).
        permutations: B at most.
        seed: of folds and permutations.

    Returns:
        The area under the ROC curve over pairs of one fold, 0.5 = not told apart, and the p-value.

    Source: Lopez-Paz and Oquab 2017; the ridge in place of their network is ours.
    """
    rows = np.concatenate([first, second]).astype(np.float64)
    n, m = len(first), len(second)
    rng = np.random.default_rng([seed, 0x636C])
    fold = rng.permutation(len(rows)) % FOLDS
    hats = []
    for number in range(FOLDS):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        middle = rows[train].mean(0)
        known, asked = rows[train] - middle, rows[test] - middle
        power = known.T @ known
        ridge = RIDGE * float(np.trace(power)) / max(len(power), 1) + 1e-12
        power[np.diag_indices_from(power)] += ridge
        hats.append((train, test, np.linalg.solve(power, known.T).astype(np.float32), asked.astype(np.float32)))

    def scores(marks: Array) -> list[tuple[Array, Floats]]:
        return [(test, asked @ (solved @ (marks[train] - marks[train].mean(0)))) for train, test, solved, asked in hats]

    def statistic(marks: Array) -> Floats:
        top, spread = np.zeros(marks.shape[1]), np.zeros(marks.shape[1])
        for test, score in scores(marks):
            away = score - score.mean(0)
            top += np.einsum("nb,nb->b", away, marks[test], dtype=np.float64)
            spread += np.einsum("nb,nb->b", away, away, dtype=np.float64)
        return np.asarray(top / np.sqrt(np.maximum(spread, 1e-30)), np.float64)

    p = permuted(statistic, n, m, permutations=permutations, seed=seed)[1]
    side = as_seen(n, m)
    return Apart(_area([(side[test, 0] > 0, score[:, 0]) for test, score in scores(side)]), p)


def _area(parts: list[tuple[Array, Floats]]) -> float:
    """Return the area under the ROC curve over pairs of one part."""
    from scipy.stats import rankdata

    wins = pairs = 0.0
    for side, score in parts:
        up = int(side.sum())
        wins += float(rankdata(score)[side].sum()) - up * (up + 1) / 2
        pairs += up * (len(side) - up)
    return wins / pairs if pairs else 0.5


def number_test(first: Array, second: Array) -> Apart:
    """Compare one number of each sample: the largest distance of the distribution functions (Kolmogorov-Smirnov).

    Ties make it conservative.

    Args:
        first: (N,), finite.
        second: (M,), finite.
    """
    from scipy.stats import ks_2samp

    method = "exact" if max(len(first), len(second)) <= SMALL else "asymp"
    found = ks_2samp(np.asarray(first, np.float64), np.asarray(second, np.float64), method=method)
    return Apart(float(found.statistic), min(1.0, float(found.pvalue)))


def mix_test(first: Array, second: Array, *, permutations: int = 9999, seed: int = 0) -> Apart:
    """Compare how common kinds are: chi-square over kinds, permuted, so that rare kinds count as they should.

    Args:
        first: (N,) kinds.
        second: (M,) kinds.
        permutations: B.
        seed: of the draws.

    Returns:
        The total variation distance of the two mixes, in [0, 1], and the p-value.
    """
    kinds, code = np.unique(np.concatenate([first, second]).astype(str), return_inverse=True)
    n, m = len(first), len(second)
    own = np.bincount(code[n:], minlength=len(kinds))
    total = np.bincount(code, minlength=len(kinds))
    distance = 0.5 * float(np.abs(own / m - (total - own) / n).sum())
    if len(kinds) < 2:
        return Apart(0.0, 1.0)
    expected = total * (m / (n + m))

    def away(counts: Array) -> Floats:
        return np.asarray(((counts - expected) ** 2 / expected).sum(-1), np.float64)

    rng = np.random.default_rng([seed, 0x6D69])

    def draw(size: int) -> Floats:
        return away(rng.multivariate_hypergeometric(total, m, size=size, method="marginals"))

    return Apart(distance, chance(float(away(own)), draw, draws=permutations))


def share_test(first: Array, second: Array) -> Apart:
    """Compare two shares exactly (Fisher).

    Args:
        first: (N,) bool.
        second: (M,) bool.

    Returns:
        The second share less the first, and the two-sided p-value.
    """
    from scipy.stats import fisher_exact

    table = [[int(side.sum()), int(len(side) - side.sum())] for side in (np.asarray(first), np.asarray(second))]
    return Apart(float(np.mean(second) - np.mean(first)), min(1.0, float(fisher_exact(table)[1])))


def surplus_test(
    first: Array, second: Array, weights: Array | None = None, *, permutations: int = 1999, seed: int = 0
) -> Apart:
    """Compare how sure a model is with how often it is right, on samples drawn with known probabilities.

    The statistic is studentized, so that permuting holds asymptotically where weights differ; with equal weights it is
    exact.

    Args:
        first: (N,) probability of the answer less 1 where it was right, of the reference.
        second: (M,) the same of confirmed samples.
        weights: (M,) inverse inclusion probabilities; None = all alike.
        permutations: B at most.
        seed: of the permutations.

    Returns:
        By how much the model became surer than right, and the two-sided p-value.

    Source: Chung and Romano 2013; the weighted mean and its variance are Hajek's.
    """
    values = np.concatenate([first, second]).astype(np.float64)
    n, m = len(first), len(second)
    share = np.full(m, 1 / m) if weights is None else np.asarray(weights, np.float64) / float(np.sum(weights))

    def gap(drawn: Floats) -> tuple[Floats, Floats]:
        old, new = drawn[:, :n], drawn[:, n:]
        change = new @ share - old.mean(1)
        spread = ((new - (new @ share)[:, None]) ** 2) @ share**2 * (m / (m - 1))
        return change, np.abs(change) / np.sqrt(np.maximum(spread + old.var(1, ddof=1) / n, 1e-24))

    rng = np.random.default_rng([seed, 0x7375])
    change, seen = gap(values[None])
    p = chance(float(seen[0]), lambda size: gap(rng.permuted(np.tile(values, (size, 1)), axis=1))[1],
               draws=permutations)  # fmt: skip
    return Apart(float(change[0]), p)
