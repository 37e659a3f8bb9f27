"""The base class of studies: an experiment that answers one question, in the time that it is given, resumable."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scarce.dataset import Dataset
from scarce.progress import report, say
from scarce.registry import Plugin


@dataclass(frozen=True)
class Finding:
    """What a study found.

    Attributes:
        question: what was asked, one sentence.
        body: plain values for JSON: setting, results, what is missing.
        page: the same as one HTML file that needs nothing else.
    """

    question: str
    body: dict[str, Any]
    page: str


@dataclass(frozen=True, kw_only=True)
class AbstractStudy(Plugin, ABC):
    """Base of the studies."""

    @abstractmethod
    def run(self, ds: Dataset, *, journal: Path | None, minutes: float, seed: int) -> Finding:
        """Return what was found; what the journal holds is not measured again.

        Args:
            ds: samples with labels that people stand behind, and features.
            journal: file of the results so far; None = they stay in memory.
            minutes: no part is begun that would probably end later.
            seed: of everything drawn.
        """


def within(keys: Sequence[str], done: Sequence[str], *, minutes: float, what: str) -> Iterator[str]:
    """Yield the keys that are not done, as long as time is left, and say how far it is.

    Args:
        keys: all parts, in order.
        done: those that are measured.
        minutes: the time; a part that would probably end later is not begun, the first one always is.
        what: what is counted, for people.
    """
    left = [key for key in keys if key not in set(done)]
    begun = time.monotonic()
    report(what, len(keys) - len(left), len(keys))
    for place, key in enumerate(left):
        spent = time.monotonic() - begun
        each = spent / place if place else 0.0
        if place and spent + each > 60.0 * minutes:
            say(f"{len(keys) - len(left) + place} of {len(keys)} {what} done, time is up; run it again to go on")
            return
        yield key
        spent = time.monotonic() - begun
        finished = len(keys) - len(left) + place + 1
        rest = spent / (place + 1) * (len(left) - place - 1)
        report(what, finished, len(keys))
        say(f"{key}: {finished} of {len(keys)} {what} done, about {rest / 60:.1f} min left")
