"""The adaptive rule: a noise model fitted to the data's own probabilities, without being told the noise rate.

A sample has a true class y, drawn from f(y | x), and a given class g, drawn from Q(g | y). f is the model's
probability raised to a power (its sharpness) and normalized; Q is the (K, K) noise matrix, found by
expectation-maximization and shrunk toward the mean noise where a class is small. A label is flagged when the
posterior of its being wrong exceeds 1/2.

The likelihood alone cannot tell a confusable picture from a careless annotator: whatever a model has learned of the
noise it will report as doubt. So sharpness has a floor: SHARPER times the power that calibrates the probabilities to
the given labels. The floor is binding where the sharpened model is nearly sure of everything, so that doubt must be
the annotator's; elsewhere it may not flag much more than the noise that is seen among the model's surest rows of
each class (anchor rows). Measured: benchmarks/label_error.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scarce.audit._confident import Scan
from scarce.audit._scan import in_blocks
from scarce.dataset import Array, Floats, Ints

SHARPER = 2.5
SHARPEST, LEAST_OF_ANCHORS = 5.0, 0.8
"""Where the floor flags less than this share of the anchor rows' noise, the power may rise to so much."""
SURE = (0.93, 0.96)
"""Mean confidence of the sharpened model: below the first the anchor rows bound the flags, above the second none do."""
SEARCH_CELLS, FIT_CELLS = 150_000, 600_000
"""Probabilities used to choose the sharpness and to fit the noise; more change the third digit only."""
DOUBT = 2.0
"""By this factor the sharpness may be wrong; measured over data sets, models and kinds of noise."""
PRIOR_ROWS = 5.0
FLOOR = 1e-4
STEPS = 16


@dataclass(frozen=True)
class NoiseModel:
    """A fitted noise model.

    Attributes:
        sharpness: power on the probabilities.
        noise: (K, K) probability of the given class (column) by true class (row).
        rates: shares of wrong labels if the probabilities were :data:`DOUBT` times less, and as much more, sharp.
    """

    sharpness: float
    noise: Floats
    rates: tuple[float, float] = (0.0, 1.0)

    def posterior(self, labels: Ints, p: Floats) -> tuple[Floats, Ints]:
        """Return (N,) probability that the given label is wrong, and (N,) the likeliest true class other than it."""
        wrong = np.empty(len(labels))
        other = np.empty(len(labels), np.int64)
        step = max(1, 4_000_000 // max(p.shape[1], 1))

        def block(start: int, stop: int) -> None:
            for a in range(start, stop, step):
                b = min(stop, a + step)
                joint = sharpened(p[a:b], self.sharpness) * self.noise[:, labels[a:b]].T
                rows = np.arange(b - a)
                own = joint[rows, labels[a:b]].copy()
                wrong[a:b] = 1 - own / joint.sum(axis=1)
                joint[rows, labels[a:b]] = -1
                other[a:b] = joint.argmax(axis=1)

        in_blocks(block, len(labels))
        return wrong, other


def sharpened(p: Floats, power: float) -> Floats:
    """Return (N, K) float64 probabilities raised to a power and normalized; nothing is below :data:`FLOOR` before."""
    out = np.log(np.clip(p, FLOOR, 1.0).astype(np.float64))
    out *= power
    out -= out.max(axis=1, keepdims=True)
    np.exp(out, out=out)
    out /= out.sum(axis=1, keepdims=True)
    return np.asarray(out)


def fit(labels: Ints, p: Floats, found: Scan, *, seed: int = 0) -> NoiseModel:
    """Fit sharpness and noise matrix.

    Args:
        labels: (N,) given codes.
        p: (N, K) out-of-sample probabilities.
        found: the scan of both.
        seed: draws the rows that the fit uses where there are many.
    """
    rows = fit_rows(labels, p.shape[1], SEARCH_CELLS, seed)
    given, probs = labels[rows], np.asarray(p[rows], np.float64)
    power = _sharpness(given, probs, found.best[rows])
    rates = [float(_expectation(given, sharpened(probs, power * by))[2].mean()) for by in (1 / DOUBT, DOUBT)]
    rows = fit_rows(labels, p.shape[1], FIT_CELLS, seed)
    return NoiseModel(power, _expectation(labels[rows], sharpened(p[rows], power))[1], (min(rates), max(rates)))


def _sharpness(given: Ints, probs: Floats, best: Ints) -> float:
    calibrated = calibration(given, probs)
    powers = calibrated * np.exp(np.linspace(np.log(0.8), np.log(8.0), 14))
    start = int(np.argmax([_expectation(given, sharpened(probs, power))[0] for power in powers]))
    floor = SHARPER * calibrated
    if powers[start] >= floor:
        return float(powers[start])
    most = float(anchor_noise(given, probs, best, 0.2).mean())
    chosen = powers[start]
    for power in np.linspace(powers[start], floor, 9)[1:]:
        flagged, sure = _flagged(given, probs, power)
        if flagged * (1 - np.clip((sure - SURE[0]) / (SURE[1] - SURE[0]), 0, 1)) <= 1.1 * most:
            chosen = power
    if chosen < floor:
        return float(chosen)
    least = LEAST_OF_ANCHORS * float(np.median(anchor_noise(given, probs, best, 0.4)))
    for power in np.linspace(floor, SHARPEST * calibrated, 9):
        chosen = power
        if _flagged(given, probs, power)[0] >= least:
            break
    return float(chosen)


def _flagged(given: Ints, probs: Floats, power: float) -> tuple[float, float]:
    """Return the share of rows that would be flagged, and the mean confidence of the sharpened model."""
    f = sharpened(probs, power)
    return float((_expectation(given, f)[2] > 0.5).mean()), float(f.max(axis=1).mean())


def anchor_noise(labels: Ints, p: Floats, best: Ints, share: float = 0.2) -> Floats:
    """Return, per predicted class, the share of wrong labels among its surest rows."""
    rates = []
    for k in np.unique(best):
        rows = np.flatnonzero(best == k)
        most = max(min(20, len(rows)), int(share * len(rows)))
        sure = rows[np.argsort(-p[rows, k], kind="stable")[:most]]
        rates.append((np.sum(labels[sure] != k) + 0.5) / (most + 1.0))
    return np.array(rates)


def fit_rows(labels: Ints, classes: int, cells: int, seed: int) -> Ints:
    """Return rows for a fit that reads so many probabilities; rows of small classes are all kept."""
    most = max(5_000, cells // classes)
    if len(labels) <= most:
        return np.arange(len(labels))
    rng = np.random.default_rng([seed, len(labels), classes])
    rare = np.flatnonzero(np.bincount(labels, minlength=classes)[labels] <= 200)
    rare = rare if len(rare) <= most // 2 else np.empty(0, np.int64)
    rest = np.setdiff1d(np.arange(len(labels)), rare)
    return np.sort(np.r_[rare, rng.choice(rest, most - len(rare), replace=False)])


def calibration(labels: Ints, p: Floats) -> float:
    """Return the power that makes the probabilities fit the given labels best."""
    from scipy.optimize import minimize_scalar

    log = np.log(np.clip(p, FLOOR, 1.0))
    own = log[np.arange(len(labels)), labels]
    top = log.max(axis=1, keepdims=True)

    def loss(power: float) -> float:
        total = np.log(np.exp(power * (log - top)).sum(axis=1)) + power * top[:, 0]
        return float(np.mean(total - power * own))

    return float(minimize_scalar(loss, bounds=(0.15, 10.0), method="bounded", options={"xatol": 0.01}).x)


def _expectation(labels: Ints, f: Floats) -> tuple[float, Floats, Array]:
    """Return the mean log likelihood, the noise matrix (K, K) and (N,) the posterior of a wrong label."""
    n, classes = f.shape
    noise = np.full((classes, classes), 0.1 / max(classes - 1, 1))
    np.fill_diagonal(noise, 0.9)
    order = np.argsort(labels, kind="stable")
    f, given = f[order], labels[order]
    present, starts = np.unique(given, return_index=True)
    own = np.arange(n)
    likelihood, wrong = 0.0, np.zeros(n)
    joint = np.empty_like(f)
    for _ in range(STEPS):
        np.take(noise.T, given, axis=0, out=joint)
        joint *= f
        total = joint.sum(axis=1)
        joint /= total[:, None]
        counts = np.zeros((classes, classes))
        counts[:, present] = np.add.reduceat(joint, starts, axis=0).T
        noise = _shrunk(counts)
        before, likelihood = likelihood, float(np.log(total).mean())
        if abs(likelihood - before) < 2e-6:
            break
    wrong[order] = 1 - joint[own, given]
    return likelihood, noise, wrong


def _shrunk(counts: Floats) -> Floats:
    """Return row-normalized counts, each row pulled toward the mean noise by :data:`PRIOR_ROWS` rows."""
    classes = len(counts)
    rate = 1 - np.trace(counts) / max(counts.sum(), 1e-12)
    arrives = counts.sum(axis=0) + 1.0
    prior = np.tile(arrives, (classes, 1))
    np.fill_diagonal(prior, 0)
    prior *= rate / np.maximum(prior.sum(axis=1, keepdims=True), 1e-12)
    np.fill_diagonal(prior, 1 - rate)
    out = counts + PRIOR_ROWS * prior + 1e-9
    return np.asarray(out / out.sum(axis=1, keepdims=True))
