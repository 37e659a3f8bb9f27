"""Set samples aside whose pictures cannot teach anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from scarce.clean._base import AbstractAction, Action, findings_of, trainable
from scarce.dataset import Dataset


@final
@dataclass(frozen=True, kw_only=True)
class SetAside(AbstractAction):
    """Set aside pictures that show nothing (blank, black, white).

    Use when cameras fail now and then.
    Do not use for blurred, odd or outlying samples without looking: a rare defect is often all three. Add those checks
    by name if you know better.
    Needs: findings of the audit. Only rows with split train, pool or none are touched, and never more than ``most``
    of a class.
    Writes: keep, drop_reason.

    Args:
        checks: audits that are believed.
        least_score: only samples at least this bad, in [0, 1].
        most: largest share of a class that may go; above it the action is a question.
    """

    checks: tuple[str, ...] = ("low_information", "dark", "bright")
    least_score: float = 0.6
    most: float = 0.05

    def propose(self, ds: Dataset) -> list[Action]:
        """Return one action per sample, worst first."""
        place = {sample: row for row, sample in enumerate(ds.ids.tolist())}
        worst: dict[int, tuple[float, str, str]] = {}
        for check in self.checks:
            for found in findings_of(ds, check, "sample"):
                number = place.get(found["members"][0])
                if number is not None and found["score"] >= self.least_score:
                    worst[number] = max(worst.get(number, (0.0, "", "")), (found["score"], check, found["why"]))
        rows = trainable(ds, sorted(worst))
        labels = ds["label"]
        allowed = {code: int(self.most * max((labels == code).sum(), 1)) for code in {int(labels[row]) for row in rows}}
        actions = []
        for row in sorted(rows, key=lambda row: (-worst[row][0], ds.ids[row])):
            score, check, why = worst[row]
            code = int(labels[row])
            allowed[code] -= 1
            actions.append(_action(str(ds.ids[row]), score, check, why, sure=allowed[code] >= 0))
        return actions


def _action(sample: str, score: float, check: str, why: str, *, sure: bool) -> Action:
    if sure:
        return Action(
            samples=(sample,), kind="set_aside", old=(None,), new=(why,), reason=why, check=check, score=score
        )
    reason = f"{why}; so many of this class look like it that a person should decide"
    return Action(
        samples=(sample,), kind="ask", old=(None,), new=(None,), reason=reason, check=check, score=score, apply=False
    )
