"""What to label or clean next, from the mix-ups: classes and pairs, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from scarce.dataset import Array, Ints
from scarce.evaluate._base import AbstractSection, Judged
from scarce.evaluate._spread import subclasses
from scarce.metric.confusion import confusion_matrix
from scarce.metric.interval import clopper_pearson

SURE = 0.9


@final
@dataclass(frozen=True, kw_only=True)
class Next(AbstractSection):
    """Which classes and pairs of classes need more or cleaner data, the ones that cost most recall first.

    Use after a look, to decide what the next labels are for; ``scarce evaluate --ask`` puts samples of them into the
    queue.
    Needs: labels and probabilities; out-of-fold answers tell doubtful labels from missing samples; features find
    subclasses.
    Writes: ``pairs``: true class, answer, ``n`` mix-ups, their ``share`` of the class with exact bounds, ``groups``,
    ``train`` samples of the true class, ``doubtful`` (share of its out-of-fold mix-ups that are sure of the answer) and
    ``needs``, ``more`` or ``cleaner``, with ``why``; ``classes``: with the ``spread`` inside each class (1 = average)
    and ``subclasses``, where a class falls into clusters.

    Args:
        most: pairs that are listed.
        least: share of a class that must be mixed up with another one for the pair to be listed, in [0, 1].
    """

    most: int = 12
    least: float = 0.02

    def measure(self, judged: Judged) -> dict[str, Any]:
        """Return the lists."""
        return {"pairs": self._pairs(judged), "classes": subclasses(judged)}

    def _pairs(self, judged: Judged) -> list[dict[str, Any]]:
        matrix = confusion_matrix(judged.y, judged.pred, judged.n_classes)
        share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
        np.fill_diagonal(share, 0.0)
        found = [(int(a), int(b)) for a, b in np.argwhere(share >= max(self.least, 1e-12))]
        found.sort(key=lambda pair: (-float(share[pair]), pair))
        return [self._pair(judged, *pair) for pair in found[: self.most]]

    def _pair(self, judged: Judged, true: int, answer: int) -> dict[str, Any]:
        own = judged.y == true
        mixed = own & (judged.pred == answer)
        n, total = int(mixed.sum()), int(own.sum())
        low, high = clopper_pearson(n, total, 0.95, groups=judged.group_count(own))
        doubtful, sure = _doubtful(judged, true, answer)
        train, typical = int(judged.train_counts[true]), float(np.median(judged.train_counts))
        cleaner = np.isfinite(doubtful) and sure >= 3 and doubtful >= 0.5
        names = judged.classes[true], judged.classes[answer]
        if cleaner:
            why = (
                f"{sure} training samples labelled {names[0]} are called {names[1]} with {SURE:.0%} or more by models "
                "that did not see them: look at those labels first"
            )
        elif train < typical:
            why = f"{names[0]} has {train} training samples, the middle class {typical:g}: label more of it"
        else:
            why = f"{names[0]} has samples enough; label those that lie between it and {names[1]}"
        return {
            "true": names[0], "predicted": names[1], "n": n, "share": n / total, "low": low, "high": high,
            "groups": judged.group_count(mixed), "train": train, "doubtful": doubtful,
            "needs": "cleaner" if cleaner else "more", "why": why,
        }  # fmt: skip


def _doubtful(judged: Judged, true: int, answer: int) -> tuple[float, int]:
    """Return the share of out-of-fold mix-ups of the pair that are sure of the answer, and their number."""
    if judged.out_of_fold is None:
        return float("nan"), 0
    labels, probs = judged.out_of_fold
    mixed = (labels == true) & (probs.argmax(1) == answer)
    sure = mixed & (probs[:, answer] >= SURE)
    return (float(sure.sum() / mixed.sum()) if mixed.any() else float("nan")), int(sure.sum())


def between(probs: Array, pairs: list[tuple[int, int]], weights: Array, count: int) -> list[tuple[int, int]]:
    """Return (row, pair) of unlabelled samples that lie between the classes of a pair, the most useful first.

    Args:
        probs: (N, K) of the samples.
        pairs: (true, answer) codes.
        weights: (P,) how much each pair costs; samples are given out in proportion.
        count: how many samples.
    """
    probs = np.asarray(probs, np.float64)
    if not len(pairs) or not len(probs):
        return []
    both = np.stack([np.minimum(probs[:, a], probs[:, b]) for a, b in pairs], axis=1)
    left = _shares(np.asarray(weights, np.float64), min(count, len(probs)))
    taken: set[int] = set()
    found: list[tuple[float, int, int]] = []
    for pair, room in enumerate(left.tolist()):
        order = np.argsort(-both[:, pair], kind="stable")
        rows = [int(row) for row in order[: room + len(taken)] if row not in taken][:room]
        taken |= set(rows)
        found += [(float(weights[pair]) * float(both[row, pair]), row, pair) for row in rows]
    return [(row, pair) for _, row, pair in sorted(found, key=lambda item: (-item[0], item[1]))]


def _shares(weights: Array, count: int) -> Ints:
    exact = count * weights / max(float(weights.sum()), 1e-12)
    out = np.floor(exact).astype(np.int64)
    for place in np.argsort(out - exact, kind="stable")[: count - int(out.sum())]:
        out[place] += 1
    return out
