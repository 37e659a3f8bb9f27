"""Whether a limit holds, is broken, or cannot be told: an interval beside a limit, and how many more samples decide."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from scarce.quality import bounds

CONFIDENCE: Final = 0.95
"""Of the one-sided bound that must be on the right side of a limit."""
MOST_NEEDED: Final = 10**8
Verdict = Literal["holds", "broken", "unknown"]
Level = Literal["error", "warning", "note", ""]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one rule.

    Attributes:
        rule: its name in the contract.
        outcome: ``holds``, ``broken``, or ``unknown``: so few samples do not tell.
        level: ``error``, ``warning``, ``note`` or empty: how it counts for the gate.
        what: one sentence with the figures.
        value, low, high: estimate with its interval; None where the rule is about facts. Each bound alone is one-sided
            at 95 %.
        limit: what was promised.
        n: samples (items, periods) behind the estimate.
        needed: how many more would decide, if they are like these; None = not known, or no number would.
        examples: samples, classes or columns.
        do: what can be done.
    """

    rule: str
    outcome: Verdict
    level: Level = ""
    what: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    n: int | None = None
    needed: int | None = None
    examples: tuple[str, ...] = ()
    do: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        body = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**body, "examples": list(self.examples)}


def side(low: float, high: float, limit: float, *, at_least: bool) -> Verdict:
    """Return whether an interval lies wholly on the right side of a limit, wholly on the wrong one, or on both."""
    if at_least:
        return "holds" if low >= limit else "broken" if high < limit else "unknown"
    return "holds" if high <= limit else "broken" if low > limit else "unknown"


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share that was seen in n samples, ``units`` of them independent; ``doubt`` is the judge's own error."""

    value: float
    n: int
    units: int
    doubt: float = 0.0

    def interval(self, times: float = 1.0) -> tuple[float, float]:
        """Return one-sided 95 % bounds on both sides, as if there were so many times more samples."""
        n, units = max(1, round(self.n * times)), max(1, round(self.units * times))
        return bounds(self.value, n, min(units, n), doubt=self.doubt, confidence=2 * CONFIDENCE - 1)

    def verdict(self, limit: float, *, at_least: bool) -> Verdict:
        """Return whether the limit holds; a limit that leaves no room (all, or none) is a fact, not an estimate."""
        if limit == (1.0 if at_least else 0.0):
            return "holds" if self.value == limit else "broken"
        return side(*self.interval(), limit, at_least=at_least)

    def needed(self, limit: float, *, at_least: bool) -> int | None:
        """Return how many more samples like these would decide; None if no number would."""
        return fewest(
            lambda times: side(*self.interval(times), limit, at_least=at_least) != "unknown", self.n
        )  # fmt: skip


def fewest(decides: Callable[[float], bool], n: int) -> int | None:
    """Return by how many samples n must grow until ``decides(times)`` is true; None beyond a hundred million."""
    high = 1.0
    while not decides(high):
        high *= 2
        if n * high > MOST_NEEDED:
            return None
    low = high / 2
    for _ in range(40):
        if (high - low) * n < 0.5:
            break
        middle = (low + high) / 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return max(1, math.ceil(n * high - 1e-9) - n)
