"""One minus the largest probability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import ConfigError
from scarce.evaluate.out_of_distribution._base import AbstractDetector, Rows


@final
@dataclass(frozen=True, kw_only=True)
class SoftmaxScore(AbstractDetector):
    """One minus the largest probability: a sample that no class claims is foreign.

    Use as the floor that others must beat. Networks are often sure of what they never saw.
    Needs: logits (N, K).
    Source: Hendrycks and Gimpel 2017; with a temperature Liang, Li and Srikant 2018.

    Args:
        temperature: what logits are divided by, > 0; above 1 the runners-up count more.
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a temperature that is not above 0."""
        if not self.temperature > 0:
            raise ConfigError(self.plugin_name(), f"temperature = {self.temperature}", "it takes numbers above 0")

    def _foreign(self, rows: Rows, _state: Mapping[str, Array]) -> Floats:
        return softmax_score(rows.logits, temperature=self.temperature)


def softmax_score(logits: Array, *, temperature: float = 1.0) -> Floats:
    """Return (N,) 1 - the largest probability, exact also where it is far below rounding.

    Args:
        logits: (N, K).
        temperature: > 0.
    """
    values = np.sort(np.asarray(logits, np.float64) / temperature, axis=1)
    others = np.exp(values[:, :-1] - values[:, -1:]).sum(1)
    return np.asarray(others / (1.0 + others))
