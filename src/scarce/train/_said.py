"""What a model says about samples: probabilities, how foreign they are, and the verdict that follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scarce import registry
from scarce.dataset import Array, Dataset, Floats
from scarce.train.model import Model

STAGE = "evaluate.out_of_distribution"  # a sibling stage: looked up on demand


@dataclass(frozen=True, eq=False)
class Said:
    """Answers about N samples.

    Attributes:
        probs: (N, K), NaN where there is no answer.
        foreign: (N,) scores, higher = more foreign; NaN without a detector.
    """

    probs: Floats
    foreign: Floats

    @classmethod
    def nothing(cls, n: int, k: int) -> Said:
        """Return no answer about n samples."""
        return cls(np.full((n, k), np.nan), np.full(n, np.nan))

    def put(self, rows: Array, other: Said) -> None:
        """Write the answers about some rows."""
        self.probs[rows], self.foreign[rows] = other.probs, other.foreign


def said(model: Model, ds: Dataset) -> Said:
    """Return what the model says, opening each sample once."""
    if not model.card.get("unknown"):
        return Said(model.predict_proba(ds), np.full(len(ds), np.nan))
    logits, features = model.answers(ds)
    return Said(model.probabilities(logits, ds.schema), foreign_scores(model, logits, features))


def foreign_scores(model: Model, logits: Floats, features: Array | None) -> Floats:
    """Return (N,) how foreign samples are to the model's own detector, higher = more; NaN without an answer."""
    unknown = model.card["unknown"]
    foreign = np.full(len(logits), np.nan)
    good = np.isfinite(logits).all(1) & (True if features is None else np.isfinite(features).all(1))
    if good.any():
        found: Any = registry.load(STAGE, str(unknown["detector"]), registry.Plugin)
        detector = found.from_params(unknown["params"]).restored(model.guard)
        foreign[good] = detector.score(None if features is None else features[good], logits[good])
    return foreign


def candidates(model: Model, probs: Floats) -> list[str]:
    """Return the classes that remain possible for one sample, the likeliest first; without a threshold that one."""
    order = np.argsort(-probs, kind="stable")
    entry = model.card.get("ambiguous")
    cut = float(entry["threshold"]) if entry else 2.0
    return [model.classes[code] for place, code in enumerate(order) if place == 0 or probs[code] >= cut - 1e-12]


def verdict(
    model: Model, probs: Floats, foreign: float, threshold: float | None, left: list[str] | None = None
) -> str | None:
    """Return ``unknown``, ``reject``, ``ambiguous``, ``accept``, or None where nothing was decided.

    Unknown comes first: a model has nothing to say about what it was never taught. A defect score at the operating
    point is a reject. What would pass is accepted only where every class that remains possible (those of
    :func:`candidates`, ``left`` where they are known already) is normal: what may be a defect, or can only be one, is
    ambiguous, and a person looks. Without an operating point several possible classes are ambiguous, too. Where no
    class is normal, nothing can be rejected: what leaves one class possible is accepted.
    """
    unknown = model.card.get("unknown")
    if unknown and unknown.get("threshold") is not None and foreign > float(unknown["threshold"]):
        return "unknown"
    normal = set(model.card.get("normal_classes", ()))
    left = candidates(model, probs) if left is None else left
    if len(left) > 1 and (not normal or threshold is None):
        return "ambiguous"
    if not normal:
        return "accept" if model.card.get("ambiguous") else None
    if threshold is None:
        return None
    score = 1.0 - sum(float(probs[model.classes.index(name)]) for name in normal)
    if score >= threshold:
        return "reject"
    return "accept" if set(left) <= normal else "ambiguous"
