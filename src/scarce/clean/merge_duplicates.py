"""Keep one of each group of copies, inside train only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import final

from scarce.clean._base import AWAY, AbstractAction, Action, Kind, findings_of, trainable
from scarce.columns import sample_name
from scarce.dataset import Dataset

SIMILARITY = re.compile(r"similarity ([01]\.\d+)")
EVALUATION = ("val", "test")
TRUST = {"human": 0, "given": 1, "vote": 2, "rule": 3, "zero_shot": 4, "model": 5, "inherited": 6}


@final
@dataclass(frozen=True, kw_only=True)
class MergeDuplicates(AbstractAction):
    """Keep one sample of each group of copies.

    Use when copies came in by accident; they would weigh double in training.
    Do not use when repeated shots of one part are wanted as natural augmentation; then keep them and rely on the
    split's groups. Those that same_object finds are always kept: other pictures of one object are no copies.
    Needs: group findings of exact_duplicate and near_duplicate. Copies of an evaluation sample are set aside in train;
    the evaluation sample always stays. Where labels of a group disagree, all its train members are set aside and a
    person is asked.
    Writes: keep, drop_reason.

    Args:
        checks: whose groups are merged.
        least_similarity: near copies less alike than this stay (two shots of one part teach more than one).
    """

    checks: tuple[str, ...] = ("exact_duplicate", "near_duplicate")
    least_similarity: float = 0.98

    def propose(self, ds: Dataset) -> list[Action]:
        """Return one action per group."""
        place = {sample: row for row, sample in enumerate(ds.ids.tolist())}
        gone: set[int] = set()
        actions = []
        for check in self._checks_for(ds):
            for found in findings_of(ds, check, "group"):
                match = SIMILARITY.search(found["why"])
                if match and float(match.group(1)) < self.least_similarity:
                    continue
                rows = [place[member] for member in found["members"] if member in place]
                rows = [row for row in rows if row not in gone and ds["keep"][row] and ds["origin"][row] == "real"]
                if len(rows) < 2:
                    continue
                new = _merged(ds, rows, check, found)
                gone.update(place[sample] for action in new if action.kind in AWAY for sample in action.samples)
                actions += new
        return actions

    def _checks_for(self, ds: Dataset) -> tuple[str, ...]:
        """Leave near rows of tables and series alone: they are other objects, not copies."""
        measured = ds.schema.modality in {"tabular", "time_series"}
        return tuple(check for check in self.checks if not (measured and check == "near_duplicate"))


def _merged(ds: Dataset, rows: list[int], check: str, found: dict[str, object]) -> list[Action]:
    labels = {int(code) for code in ds["label"][rows] if code >= 0}
    free = trainable(ds, rows)
    judged = [row for row in rows if ds["split"][row] in EVALUATION]
    names = tuple(str(ds.ids[row]) for row in rows)
    kind = check.replace("_", " ")
    score = float(found["score"])  # type: ignore[arg-type]
    if len(labels) > 1:
        said = tuple(None if ds["label"][row] < 0 else ds.schema.classes[int(ds["label"][row])] for row in rows)
        question = Action(
            samples=names, kind="ask", old=said, new=said, reason=f"{found['why']}: which label is right?", check=check,
            score=1.0, apply=False,
        )  # fmt: skip
        return [question, *_aside(ds, free, f"{kind} with conflicting labels", check, 1.0)]
    if judged:
        keeper = judged[0]
        why = f"{kind} of {_name(ds, keeper)}, which is in {ds['split'][keeper]}"
        return _aside(ds, free, why, check, score, into=str(ds.ids[keeper]))
    keeper = min(free, key=lambda row: _rank(ds, row), default=-1)
    others = [row for row in free if row != keeper]
    if not others:
        return []
    into = str(ds.ids[keeper])
    return _aside(ds, others, f"{kind} of {_name(ds, keeper)}", check, score, into=into)


def _aside(
    ds: Dataset, rows: list[int], reason: str, check: str, score: float, *, into: str | None = None
) -> list[Action]:
    if not rows:
        return []
    samples = tuple(str(ds.ids[row]) for row in rows)
    none: tuple[str | None, ...] = (None,) * len(rows)
    new = (reason,) * len(rows)
    what: Kind = "set_aside" if into is None else "merge"
    return [Action(samples=samples, kind=what, old=none, new=new, reason=reason, check=check, score=score, into=into)]


def _name(ds: Dataset, row: int) -> str:
    return sample_name(ds.table["uri"][row].as_py(), str(ds.ids[row]))


def _rank(ds: Dataset, row: int) -> tuple[int, int, float, str]:
    """Return what makes a copy worth keeping: a label, a trusted one, a larger picture; ties by id."""
    size = -1.0
    if "scan.width" in ds and "scan.height" in ds:
        size = float(ds["scan.width"][row]) * float(ds["scan.height"][row])
    trust = TRUST.get(str(ds["label_source"][row]), 9)
    return (int(ds["label"][row] < 0), trust, -size, str(ds.ids[row]))
