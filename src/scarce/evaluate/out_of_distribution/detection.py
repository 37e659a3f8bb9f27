"""How well a score tells foreign samples from known ones, and what turning them away costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scarce.dataset import Array
from scarce.errors import DataError
from scarce.evaluate._base import plain
from scarce.evaluate.out_of_distribution.energy import energy
from scarce.evaluate.out_of_distribution.softmax_score import softmax_score
from scarce.metric.interval import cluster_weights, quantiles
from scarce.metric.ranking import area_under_roc, recall_at_false_positive_rate

KEPT = (0.99, 0.95, 0.9)
TEMPERATURES = (0.5, 1.0, 2.0, 5.0, 10.0, 100.0)
WHO = "evaluate.out_of_distribution"


@dataclass(frozen=True, kw_only=True)
class Detection:
    """How a detector does.

    Attributes:
        auroc: chance that a foreign sample scores above a known one, 1 best.
        fpr95: share of the foreign samples that pass where 95 % of the known ones do, 0 best.
        accuracy: of the known samples before any is turned away; NaN where labels were not given.
        accuracy95: share of the known samples that pass and are right, where 95 % of them pass.
        known, foreign: how many of each.
    """

    auroc: float
    fpr95: float
    accuracy: float
    accuracy95: float
    known: int
    foreign: int

    @property
    def cost95(self) -> float:
        """Accuracy that turning 5 % of the known samples away costs."""
        return self.accuracy - self.accuracy95

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**plain(asdict(self)), "cost95": plain(self.cost95)}


def detection(known: Array, foreign: Array, right: Array | None = None) -> Detection:
    """Return how well scores tell foreign samples from known ones.

    Args:
        known: (N,) scores of samples of the known classes, higher = more foreign.
        foreign: (M,) scores of the others.
        right: (N,) whether the model is right about each known sample; None = not known.

    Raises:
        DataError: one side is empty.

    Example:
        >>> detection(np.array([0.1, 0.2]), np.array([0.9])).auroc
        1.0
    """
    known, foreign = np.asarray(known, np.float64), np.asarray(foreign, np.float64)
    if not len(known) or not len(foreign):
        raise DataError(WHO, f"{len(known)} known and {len(foreign)} foreign samples", do="give some of both")
    truth = np.repeat([False, True], [len(known), len(foreign)])
    score = np.concatenate([known, foreign])
    good = np.nan if right is None else float(np.mean(right))
    passing = known <= threshold_keeping(known, 0.95)
    return Detection(
        auroc=area_under_roc(truth, score), fpr95=1.0 - recall_at_false_positive_rate(truth, score, 0.05),
        accuracy=good, accuracy95=np.nan if right is None else float((np.asarray(right, bool) & passing).mean()),
        known=len(known), foreign=len(foreign),
    )  # fmt: skip


def bounds(known: Array, foreign: Array, groups: Array, *, repeats: int = 200, seed: int = 0) -> dict[str, float]:
    """Return ``auroc_low``, ``auroc_high``, ``fpr95_low`` and ``fpr95_high``: 95 %, by a bootstrap.

    Known samples are drawn by whole groups, foreign ones singly. NaN where no draw differs.

    Args:
        known: (N,) scores of samples of the known classes, higher = more foreign.
        foreign: (M,) scores of the others.
        groups: (N,) of the known ones; None entries stand alone.
        repeats: draws.
        seed: of the draws.

    Source: Davison and Hinkley 1997, section 3.8.
    """
    score = np.concatenate([np.asarray(known, np.float64), np.asarray(foreign, np.float64)])
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=np.inf) != 0)
    alone = np.arange(len(foreign))
    drawn = cluster_weights(groups, repeats=repeats, seed=seed), cluster_weights(alone, repeats=repeats, seed=seed + 1)
    none = np.zeros(len(known)), np.zeros(len(foreign))
    figures = np.array(
        [
            _figures(np.concatenate([own, none[1]])[order], np.concatenate([none[0], other])[order], starts)
            for own, other in zip(*drawn, strict=True)
        ]
    )
    ends = [quantiles(column, [0.025, 0.975]) for column in figures.T]
    return {f"{name}_{end}": value for name, pair in zip(("auroc", "fpr95"), ends, strict=True)
            for end, value in zip(("low", "high"), pair, strict=True)}  # fmt: skip


def _figures(known: Array, foreign: Array, starts: Array) -> tuple[float, float]:
    """Return AUROC and FPR95 of weights, the highest score first; equal scores begin at ``starts``."""
    own, other = np.add.reduceat(known, starts), np.add.reduceat(foreign, starts)
    flagged, found = np.cumsum(own), np.cumsum(other)
    auroc = float((own * (found - 0.5 * other)).sum() / (flagged[-1] * found[-1]))
    place = int(np.searchsorted(flagged, 0.05 * flagged[-1] + 1e-9, side="right"))
    return auroc, 1.0 - (float(found[place - 1] / found[-1]) if place else 0.0)


def threshold_keeping(known: Array, share: float) -> float:
    """Return the lowest score that lets at least a share of the known samples pass (``score <= threshold`` passes).

    With few samples it lies so that a new known sample passes with at least that probability (split conformal): +inf
    where there are fewer than share / (1 - share).

    Args:
        known: (N,) scores of known samples that nothing was fitted on.
        share: wanted, in (0, 1).
    """
    known = np.sort(np.asarray(known, np.float64))
    if not 0 < share < 1:
        raise DataError(WHO, f"share = {share}", do="give a share between 0 and 1")
    place = int(np.ceil((len(known) + 1) * share - 1e-9)) - 1
    return float(known[place]) if place < len(known) else float("inf")


def sweep(
    known: Array, labels: Array, foreign: Array, *, kept: Sequence[float] = KEPT,
    temperatures: Sequence[float] = TEMPERATURES, chosen: Array | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return what every temperature and threshold would do: softmax score and energy, from logits alone.

    Args:
        known: (N, K) logits of samples of the known classes that the model did not fit.
        labels: (N,) their codes.
        foreign: (M, K) logits of foreign samples.
        kept: shares of the known samples that shall pass; each gives a threshold.
        temperatures: to try.
        chosen: (H, K) logits of other known samples, which thresholds are chosen on; None = ``known`` themselves, and
            what is told of those is then too good.

    Returns:
        One row for each score, temperature and share: ``detector``, ``temperature``, ``kept``, ``threshold``,
        ``auroc``, ``foreign_found`` (share), ``accuracy`` (passed and right, of all known) and ``accuracy_kept`` (of
        those passed).
    """
    known, foreign = np.asarray(known, np.float64), np.asarray(foreign, np.float64)
    right = known.argmax(1) == np.asarray(labels)
    rows = []
    for name, score in (("softmax_score", softmax_score), ("energy", energy)):
        for temperature in temperatures:
            own, others = score(known, temperature=temperature), score(foreign, temperature=temperature)
            before = None if chosen is None else score(np.asarray(chosen, np.float64), temperature=temperature)
            auroc = detection(own, others).auroc
            for share in kept:
                cut = threshold_keeping(own if before is None else before, share)
                passing = own <= cut
                rows.append({
                    "detector": name, "temperature": temperature, "kept": share, "threshold": cut, "auroc": auroc,
                    "foreign_found": float((others > cut).mean()), "accuracy": float((right & passing).mean()),
                    "accuracy_kept": float(right[passing].mean()) if passing.any() else np.nan,
                })  # fmt: skip
    return rows
