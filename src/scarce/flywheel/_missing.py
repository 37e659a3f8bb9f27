"""Real samples that classes lack: named before anything is made of those that are there.

To judge by: a promotion is proven by 52 samples of each class on which both models agree (at a margin of 5 points), a
detection rate of 99 % by 299 defects without a miss, a false-defect rate of 1 % by 299 sound samples without one. To
learn from: what :mod:`scarce.rebalance.strategy` would grow a class to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scarce.flywheel._paired import needed_for as needed_to_promote
from scarce.metric import needed_for
from scarce.rebalance import strategy

ENOUGH: Final = 10
"""Real labelled training samples of a class that a first model can begin with."""
DETECTION, FALSE_DEFECTS = 0.99, 0.01


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Real samples that a class lacks.

    Attributes:
        name: the class.
        sound: whether it is a sound one.
        train, test: what it has: training samples, and independent groups in test.
        to_learn: more training samples that growing would otherwise make.
        to_promote: more test samples until a promotion can be proven.
        to_prove: more test samples until the wanted rate can be proven (a detection rate is proven by all defects
            together, so that it is the same number for each of them); None where no class is known to be sound.
    """

    name: str
    sound: bool
    train: int
    test: int
    to_learn: int
    to_promote: int
    to_prove: int | None

    @property
    def total(self) -> int:
        """What is missing most: to learn from and to promote by."""
        return self.to_learn + self.to_promote

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"class": self.name, "sound": self.sound, "train": self.train, "test": self.test,
                "to_learn": self.to_learn, "to_promote": self.to_promote, "to_prove": self.to_prove}  # fmt: skip


def missing(
    train: Mapping[str, int], test: Mapping[str, int], normal: Sequence[str], *, margin: float = 0.05,
    more_defects: int | None = None,
) -> tuple[Missing, ...]:  # fmt: skip
    """Return the classes that lack real samples, those that lack most first.

    Args:
        train: class to real training samples.
        test: class to independent test samples.
        normal: names of the sound classes; empty = none is known.
        margin: recall that a class may lose by a promotion.
        more_defects: further defects that would prove the detection rate, as ``scarce evaluate`` counted with its
            misses; None = as if nothing was missed.
    """
    largest = max(train.values(), default=0)
    aims = strategy.choose(train).targets if largest else {}
    defects = sum(test.get(name, 0) for name in train if name not in normal)
    sound = sum(test.get(name, 0) for name in train if name in normal)
    proof = {True: max(needed_for(1 - FALSE_DEFECTS) - sound, 0),
             False: max(needed_for(DETECTION) - defects, 0) if more_defects is None else more_defects}  # fmt: skip
    rows = [
        Missing(
            name=name, sound=name in normal, train=n, test=test.get(name, 0),
            to_learn=max(aims.get(name, 0) - n, ENOUGH - n if n < ENOUGH else 0),
            to_promote=max(needed_to_promote(margin) - test.get(name, 0), 0),
            to_prove=proof[name in normal] if normal else None,
        ) for name, n in train.items()
    ]  # fmt: skip
    short = [row for row in rows if row.total or row.to_prove]
    return tuple(sorted(short, key=lambda row: (-row.total, -(row.to_prove or 0), row.name)))
