"""Samples that are unlike all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np

from scarce.audit._base import AbstractCheck, Measurement, ds_embedding
from scarce.audit._quality import reported
from scarce.audit._strangeness import isolation_score, local_outlier_factor, neighbor_distance
from scarce.dataset import Dataset, Floats, Ints, Mask
from scarce.errors import DataError

__all__ = [
    "Outlier", "conformal_p_value", "isolation_score", "local_outlier_factor", "neighbor_distance", "outlier_score",
    "strangeness_in_class", "tail_p_value",
]  # fmt: skip

PRIOR_SAMPLES = 20
"""A class's spread counts as if so many samples of the whole were added."""
FEWEST = 8
RARER = 10
"""Of N samples no chance below 1 in so many times N is named: more than that N samples do not show."""
_NORMAL = 1.149
"""-log of twice the normal survival function at one standard deviation."""


def strangeness_in_class(strange: Floats, labels: Ints) -> Floats:
    """Return (N,) strangeness in units of the class's own spread, about 0 for a usual member of its class.

    A rare class lies thinner than a common one, so each class has its own middle and spread of the logarithm. Both are
    shrunk toward the whole: the middle by what classes differ beyond chance (empirical Bayes), the spread as if 20
    samples of the whole were added. A class of one is hence compared with all, a class of 50 with itself.

    Args:
        strange: (N,) positive, more = stranger; NaN = not known.
        labels: (N,) codes; -1 = unlabelled, a class of its own here.
    """
    log = np.log(np.maximum(np.asarray(strange, np.float64), 1e-6))
    known = np.isfinite(log)
    out = np.full(len(log), np.nan)
    if not known.any():
        return out
    codes, member = np.unique(np.asarray(labels)[known], return_inverse=True)
    values = log[known]
    quantiles = np.array([np.quantile(values[member == code], [0.5, 0.8413]) for code in range(len(codes))])
    counts = np.bincount(member)
    upper = np.maximum(quantiles[:, 1] - quantiles[:, 0], 0.0)
    common = float(np.sqrt(np.average(upper**2, weights=counts)))
    common = max(common, 0.02)
    middle = float(np.average(quantiles[:, 0], weights=counts))
    chance = 0.5 * np.pi * common**2 / counts
    between = float(np.average((quantiles[:, 0] - middle) ** 2 - chance, weights=counts))
    center = middle + (quantiles[:, 0] - middle) * max(between, 0.0) / (max(between, 0.0) + chance)
    spread = np.sqrt((counts * upper**2 + PRIOR_SAMPLES * common**2) / (counts + PRIOR_SAMPLES))
    out[known] = (values - center[member]) / spread[member]
    return out


def tail_p_value(values: Floats, *, contamination: float = 0.1) -> Floats:
    """Return (N,) probabilities that an ordinary sample is as large; about a share a of clean data has p <= a.

    The tail is not counted but extrapolated, so that real outliers do not hide each other: the logarithm of the share
    of larger values is a parabola in the distance from the median, through the 84th percentile; its curvature is
    fitted up to the share that may be foreign, and held near a common one where samples are few.

    Args:
        values: (N,) more = stranger; NaN = not known.
        contamination: largest share that may be foreign, in (0, 0.4].
    """
    values = np.asarray(values, np.float64)
    known = np.sort(values[np.isfinite(values)])
    n = len(known)
    if n < FEWEST:
        return np.where(np.isfinite(values), 1.0, np.nan)
    middle, upper = np.quantile(known, [0.5, 0.8413])
    unit = max(float(upper - middle), 1e-9)
    level = np.linspace(0.55, max(1 - contamination, 0.6), 8)
    at = (np.quantile(known, level) - middle) / unit
    bend, weight = at**2 - at, n * (1 - level) / level / 3
    excess = -np.log(2 * (1 - level)) - _NORMAL * at
    curve = float(np.clip(((weight * bend * excess).sum() + 2.0) / ((weight * bend * bend).sum() + 10.0), 0.0, 0.6))
    far = np.maximum((values - middle) / unit, 0.0)
    above = 0.5 * np.exp(-((_NORMAL - curve) * far + curve * far**2))
    rank = 1.0 - np.searchsorted(known, values, side="left") / n
    return np.where(np.isfinite(values), np.where(values > middle, above, np.maximum(rank, 0.5)), np.nan)


def conformal_p_value(values: Floats, clean: Mask) -> Floats:
    """Return (N,) conformal p-values against samples that are known to be clean: exact, however the values are spread.

    A clean sample is left out of its own comparison.

    Args:
        values: (N,) more = stranger; NaN = not known.
        clean: (N,) which samples are known to be good.

    Raises:
        DataError: fewer than 20 known values are clean.
    """
    values = np.asarray(values, np.float64)
    own = np.asarray(clean, bool) & np.isfinite(values)
    reference = np.sort(values[own])
    if len(reference) < 20:
        raise DataError("audit.outlier", f"{len(reference)} clean samples are too few to compare with", do="give 20")
    as_large = len(reference) - np.searchsorted(reference, values, side="left")
    p = np.where(own, as_large / len(reference), (1 + as_large) / (len(reference) + 1))
    return np.where(np.isfinite(values), p, np.nan)


def outlier_score(strange: Floats, labels: Ints | None = None, *, contamination: float = 0.1) -> Floats:
    """Return (N,) scores in [0, 1]: a score of 0.999 is reached by about 1 ordinary sample in 1,000.

    Args:
        strange: (N,) distances or factors, more = stranger; NaN = not known.
        labels: (N,) codes; each class is compared with itself. None = all together.
        contamination: largest share that may be foreign.
    """
    codes = np.zeros(len(strange), np.int64) if labels is None else labels
    return 1 - tail_p_value(strangeness_in_class(strange, codes), contamination=contamination)


@final
@dataclass(frozen=True, kw_only=True)
class Outlier(AbstractCheck):
    """Find samples that resemble no other sample.

    Use when foreign pictures may have slipped in (another product, a hand, a test card).
    Do not use as a reason to drop rare defects: a defect seen once is an outlier, too. Nothing sets these aside by
    itself. Each class is compared with itself, so that a rare class is not flagged for being rare.
    Needs: embedding (N, D). Labels are used if there are any.
    Writes: score (N,) = 1 - share of ordinary samples that would be as strange; NaN without features.
    Source: k-th nearest neighbor distance, Ramaswamy et al. 2000; Isolation Forest, Liu et al. 2008, and local outlier
    factor, Breunig et al. 2000, both by scikit-learn; conformal p-values, Bates et al. 2023; the rest of the
    calibration is ours.

    Args:
        method: ``neighbor`` distance (best on features of networks), ``isolation_forest`` (tables with many unlike
            columns) or ``local_outlier_factor`` (clusters of unlike density).
        neighbors: k of the neighbor distance and of the local outlier factor.
        false_alarm_rate: share of ordinary samples that may be flagged; 1 = flag as many as ``contamination`` says.
        contamination: largest share that may be foreign, in (0, 0.4]: no more is flagged, and the calibration does not
            look at so many of the strangest.
        clean: name of a source whose samples are known to be good; they then are what is usual. Empty = all are judged
            by the bulk of all.
        encoder: whose features; empty = the newest.
        seed: of the Isolation Forest.
    """

    needs: ClassVar[tuple[str, ...]] = ("embedding",)
    method: Literal["neighbor", "isolation_forest", "local_outlier_factor"] = "neighbor"
    neighbors: int = 10
    false_alarm_rate: float = 0.001
    contamination: float = 0.1
    clean: str = ""
    encoder: str = ""
    seed: int = 0

    def measure(self, ds: Dataset) -> Measurement:
        """Judge how strange each sample is in its class.

        Raises:
            DataError: contamination is outside (0, 0.4], or there are fewer than 20 clean samples.
        """
        if not 0 < self.contamination <= 0.4 or self.neighbors < 1:
            what = f"contamination is {self.contamination} and neighbors {self.neighbors}"
            raise DataError("audit.outlier", what, do="use a share in (0, 0.4] and at least 1 neighbor")
        _, features = ds_embedding(ds, self.encoder)
        strange = self._strange(features, np.argsort(ds.ids.astype(str), kind="stable"))
        inside = strangeness_in_class(strange, ds["label"])
        p = self._p_value(ds, inside)
        most = round(self.contamination * float(np.isfinite(p).sum()))
        first = np.argsort(np.where(np.isfinite(p), p, np.inf), kind="stable")[: max(most, 1)]
        flagged = np.zeros(len(ds), bool)
        flagged[first] = p[first] <= self.false_alarm_rate
        score = 1 - p
        shown = np.where(flagged, np.maximum(score, 0.5), np.minimum(score, 0.499))
        usual = float(np.nanmedian(strange)) if np.isfinite(strange).any() else 0.0
        word = {"neighbor": "distance to its neighbors", "isolation_forest": "isolation"}.get(
            self.method, "outlier factor"
        )

        rarest = 1 / (RARER * max(int(np.isfinite(p).sum()), 1))

        def say(row: int) -> str:
            chance = f"1 ordinary sample in {1 / max(p[row], rarest):,.0f}" if p[row] < 0.5 else "many samples"
            chance = f"fewer than {chance}" if p[row] < rarest else chance
            return f"unlike all others: {word} {strange[row]:.3f}, usual {usual:.3f}; {chance} would be as strange"

        return Measurement(np.clip(score, 0, 1), reported(ds, shown, say).findings)

    def _strange(self, features: Floats, order: Ints) -> Floats:
        rows = features[order]
        if self.method == "neighbor":
            found = neighbor_distance(rows, neighbors=self.neighbors)
        elif self.method == "isolation_forest":
            found = isolation_score(rows, contamination=self.contamination, seed=self.seed)[0]
        else:
            found = local_outlier_factor(rows, neighbors=self.neighbors, contamination=self.contamination)[0]
        out = np.empty(len(rows))
        out[order] = found
        return out

    def _p_value(self, ds: Dataset, inside: Floats) -> Floats:
        if not self.clean:
            return tail_p_value(inside, contamination=self.contamination)
        return conformal_p_value(inside, np.asarray(ds["source"] == self.clean))
