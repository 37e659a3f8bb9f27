"""Move training samples that show an object of validation or test out of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from scarce.clean._base import AbstractAction, Action, findings_of, trainable
from scarce.columns import sample_name
from scarce.dataset import Dataset

EVALUATION = ("val", "test")


@final
@dataclass(frozen=True, kw_only=True)
class Resplit(AbstractAction):
    """Move training samples that show an object of val or test into the pool.

    Use when pictures of one part were split between training and evaluation, so that the score is flattered.
    Do not use for copies: merge_duplicates sets those aside. After many moves, split anew (scarce split --anew).
    Needs: group findings of same_object, near_duplicate and leakage, and a split.
    Writes: split = "pool" of the training members; evaluation samples stay where they are, so that scores before and
    after can be compared.

    Args:
        checks: whose groups are kept out of training.
    """

    checks: tuple[str, ...] = ("same_object", "near_duplicate", "leakage")

    def propose(self, ds: Dataset) -> list[Action]:
        """Return one action per group that is cut."""
        if "split" not in ds:
            return []
        place = {sample: row for row, sample in enumerate(ds.ids.tolist())}
        split, keep, gone, actions = ds["split"], ds["keep"], set[int](), list[Action]()
        for check in self.checks:
            for level in ("group", "pair"):
                for found in findings_of(ds, check, level):
                    rows = [place[member] for member in found["members"] if member in place]
                    judged = [row for row in rows if split[row] in EVALUATION and keep[row]]
                    moved = [row for row in trainable(ds, rows) if split[row] == "train" and row not in gone]
                    if judged and moved:
                        gone.update(moved)
                        actions.append(_moved(ds, moved, judged[0], check, found["why"]))
        return actions


def _moved(ds: Dataset, rows: list[int], judged: int, check: str, why: str) -> Action:
    n = len(rows)
    other = sample_name(ds.table["uri"][judged].as_py(), str(ds.ids[judged]))
    reason = f"shares an object with {other}, which is in {ds['split'][judged]}: {why}"
    return Action(samples=tuple(str(ds.ids[row]) for row in rows), kind="resplit", old=("train",) * n,
                  new=("pool",) * n, reason=reason, check=check)  # fmt: skip
