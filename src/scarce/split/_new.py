"""New rows beside old splits: the shares of classes that came later, and why a row has to wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scarce.dataset import Dataset, Ints
from scarce.split._base import NAMES, TEST, TRAIN
from scarce.split._component import Links

NEAR, SURE, THROUGH = "nearly the same as", "equal to, or of one group with,", "through other samples near to"


@dataclass(frozen=True)
class Past:
    """What the last split said of itself.

    Attributes:
        late: classes that came when there was a test already; their new rows are still divided by the ratios.
        apart: the test is a condition or a source that was named; no other row may enter it.
    """

    late: frozenset[str] = frozenset()
    apart: bool = False

    @classmethod
    def of(cls, ds: Dataset) -> Past:
        """Read it from the lineage."""
        last = next((step for step in reversed(ds.steps) if step.stage == "split"), None)
        if last is None:
            return cls()
        return cls(frozenset(last.params.get("late", ())), last.name == "hold_out" or bool(last.params.get("apart")))

    def params(self) -> dict[str, Any]:
        """Return what the next split must know."""
        return ({"late": sorted(self.late)} if self.late else {}) | ({"apart": True} if self.apart else {})


def shares_left(have: Ints, new: int, ratios: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return the shares by which new rows bring a class nearest to its ratios, since its old rows stay.

    Args:
        have: (3,) old rows of the class in train, val and test.
        new: rows to be divided, at least one.
        ratios: what all its rows should come to.
    """
    need = np.maximum(np.asarray(ratios) * (have.sum() + new) - have, 0.0)
    train, val, test = (need / need.sum()).tolist()
    return train, val, test


def why_waiting(ds: Dataset, found: Links, code: Ints, split: Ints, rows: Ints) -> list[Mapping[str, Any]]:
    """Return one finding a row that may not join: the samples that hold it back, one of each split.

    Args:
        ds: N samples.
        found: the links between them.
        code: (N,) component of each.
        split: (N,) what is decided of each.
        rows: the samples that wait.
    """
    names = ds.table["uri" if "uri" in ds else "id"].to_pylist()
    reasons: dict[int, dict[int, str]] = {int(row): {} for row in rows}
    for word, pairs in ((NEAR, found.near), (SURE, found.sure)):
        for pair in pairs[np.isin(pairs, rows).any(axis=1)].tolist():
            for row, other in (pair, pair[::-1]):
                if row in reasons and TRAIN <= split[other] <= TEST:
                    reasons[row].setdefault(int(split[other]), _clause(word, int(split[other]), names[other]))
    decided = np.flatnonzero((split >= TRAIN) & (split <= TEST) & np.isin(code, code[rows]))
    first: dict[tuple[int, int], int] = {}
    for other in decided.tolist():
        first.setdefault((int(code[other]), int(split[other])), other)
    for row, told in reasons.items():
        for kind in (kind for part, kind in first if part == code[row]):
            told.setdefault(kind, _clause(THROUGH, kind, names[first[int(code[row]), kind]]))
    return [
        {"level": "sample", "members": [str(ds.ids[row])], "score": 0.5, "why": _sentence(told)}
        for row, told in reasons.items()
    ]


def _clause(word: str, kind: int, name: str) -> str:
    return f"{word} {NAMES[kind]} sample {name}"


def _sentence(told: Mapping[int, str]) -> str:
    clauses = " and ".join(told[kind] for kind in sorted(told))
    if len(told) > 1:
        return f"{clauses}: it would bridge {' and '.join(NAMES[kind] for kind in sorted(told))}, and waits in the pool"
    return f"{clauses}: it must not be trained on, and waits in the pool"
