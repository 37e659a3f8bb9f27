"""What each labelling function covers, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from scarce.dataset import Array
from scarce.errors import DataError
from scarce.label._ballot import valid_votes

WHO: Final = "label.rule"


@dataclass(frozen=True)
class FunctionSummary:
    """One labelling function in figures.

    Attributes:
        name: of the function.
        polarity: codes of the classes that it ever named.
        coverage, overlap, conflict: shares of the samples that it votes on, that others vote on as well, and that one
            of the others votes on differently.
        judged: votes on samples with a gold label.
        accuracy, low, high: share of those that are right with its exact 95 % interval; NaN, 0 and 1 without any.
    """

    name: str
    polarity: tuple[int, ...]
    coverage: float
    overlap: float
    conflict: float
    judged: int
    accuracy: float
    low: float
    high: float

    def to_json(self, classes: Sequence[str] = ()) -> dict[str, Any]:
        """Return plain values, classes by name where given; NaN becomes None."""
        body = asdict(self)
        body["polarity"] = [classes[code] if classes else code for code in self.polarity]
        return {**body, "accuracy": None if np.isnan(self.accuracy) else self.accuracy}


def summarize_functions(
    votes: Array, names: Sequence[str] | None = None, gold: Array | None = None, *, n_classes: int | None = None
) -> list[FunctionSummary]:
    """Return the figures of each labelling function, in the order of the columns.

    Args:
        votes: (N, m) class codes, -1 = abstained.
        names: of the m functions; their numbers by default.
        gold: (N,) right codes, -1 = not known.
        n_classes: K; the greatest code + 1 by default.

    Raises:
        DataError: no vote matrix, or other lengths.
    """
    from scarce.label import _kernel
    from scarce.metric.interval import clopper_pearson

    known = np.asarray(votes)
    k = n_classes or (int(max(known.max(initial=0), 0)) + 1 if known.dtype.kind in "iu" else 1)
    rows = valid_votes(WHO, known, k)
    names = [str(number) for number in range(rows.shape[1])] if names is None else list(names)
    truth = np.full(len(rows), -1, np.int64) if gold is None else np.asarray(gold, np.int64)
    if len(names) != rows.shape[1] or truth.shape != (len(rows),):
        what = f"{len(names)} names and gold of shape {truth.shape}"
        raise DataError(WHO, what, f"votes have shape {rows.shape}", "pass one name a column and one gold label a row")
    counts, right = np.zeros((rows.shape[1], 3), np.int64), np.zeros((rows.shape[1], 2), np.int64)
    _kernel.summarize(rows, truth, counts, right)
    shares = counts / max(len(rows), 1)
    out = []
    for column, name in enumerate(names):
        judged = int(right[column].sum())
        low, high = clopper_pearson(int(right[column, 0]), judged) if judged else (0.0, 1.0)
        said = np.flatnonzero(np.bincount(rows[:, column] + 1, minlength=k + 1)[1:])
        coverage, overlap, conflict = (float(share) for share in shares[column])
        accuracy = float(right[column, 0] / judged) if judged else float("nan")
        polarity = tuple(int(code) for code in said)
        bounds = float(low), float(high)
        out.append(FunctionSummary(name, polarity, coverage, overlap, conflict, judged, accuracy, *bounds))
    return out
