"""The adaptive rule: a noise model fitted to the data's own probabilities, without being told the noise rate.

A sample has a true class y, drawn from f(y | x), and a given class g, drawn from Q(g | y). f is the model's
probability whose ratio to the mean of its class is raised to a power (its sharpness): what the model saw is sharpened,
and not that a class is rare. Q is the (K, K) noise matrix, found by expectation-maximization and shrunk toward the mean
noise where a class is small. A label is flagged when the posterior of its being wrong exceeds 1/2.

The likelihood alone cannot tell a confusable picture from a careless annotator: whatever a model has learned of the
noise it will report as doubt. So sharpness has a floor: SHARPER times the power that calibrates the probabilities to
the given labels. But it may not flag much more than the noise that is seen among the model's surest rows of each class
(anchor rows), or three times that where the sharpened model is nearly sure of every class, so that doubt must be the
annotator's: classes that merely overlap are no errors. And where the model ranks the samples of a class hardly better
than chance, it has no opinion on that class. Measured: benchmarks/label_error.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scarce.audit._confident import Scan
from scarce.audit._scan import in_blocks
from scarce.dataset import Array, Floats, Ints, Mask

SHARPER = 2.5
SHARPEST, LEAST_OF_ANCHORS = 5.0, 0.8
"""Where the floor flags less than this share of the anchor rows' noise, the power may rise to so much."""
SURE, BOUND = (0.93, 0.96), (1.1, 3.0)
"""Mean confidence of the sharpened model, and how many times the anchor rows' noise it may flag at both."""
BLIND = 0.55
"""Where the area under a class's ROC curve is not surely above this, the model cannot tell the class."""
AGAINST = 2_000
"""Rows of other classes that a class is ranked against, at most."""
SEARCH_CELLS, FIT_CELLS = 150_000, 600_000
"""Probabilities used to choose the sharpness and to fit the noise; more change the third digit only."""
DOUBT = 2.0
"""By this factor the sharpness may be wrong; measured over data sets, models and kinds of noise."""
SCARCE, SMALL = 200, 0.5
"""A class is scarce if it has at most so many rows, and at most so much of the mean of all classes."""
LESS_SHARE = 0.25
"""By this power of both classes' sizes the odds of such rows are tempered: benchmarks/rare_label_error.py."""
PRIOR_ROWS = 5.0
FLOOR = 1e-4
STEPS = 16


@dataclass(frozen=True)
class NoiseModel:
    """A fitted noise model.

    Attributes:
        sharpness: power on the probabilities, relative to ``prior``.
        noise: (K, K) probability of the given class (column) by true class (row).
        prior: (K,) mean probability of each class.
        blind: (K,) bool: classes that the model cannot tell from the others.
        rates: shares of wrong labels if the probabilities were :data:`DOUBT` times less, and as much more, sharp.
    """

    sharpness: float
    noise: Floats
    prior: Floats
    blind: Mask
    rates: tuple[float, float] = (0.0, 1.0)

    def posterior(self, labels: Ints, p: Floats) -> tuple[Floats, Ints, Floats]:
        """Return (N,) probability that the label is wrong, (N,) the likeliest other class, and its probability."""
        wrong, sure = np.empty(len(labels)), np.empty(len(labels))
        other = np.empty(len(labels), np.int64)
        step = max(1, 4_000_000 // max(p.shape[1], 1))

        def block(start: int, stop: int) -> None:
            for a in range(start, stop, step):
                b = min(stop, a + step)
                joint = sharpened(p[a:b], self.sharpness, self.prior) * self.noise[:, labels[a:b]].T
                rows = np.arange(b - a)
                own = joint[rows, labels[a:b]].copy()
                total = joint.sum(axis=1)
                wrong[a:b] = 1 - own / total
                joint[rows, labels[a:b]] = -1
                other[a:b] = joint.argmax(axis=1)
                sure[a:b] = joint[rows, other[a:b]] / total

        in_blocks(block, len(labels))
        return wrong, other, sure


def in_order_of_odds(labels: Ints, p: Floats, said: tuple[Floats, Ints, Floats]) -> tuple[Floats, Ints, Floats]:
    """Return what :meth:`NoiseModel.posterior` said, with rows that concern a scarce class in the order of their odds.

    A few dozen rows do not tell how often each other class is taken for theirs, and a noise matrix that guesses it
    ranks them badly. So the noise model says how many labels into and out of the class are wrong, and the odds between
    the likeliest other class and the given one say which: its probabilities are dealt out anew in that order.

    Args:
        labels: (N,) given codes.
        p: (N, K) out-of-sample probabilities.
        said: what the noise model said.
    """
    wrong, other, sure = said
    count = np.bincount(labels, minlength=p.shape[1])
    scarce = (count <= SCARCE) & (count <= SMALL * count[count > 0].mean())
    if not scarce[count > 0].any():
        return said
    best, odds = np.empty(len(labels), np.int64), np.empty(len(labels))
    step = max(1, 4_000_000 // p.shape[1])
    for a in range(0, len(labels), step):
        part = np.clip(p[a : a + step], FLOOR, 1.0).astype(np.float64)
        rows, given = np.arange(len(part)), labels[a : a + step]
        own = part[rows, given].copy()
        part[rows, given] = -1
        best[a : a + step] = part.argmax(axis=1)
        share = count[given] / np.maximum(count[best[a : a + step]], 1)
        odds[a : a + step] = part[rows, best[a : a + step]] / own * share**LESS_SHARE
    concerned = scarce[labels] | scarce[best]
    own = scarce[labels]
    share = np.clip(sure / np.maximum(wrong, 1e-12), 0, 1)
    wrong, other = wrong.copy(), np.where(concerned, best, other)
    for rows in (np.flatnonzero(own), np.flatnonzero(concerned & ~own)):
        _deal(wrong, rows, odds)
    flagged = wrong > 0.5
    for rows in (np.flatnonzero(concerned & flagged), np.flatnonzero(concerned & ~flagged)):
        _deal(wrong, rows, odds)
    return wrong, other, np.where(concerned, wrong * share, sure)


def _deal(values: Floats, rows: Ints, odds: Floats) -> None:
    """Give the values of some rows to them anew, the greatest to the greatest odds."""
    values[rows[np.argsort(-odds[rows], kind="stable")]] = -np.sort(-values[rows])


def sharpened(p: Floats, power: float, prior: Floats) -> Floats:
    """Return (N, K) float64 probabilities, their ratio to the prior raised to a power; none is below :data:`FLOOR`."""
    out = np.log(np.clip(p, FLOOR, 1.0).astype(np.float64))
    out *= power
    out += (1 - power) * np.log(prior)
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
    prior = mean_probs(p, seed)
    rows = fit_rows(labels, p.shape[1], SEARCH_CELLS, seed)
    given, probs = labels[rows], np.asarray(p[rows], np.float64)
    power = _sharpness(given, probs, found.best[rows], prior)
    rates = [float(_expectation(given, sharpened(probs, power * by, prior))[2].mean()) for by in (1 / DOUBT, DOUBT)]
    blind = _blind(given, probs, seed)
    rows = fit_rows(labels, p.shape[1], FIT_CELLS, seed)
    noise = _expectation(labels[rows], sharpened(p[rows], power, prior))[1]
    return NoiseModel(power, noise, prior, blind, (min(rates), max(rates)))


def mean_probs(p: Floats, seed: int) -> Floats:
    """Return (K,) the mean probability of each class, over at most 20,000 rows; none is 0."""
    rng = np.random.default_rng([seed, len(p), 3])
    rows = np.arange(len(p)) if len(p) <= 20_000 else np.sort(rng.choice(len(p), 20_000, replace=False))
    mean = np.asarray(p[rows], np.float64).mean(axis=0) + 1e-6
    return np.asarray(mean / mean.sum())


def _sharpness(given: Ints, probs: Floats, best: Ints, prior: Floats) -> float:
    calibrated = calibration(given, probs)
    powers = calibrated * np.exp(np.linspace(np.log(0.8), np.log(8.0), 14))
    start = int(np.argmax([_expectation(given, sharpened(probs, power, prior))[0] for power in powers]))
    floor = SHARPER * calibrated
    noise, size = anchor_noise(given, probs, best, 0.2)
    most = min(float(noise @ size), float(noise.mean()))
    noise, size = anchor_noise(given, probs, best, 0.05)  # where classes overlap, fewer and surer rows show less of it
    surest = float(noise @ size)
    most = min(most, surest + float(np.sqrt(surest * (1 - surest) / (0.05 * len(given)))))

    def allowed(power: float) -> bool:
        flagged, sure = _flagged(given, probs, power, prior)
        return flagged <= float(np.interp(sure, SURE, BOUND)) * most

    if powers[start] >= floor and allowed(powers[start]):
        return float(powers[start])
    chosen = calibrated
    for power in np.linspace(calibrated, floor, 11)[1:]:
        if allowed(power):
            chosen = power
    if chosen < floor:
        return float(chosen)
    noise, size = anchor_noise(given, probs, best, 0.4)
    least = LEAST_OF_ANCHORS * min(float(np.median(noise)), float(noise @ size))
    for power in np.linspace(floor, SHARPEST * calibrated, 9):
        chosen = power
        if _flagged(given, probs, power, prior)[0] >= least:
            break
    return float(chosen)


def _flagged(given: Ints, probs: Floats, power: float, prior: Floats) -> tuple[float, float]:
    """Return the share of rows that would be flagged, and the sharpened model's mean confidence, classes alike."""
    f = sharpened(probs, power, prior)
    count = np.bincount(given)
    sure = np.bincount(given, f.max(axis=1))[count > 0] / count[count > 0]
    return float((_expectation(given, f)[2] > 0.5).mean()), float(sure.mean())


def _blind(given: Ints, probs: Floats, seed: int) -> Mask:
    """Return (K,) bool: the classes whose own rows the model ranks hardly better than chance would.

    Area under the ROC curve with the standard error of Hanley and McNeil 1982, one-sided 95 %.
    """
    rng = np.random.default_rng([seed, len(given), 4])
    rows = rng.permutation(len(given))[:AGAINST]
    out = np.zeros(probs.shape[1], bool)
    for code in np.unique(given):
        own, other = probs[given == code, code], np.sort(probs[rows[given[rows] != code], code])
        m, n = len(own), len(other)
        if not n:
            continue
        below, upto = np.searchsorted(other, own, "left"), np.searchsorted(other, own, "right")
        area = float((below + upto).mean() / (2 * n))
        q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
        variance = area * (1 - area) + (m - 1) * (q1 - area**2) + (n - 1) * (q2 - area**2)
        out[code] = area - 1.645 * np.sqrt(max(variance, 0.0) / (m * n)) < BLIND
    return out


def anchor_noise(labels: Ints, p: Floats, best: Ints, share: float) -> tuple[Floats, Floats]:
    """Return, per predicted class, the share of wrong labels among its surest rows, and the share of all rows."""
    rates, sizes = [], []
    for k in np.unique(best):
        rows = np.flatnonzero(best == k)
        most = max(min(20, len(rows)), int(share * len(rows)))
        sure = rows[np.argsort(-p[rows, k], kind="stable")[:most]]
        rates.append((np.sum(labels[sure] != k) + 0.5) / (most + 1.0))
        sizes.append(len(rows) / len(best))
    return np.array(rates), np.array(sizes)


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
