"""The sequential test of a trial on arrays: does the challenger lose more than a margin, asked at any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scarce.dataset import Array, Floats, Mask
from scarce.flywheel._paired import PROVEN, UNDECIDED, WORSE, Evidence
from scarce.metric.sequential import needed_at, running_bounds

TRIAL: Final = "trial"
EVERY: Final = "all classes"
SHOWN: Final = 10


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Confirmed samples of a trial that were drawn at random, in the order in which they were confirmed.

    Attributes:
        inclusion: (N,) probability with which each was drawn, in (0, 1].
        labels: (N,) true codes; -1 = no class of the models.
        right: (N,) whether champion and challenger named it; what the one that was not asked holds does not matter.
        share: (N,) probability with which the challenger was asked in the champion's place; None = both were asked.
        asked: (N,) whether the challenger was; None = both were.
    """

    inclusion: Floats
    labels: Array
    right: tuple[Mask, Mask]
    share: Floats | None = None
    asked: Mask | None = None


def judged(samples: Judged, classes: Sequence[str], *, margin: float, confidence: float) -> list[Evidence]:
    """Return the evidence about all classes together, and about each.

    A sample weighs the inverse of the probability with which it was drawn, so that what is estimated is the loss on all
    samples that the confirmed ones were drawn from: a week with much traffic and few draws counts as what it was. The
    lower bound of each row holds with the confidence at all looks together, for what was confirmed until then. That all
    rows are ``not worse`` needs no correction for their number; that any of them is ``worse`` does, so that the upper
    bounds share the error.

    Args:
        samples: confirmed ones.
        classes: names, by code.
        margin: share of right answers that may be lost.
        confidence: of the verdict.

    Source: Waudby-Smith and Ramdas 2024; Berger 1982 for the rows; Robins, Rotnitzky and Zhao 1994 for what stands in
    for the model that was not asked.
    """
    rows: list[tuple[str, Mask]] = [(EVERY, np.ones(len(samples.labels), bool))]
    rows += [(name, samples.labels == code) for code, name in enumerate(classes)]
    above = 1 - (1 - confidence) / len(rows)
    return [_evidence(samples, name, own, margin=margin, confidence=confidence, above=above) for name, own in rows]


def _evidence(samples: Judged, name: str, own: Mask, *, margin: float, confidence: float, above: float) -> Evidence:
    right = [np.asarray(side[own], np.float64) for side in samples.right]
    n = int(own.sum())
    drawn = samples.inclusion[own]
    weights: Floats = drawn[:1] / drawn
    if samples.share is None or samples.asked is None:
        values: Floats = right[1] - right[0]
        reach = 1.0
        means = [float(np.average(side, weights=weights)) if n else None for side in right]
    else:
        asked, share = samples.asked[own], samples.share[own]
        values = _differences(np.where(asked, right[1], right[0]), asked, share)
        reach = float(1 / np.minimum(samples.share, 1 - samples.share).min()) if len(samples.share) else 1.0
        answered = zip(right, (~asked, asked), strict=True)
        means = [float(np.average(side[who], weights=weights[who])) if who.any() else None for side, who in answered]
    low, high = running_bounds(values, -reach, reach, confidence, above=above, weights=weights)
    low, high = max(low, -1.0), min(high, 1.0)
    gain = 0.0 if means[0] is None or means[1] is None else means[1] - means[0]
    verdict = PROVEN if low > -margin else WORSE if high < -margin else UNDECIDED
    needed = needed_at((values + reach) / (2 * reach), (reach - margin) / (2 * reach), confidence, weights)
    return Evidence(source=TRIAL, name=name, n=n, groups=n, champion=means[0], challenger=means[1], gain=gain, low=low,
                    high=high, verdict=verdict, needed=needed)  # fmt: skip


def _differences(right: Floats, asked: Mask, share: Floats) -> Floats:
    """Return values whose expectation is the challenger's share of right answers minus the champion's.

    What was known before a sample came, the share of right answers of both, is taken off: its expectation is nothing,
    and it takes most of the variance with it.
    """
    before = (np.concatenate([[0.0], np.cumsum(right)[:-1]]) + 0.5) / (np.arange(len(right)) + 1)
    return np.asarray((right - before) * np.where(asked, 1 / share, -1 / (1 - share)), np.float64)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What two models answered about the same samples; nobody's label is needed.

    Attributes:
        n: distinct samples that both answered.
        same: share on which they name one class.
        low, high: its bounds, at every look together.
        verdicts: share on which the verdict (accept, reject, unknown, ask) is the same.
        apart: the champion's class, the challenger's, and how often, the most frequent first.
        look: request ids on which both are surest of different classes: worth a person's look.
    """

    n: int
    same: float | None
    low: float
    high: float
    verdicts: float | None
    apart: tuple[tuple[str, str, int], ...]
    look: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"n": self.n, "same": self.same, "low": self.low, "high": self.high, "verdicts": self.verdicts,
                "apart": [list(row) for row in self.apart], "look": list(self.look)}  # fmt: skip


def agreement(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]], confidence: float) -> Agreement:
    """Return where two models agree.

    Args:
        pairs: the champion's row of the log and the challenger's, one pair a sample.
        confidence: of the two bounds together.
    """
    same = np.array([first["label"] == second["label"] for first, second in pairs], bool)
    low, high = running_bounds(same, 0.0, 1.0, (1 + confidence) / 2)
    differ = [pair for pair, one in zip(pairs, same, strict=True) if not one]
    counts = Counter((str(first["label"]), str(second["label"])) for first, second in differ)
    surest = sorted(differ, key=lambda pair: -min(pair[0]["probability"] or 0.0, pair[1]["probability"] or 0.0))
    return Agreement(
        n=len(pairs), same=float(same.mean()) if len(same) else None, low=low, high=high,
        verdicts=float(np.mean([one["verdict"] == other["verdict"] for one, other in pairs])) if pairs else None,
        apart=tuple((one, other, count) for (one, other), count in counts.most_common(SHOWN)),
        look=tuple(pair[0]["request"] for pair in surest[:SHOWN]),
    )  # fmt: skip
