"""What a proposal is worth, class by class, so that a bad prompt or prototype is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from scarce.columns import LABEL_SOURCES
from scarce.dataset import Array, Dataset, Floats, Ints, Mask
from scarce.metric.interval import clopper_pearson

BAD_CONFIDENCE: Final = 0.975
"""How sure we are that a class stays below the wanted precision before it is left out."""
SHIFT_CHANCE: Final = 0.001
"""Below this chance, the labelled rows are no random draw of the others."""


@dataclass(frozen=True)
class ClassResult:
    """One class.

    Attributes:
        name: the class.
        labelled: held-out labelled rows of it.
        proposed: unlabelled rows for which it is the likeliest.
        taken: of these, rows that become labels.
        precision, low, high: share of right ones among labelled rows that would be taken as this class, two-sided exact
            bounds; NaN, 0 and 1 without any.
        n: labelled rows that would be taken as this class.
        auroc, auroc_low, auroc_high: how well its probability tells it from the rest; 0.5 = not at all.
        verdict: ``proven``, ``unproven``, ``bad`` (left out: surely below the wanted precision) or ``never proposed``.
    """

    name: str
    labelled: int
    proposed: int
    taken: int
    precision: float
    low: float
    high: float
    n: int
    auroc: float
    auroc_low: float
    auroc_high: float
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def class_result(  # noqa: PLR0913 - the class, the rows, the promise
    name: str, code: int, held: tuple[Ints, Floats, Mask, Array | None], pool: tuple[Ints, Mask], *, wanted: float,
    confidence: float, unproven: bool,
) -> ClassResult:  # fmt: skip
    """Judge one class.

    Args:
        name: the class.
        code: its code.
        held: labels (N,), probabilities (N, K), which pass the gate (N,), and groups (N,) of the labelled rows.
        pool: proposed codes (M,) of the unlabelled rows, and which pass the gate (M,).
        wanted: precision that was asked for.
        confidence: of the one-sided bound that proves it.
        unproven: take its labels over even where the bound does not prove it.
    """
    labels, probs, passed, groups = held
    mine = passed & (probs.argmax(axis=1) == code) if len(labels) else np.zeros(0, bool)
    n, hits = int(mine.sum()), int((labels[mine] == code).sum())
    units = n if groups is None or not n else len(np.unique(groups[mine].astype(str)))
    low, high = clopper_pearson(hits, n, groups=units) if n else (0.0, 1.0)
    surely_below = bool(n) and clopper_pearson(hits, n, BAD_CONFIDENCE, "upper", groups=units)[1] < wanted
    proposed = pool[0] == code
    value, *bounds = auroc(labels == code, probs[:, code]) if len(labels) else (np.nan, 0.0, 1.0)
    proven = bool(n) and clopper_pearson(hits, n, confidence, "lower", groups=units)[0] >= wanted
    verdict = "bad" if surely_below else "proven" if proven else "unproven"
    takes = not surely_below and (proven or unproven)
    return ClassResult(
        name=name, labelled=int((labels == code).sum()), proposed=int(proposed.sum()),
        taken=int((proposed & pool[1]).sum()) if takes else 0, precision=hits / n if n else np.nan, low=low,
        high=high, n=n, auroc=value, auroc_low=bounds[0], auroc_high=bounds[1],
        verdict=verdict if proposed.any() or n else "never proposed",
    )  # fmt: skip


def auroc(positive: Array, score: Array, *, confidence: float = 0.95) -> tuple[float, float, float]:
    """Return the area under the ROC curve with its interval; NaN, 0 and 1 without both sides.

    Args:
        positive: (N,) which are of the class.
        score: (N,) higher = more likely.
        confidence: two-sided.

    Source: Hanley and McNeil 1982; the interval is Newcombe 2006, method 5, which keeps a width at 0 and 1.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri
    from scipy.stats import rankdata

    positive = np.asarray(positive, bool)
    m, n = int(positive.sum()), int((~positive).sum())
    if not m or not n:
        return float("nan"), 0.0, 1.0
    value = float((rankdata(score)[positive].sum() - m * (m + 1) / 2) / (m * n))
    z, spare = float(ndtri((1 + confidence) / 2)), (m + n) / 2 - 1

    def distance(area: float) -> float:
        width = area * (1 - area) * (1 + spare * (1 - area) / (2 - area) + spare * area / (1 + area)) / (m * n)
        return float((value - area) ** 2 - z * z * max(width, 0.0))

    low = brentq(distance, 0.0, value) if value > 0 and distance(0.0) * distance(value) < 0 else 0.0
    high = brentq(distance, value, 1.0) if value < 1 and distance(value) * distance(1.0) < 0 else 1.0
    if value == 1.0:
        low = brentq(distance, 0.0, 1.0 - 1e-9)
    if value == 0.0:
        high = brentq(distance, 1e-9, 1.0)
    return value, float(low), float(high)


def unlike(held: Floats, pool: Floats) -> str:
    """Return a warning if labelled rows (N, K) and unlabelled ones (M, K) surely differ in their probabilities."""
    from scipy.stats import chi2_contingency, ks_2samp

    if len(held) < 20 or len(pool) < 20:
        return ""
    k = held.shape[1]
    counts = np.stack([np.bincount(part.argmax(axis=1), minlength=k) for part in (held, pool)])
    counts = counts[:, counts.sum(axis=0) > 0]
    shares = float(chi2_contingency(counts).pvalue) if counts.shape[1] > 1 else 1.0
    sure = float(ks_2samp(held.max(axis=1), pool.max(axis=1)).pvalue)
    if min(shares, sure) >= SHIFT_CHANCE / 2:
        return ""
    what = "class shares" if shares < sure else "confidences"
    return (
        f"the labelled rows differ from the others in their {what}: they are no random draw, so that the promised "
        "precision holds for rows like them only; label a random draw (scarce query --strategy random)"
    )


def label_shares(ds: Dataset) -> dict[str, float]:
    """Return source to its share of the labels of kept, real rows that are not evaluated on.

    Example:
        >>> from scarce.testing import tiny_dataset
        >>> label_shares(tiny_dataset())["given"]
        1.0
    """
    rows = ds["keep"].astype(bool) & (ds["origin"] == "real") & (ds["label"] >= 0)
    rows &= ~np.isin(ds["split"].astype(str), ("val", "test"))
    sources = [name or "given" for name in ds["label_source"][rows]]
    return {name: sources.count(name) / max(len(sources), 1) for name in LABEL_SOURCES}


def seconds_saved(taken: int, seconds: Sequence[float | None], *, default: float = 5.0) -> float:
    """Return the seconds that people would have needed for labels that were taken over.

    Args:
        taken: how many.
        seconds: what people needed for single labels so far; the median counts, so that a break does not.
        default: seconds a label where nothing is known.
    """
    known = [value for value in seconds if value is not None and np.isfinite(value) and value > 0]
    return taken * float(np.median(known) if known else default)
