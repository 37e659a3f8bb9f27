"""What a look for drift compares, and what it says: plain values, no project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from scarce.dataset import Array, Floats, Ints, Mask

INPUT: Final = "input"
PREDICTION: Final = "prediction"
CALIBRATION: Final = "calibration"
NEW_CLASS: Final = "new class"
UNKNOWN, ASK = "unknown", "ask"


@dataclass(frozen=True, eq=False, kw_only=True)
class Seen:
    """N samples as a model saw them.

    Attributes:
        answers: (N,) names of the likeliest classes.
        sure: (N,) calibrated probability of it.
        verdicts: (N,) ``accept``, ``reject``, ``unknown`` or ``ask``.
        foreign: (N,) how foreign each is, higher = more; NaN = no detector.
        features: (N, D) of one encoder, a row of NaN = the sample was not kept; (0, 0) = none was.
        properties: name to (N,) numbers, NaN = not measured.
        groups: (N,) what several samples share: part, lot, content, camera and hour; None = each stands alone.
        ids: (N,) content hashes, for people.
    """

    answers: Array
    sure: Floats
    verdicts: Array
    foreign: Floats
    features: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    properties: Mapping[str, Floats] = field(default_factory=dict)
    groups: Array | None = None
    ids: Array | None = None

    def __len__(self) -> int:
        """Return N."""
        return len(self.answers)

    @property
    def units(self) -> Array:
        """(N,) names or numbers of what is independent."""
        return np.arange(len(self)) if self.groups is None else np.asarray(self.groups)

    @property
    def shown(self) -> Mask:
        """(N,) whether the features of a sample are known."""
        return np.asarray(np.isfinite(self.features).all(1)) if len(self.features) else np.zeros(len(self), bool)


@dataclass(frozen=True, eq=False, kw_only=True)
class Confirmed:
    """How sure a model is less whether it is right, of samples whose truth is known.

    Attributes:
        reference: (N,) probability of the answer, less 1 where it is right, of independent held-out samples.
        surplus: (M,) the same of production samples that were drawn at random and confirmed by people.
        weights: (M,) inverse probabilities with which they were drawn.
        groups: (M,) as in :class:`Seen`.
    """

    reference: Floats
    surplus: Floats
    weights: Floats
    groups: Array | None = None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one test says.

    Attributes:
        name: for example ``embedding mmd``, ``brightness``, ``class mix``.
        kind: ``input``, ``prediction``, ``calibration`` or ``new class``.
        reference, new: independent samples of each side.
        statistic: of the test, in its own unit; None = not tested.
        p: its p-value, ``adjusted`` the one that is held against the rate of the look (Holm over its tests).
        alarm: whether that is at most the rate.
        said: for people: what changed, or why it was not tested.
    """

    name: str
    kind: str
    reference: int = 0
    new: int = 0
    statistic: float | None = None
    p: float | None = None
    adjusted: float | None = None
    alarm: bool = False
    said: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True, eq=False, kw_only=True)
class Strangers:
    """A possible new class: a compact group of samples that the model calls unknown.

    Attributes:
        rows: (M,) rows of the production side, the most central first.
        before: samples of the reference in it.
        p: chance of such a surplus anywhere among the unknown where nothing is new.
        spread: its variance over that of a known class; about 1 = as compact as a class.
        nearest: the known class whose middle lies nearest.
        away: distance to that middle, in units of a class's radius.
    """

    rows: Ints
    before: int
    p: float
    spread: float
    nearest: str
    away: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Look:
    """What all tests say.

    Attributes:
        tests: in a fixed order; those that could not be made are among them, with the reason.
        groups: possible new classes, most surprising first; empty without an alarm.
        rate: chance of any false alarm of this look.
    """

    tests: tuple[Reading, ...]
    rate: float
    groups: tuple[Strangers, ...] = ()

    @property
    def alarms(self) -> tuple[Reading, ...]:
        """The tests that raise an alarm."""
        return tuple(test for test in self.tests if test.alarm)
