"""When to stop asking: pure functions over what the rounds left, each with a verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scarce.dataset import Array
from scarce.errors import DataError

WHO = "label.query.stopping"


@dataclass(frozen=True)
class Verdict:
    """Whether to stop, and why.

    Attributes:
        stop: whether there is reason to stop.
        why: one sentence.
        value: what was compared; NaN = too few rounds to tell.
    """

    stop: bool
    why: str
    value: float


def curve_is_flat(scores: Sequence[float], *, window: int = 3, least: float = 0.005) -> Verdict:
    """Say whether the last rounds gained less than they should have.

    Args:
        scores: (R,) one score a round on the same held-out samples, oldest first; larger = better.
        window: how many rounds must be flat.
        least: gain over these rounds together that is worth going on.

    Raises:
        DataError: scores that are no numbers, or window below 1.

    Source: performance gradient after Laws and Schuetze 2008.
    """
    values = _numbers(scores, window)
    if len(values) <= window:
        return Verdict(False, f"{len(values)} rounds are too few to tell; {window + 1} are needed", float("nan"))
    gain = float(values[-window:].max() - values[:-window].max())
    if gain < least:
        return Verdict(True, f"flat: the last {window} rounds gained {gain:+.4f}, less than {least:g}", gain)
    return Verdict(False, f"still rising: the last {window} rounds gained {gain:+.4f}", gain)


def predictions_are_stable(predictions: Sequence[Array], *, window: int = 3, kappa: float = 0.99) -> Verdict:
    """Say whether the models of the last rounds say the same about a fixed set of samples (stabilizing predictions).

    Args:
        predictions: one (N,) array of class codes a round, for the same samples, oldest first; they need no labels.
        window: how many agreements between neighboring rounds are averaged.
        kappa: mean Cohen's kappa that is called stable.

    Raises:
        DataError: rounds of different lengths, no sample, or window below 1.

    Source: Bloodgood and Vijay-Shanker 2009.
    """
    rounds = [np.asarray(codes) for codes in predictions]
    if window < 1 or any(codes.shape != rounds[0].shape or codes.ndim != 1 or not len(codes) for codes in rounds):
        shapes = sorted({str(codes.shape) for codes in rounds})
        raise DataError(WHO, f"predictions have shapes {', '.join(shapes)} and window = {window}",
                        do="give one (N,) array a round for the same samples")  # fmt: skip
    if len(rounds) <= window:
        return Verdict(False, f"{len(rounds)} rounds are too few to tell; {window + 1} are needed", float("nan"))
    pairs = list(zip(rounds[-window - 1 :], rounds[-window:], strict=False))
    mean = float(np.mean([_kappa(one, two) for one, two in pairs]))
    if mean >= kappa:
        return Verdict(True, f"stable: neighboring rounds agree with kappa {mean:.3f}, at least {kappa:g}", mean)
    return Verdict(False, f"still moving: neighboring rounds agree with kappa {mean:.3f}, below {kappa:g}", mean)


def target_reached(score: float, target: float, *, low: float | None = None) -> Verdict:
    """Say whether a score reached the target; with an interval its lower end must reach it.

    Args:
        score: of the latest round on held-out samples.
        target: what is wanted.
        low: lower end of the score's interval, if it is known.

    Raises:
        DataError: something is no number.
    """
    given = [score, target] if low is None else [score, target, low]
    _numbers(given, 1)
    judged = score if low is None else low
    told = f"{score:.4f}" + ("" if low is None else f" (lower end {low:.4f})")
    if judged >= target:
        return Verdict(True, f"reached: {told} is at least {target:g}", judged)
    if low is not None and score >= target:
        return Verdict(False, f"not proven: {told} may still be below {target:g}", judged)
    return Verdict(False, f"not reached: {told} is below {target:g}", judged)


def _numbers(scores: Sequence[float], window: int) -> Array:
    values = np.asarray(scores, np.float64).reshape(-1)
    if not np.isfinite(values).all() or window < 1:
        raise DataError(WHO, f"scores {values.tolist()} and window {window}", do="give finite numbers and 1 or more")
    return values


def _kappa(one: Array, two: Array) -> float:
    """Return Cohen's kappa of two rounds; 1 where both always say one and the same class."""
    names, both = np.unique(np.concatenate([one, two]), return_inverse=True)
    left, right = both[: len(one)], both[len(one) :]
    seen = float((left == right).mean())
    shares = [np.bincount(codes, minlength=len(names)) / len(one) for codes in (left, right)]
    chance = float(shares[0] @ shares[1])
    return 1.0 if chance >= 1 else (seen - chance) / (1 - chance)
