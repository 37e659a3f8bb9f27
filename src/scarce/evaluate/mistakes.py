"""The worst mistakes, to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from scarce.evaluate._base import AbstractSection, Judged


@final
@dataclass(frozen=True, kw_only=True)
class Mistakes(AbstractSection):
    """The samples that the model got wrong, the surest mistakes first.

    Use when you want to see them: many are wrong labels, the rest show what the training data lacks.
    Needs: labels and probabilities.
    Writes: ``n`` and ``worst``: id, true class, answer, the answer's probability and the true class's.
    """

    def measure(self, judged: Judged) -> dict[str, Any]:
        """Return the list."""
        rows = np.flatnonzero(judged.pred != judged.y)
        own = judged.probs[rows, judged.y[rows]]
        top = judged.probs[rows, judged.pred[rows]]
        order = np.lexsort((judged.ids[rows].astype(str), own - top))[: judged.listed]
        worst = [
            {
                "id": str(judged.ids[row]), "true": judged.classes[judged.y[row]],
                "predicted": judged.classes[judged.pred[row]],
                "probability": float(judged.probs[row, judged.pred[row]]),
                "true_probability": float(judged.probs[row, judged.y[row]]),
            }
            for row in rows[order]
        ]  # fmt: skip
        return {"n": len(rows), "worst": worst}
