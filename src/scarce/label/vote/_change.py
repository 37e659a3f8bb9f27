"""Whether people agree better since the guideline changed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce.ballot import ratings_of
from scarce.dataset import Array, Dataset, Floats
from scarce.errors import DataError
from scarce.label._ballot import valid_votes
from scarce.metric import agreement

WHO: Final = "label.vote"
MOST_ITEMS: Final = 20_000
"""Up to so many samples are drawn again; beyond it their sums are drawn from the normal limit."""


@dataclass(frozen=True)
class Change:
    """Krippendorff's alpha before and after, and the difference with its 95 % interval.

    Attributes:
        before, after: alpha; 1 = perfect, 0 = as chance would have it, NaN = not defined.
        items_before, items_after: samples with two votes or more.
        difference, low, high: after - before.
        undated: votes without a time, which could not be told apart.
    """

    before: float
    after: float
    items_before: int
    items_after: int
    difference: float
    low: float
    high: float
    undated: int = 0

    @property
    def verdict(self) -> str:
        """Return ``better``, ``worse``, or ``no evidence``."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "no evidence"

    def to_json(self) -> dict[str, Any]:
        """Return plain values; NaN becomes None."""
        body = {
            key: None if isinstance(value, float) and np.isnan(value) else value for key, value in asdict(self).items()
        }
        return {**body, "verdict": self.verdict}


def agreement_change(before: Array, after: Array, n_classes: int, *, repeats: int = 2000, seed: int = 0) -> Change:
    """Return how far agreement beyond chance differs between two sets of votes on the same N samples.

    Samples are drawn again with their votes of both times, so that what was labelled twice is compared with itself.

    Args:
        before: (N, R) class codes, -1 = none.
        after: (N, Q) class codes, -1 = none.
        n_classes: K.
        repeats: bootstrap draws.
        seed: of the draws.

    Raises:
        DataError: no vote matrices, not the same samples, or a side without a sample with two votes.

    Source: Krippendorff 2011 (alpha for nominal classes); bootstrap over samples.
    """
    sides = [valid_votes(WHO, votes, n_classes) for votes in (before, after)]
    if len(sides[0]) != len(sides[1]):
        raise DataError(WHO, f"{len(sides[0])} samples before and {len(sides[1])} after", do="pass the same samples")
    parts = np.hstack([_terms(votes, n_classes) for votes in sides])
    middle = 2 * n_classes + 2
    used = parts[:, [middle - 2, 2 * middle - 2]].sum(axis=0)
    for name, count in zip(("before", "after"), used, strict=True):
        if not count:
            raise DataError(WHO, f"no sample has two votes {name} the change", do="let two people label some samples")
    parts = parts[parts.any(axis=1)]
    rng, n, whole = np.random.default_rng([seed, 0x6368]), len(parts), parts.sum(axis=0)
    if n > MOST_ITEMS:
        spread = parts.T @ parts - np.outer(whole, whole) / n
        sums = rng.multivariate_normal(whole, spread, size=repeats, method="eigh", check_valid="ignore")
    else:
        block = max(1, 2**21 // n)
        drawn = (rng.multinomial(n, np.full(n, 1 / n), size=min(block, repeats - start))
                 for start in range(0, repeats, block))  # fmt: skip
        sums = np.vstack([times @ parts for times in drawn])
    values = [float(agreement.alpha(side[None], n_classes)[0]) for side in (whole[:middle], whole[middle:])]
    draws = agreement.alpha(sums[:, middle:], n_classes) - agreement.alpha(sums[:, :middle], n_classes)
    draws = draws[np.isfinite(draws)]
    low, high = np.quantile(draws, [0.025, 0.975]) if len(draws) else (np.nan, np.nan)
    return Change(values[0], values[1], int(used[0]), int(used[1]), values[1] - values[0], float(low), float(high))


def agreement_before_and_after(ds: Dataset, when: datetime, *, repeats: int = 2000, seed: int = 0) -> Change:
    """Return how agreement of a dataset's votes changed at a time, for example that of a new guideline.

    Args:
        ds: N samples with votes.
        when: votes from this time on are after; without a time zone it is UTC.
        repeats: bootstrap draws.
        seed: of the draws.

    Raises:
        DataError: no vote has a time, or a side has no sample with two votes.
    """
    at = when.astimezone(UTC).replace(tzinfo=None) if when.tzinfo else when
    undated = ds.votes["when"].null_count
    if undated == len(ds.votes):
        raise DataError(WHO, "no vote has a time", f"there are {len(ds.votes)} votes", "give votes a time, or two sets")
    later = pc.greater_equal(ds.votes["when"], pa.scalar(at, pa.timestamp("us")))
    before, after = (ratings_of(replace(ds, votes=ds.votes.filter(side)))[0] for side in (pc.invert(later), later))
    found = agreement_change(before, after, len(ds.schema.classes), repeats=repeats, seed=seed)
    return replace(found, undated=undated)


def _terms(votes: Array, k: int) -> Floats:
    """Return (N, 2K + 2) sums that alpha is made of; all 0 where a sample has fewer than two votes."""
    from scarce.metric import _votes

    counts = np.zeros((len(votes), k), np.int32)
    _votes.item_counts(votes, counts)
    return agreement.terms(counts)
