"""Propose better labels; carry them out only when asked to."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, final

from scarce.clean._base import AbstractAction, Action, findings_of, trainable
from scarce.dataset import Dataset

SUGGESTION = re.compile(r'more likely ("(?:[^"\\]|\\.)*") \(probability ([01]\.\d+)\)')


@final
@dataclass(frozen=True, kw_only=True)
class Relabel(AbstractAction):
    """Propose the label that the audit thinks is right.

    Use when a person looks through the proposals, or with ``apply`` when label errors are many and the classes clear.
    Do not use with ``apply`` for a rare class without looking.
    Needs: sample findings of label_error. Only rows with split train, pool or none: validation and test keep what they
    were given, so that no score is made better by changing what is right.
    Writes: label, label_source = "model" (only with ``apply``).

    Args:
        apply: carry the proposals out.
        least_probability: of the new label, in [0, 1].
    """

    apply: bool = False
    least_probability: float = 0.5

    def propose(self, ds: Dataset) -> list[Action]:
        """Return one action per flagged sample, worst first."""
        place = {sample: row for row, sample in enumerate(ds.ids.tolist())}
        actions = []
        for found in findings_of(ds, "label_error", "sample"):
            sample = found["members"][0]
            better, probability = suggestion(found["why"])
            if sample not in place or better not in ds.schema.classes or probability < self.least_probability:
                continue
            row = place[sample]
            if not trainable(ds, [row]) or ds["label_source"][row] == "human" or ds["label"][row] < 0:
                continue
            old = ds.schema.classes[int(ds["label"][row])]
            source = (ds["label_source"][row],)
            actions.append(_proposal(sample, (old, better), found, source, apply=self.apply))
        return actions


def _proposal(
    sample: str, change: tuple[str, str], found: dict[str, Any], source: tuple[str | None], *, apply: bool
) -> Action:
    return Action(
        samples=(sample,),
        kind="relabel",
        old=change[:1],
        new=change[1:],
        reason=found["why"],
        check="label_error",
        score=found["score"],
        apply=apply,
        source=source,
    )


def suggestion(why: str) -> tuple[str, float]:
    """Return the class and probability that a label_error finding suggests; ("", 0.0) if it names none."""
    match = SUGGESTION.search(why)
    return (str(json.loads(match.group(1))), float(match.group(2))) if match else ("", 0.0)
