"""The confusion matrix with the samples behind each cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from scarce.evaluate._base import AbstractSection, Judged
from scarce.metric.confusion import confusion_matrix


@final
@dataclass(frozen=True, kw_only=True)
class Confusion(AbstractSection):
    """Which class is taken for which, with the samples behind every mistake.

    Use when you want to look at the pictures of one kind of mistake.
    Needs: labels and probabilities.
    Writes: ``matrix`` (K, K) counts, rows = true class, columns = answer; ``cells``: one entry for every pair of
    classes that was confused, most frequent first, with the ids, the surest mistakes first; ``right``: class to ``n``
    and the ids of what was answered rightly, the least sure first.

    Args:
        ids: most ids in one cell; 0 = the report's own limit.
    """

    ids: int = 0

    def measure(self, judged: Judged) -> dict[str, Any]:
        """Return classes, matrix and cells."""
        matrix = confusion_matrix(judged.y, judged.pred, judged.n_classes)
        pairs = [(int(a), int(b)) for a, b in np.argwhere(matrix) if a != b]
        pairs.sort(key=lambda pair: (-int(matrix[pair]), pair))
        cells = []
        for true, answer in pairs:
            rows = np.flatnonzero((judged.y == true) & (judged.pred == answer))
            surest = rows[np.argsort(-judged.probs[rows, answer], kind="stable")]
            cells.append({
                "true": judged.classes[true], "predicted": judged.classes[answer], "n": len(rows),
                "ids": judged.ids[surest[: self.ids or judged.listed]].tolist(),
            })  # fmt: skip
        right = {name: self._right(judged, code) for code, name in enumerate(judged.classes)}
        return {"classes": list(judged.classes), "matrix": matrix.tolist(), "cells": cells, "right": right}

    def _right(self, judged: Judged, code: int) -> dict[str, Any]:
        rows = np.flatnonzero((judged.y == code) & (judged.pred == code))
        unsure = rows[np.argsort(judged.probs[rows, code], kind="stable")]
        return {"n": len(rows), "ids": judged.ids[unsure[: self.ids or judged.listed]].tolist()}
