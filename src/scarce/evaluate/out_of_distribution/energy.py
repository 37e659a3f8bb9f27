"""The free energy of the logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import ConfigError
from scarce.evaluate.out_of_distribution._base import AbstractDetector, Rows, log_sum_exp


@final
@dataclass(frozen=True, kw_only=True)
class Energy(AbstractDetector):
    """The free energy of the logits: low where any class speaks, high where all are silent.

    Use where a model has no features to look at; better than probabilities, which forget how loud the logits are.
    Needs: logits (N, K), not normalized.
    Source: Liu et al. 2020.

    Args:
        temperature: > 0.
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a temperature that is not above 0."""
        if not self.temperature > 0:
            raise ConfigError(self.plugin_name(), f"temperature = {self.temperature}", "it takes numbers above 0")

    def _foreign(self, rows: Rows, _state: Mapping[str, Array]) -> Floats:
        return energy(rows.logits, temperature=self.temperature)


def energy(logits: Array, *, temperature: float = 1.0) -> Floats:
    """Return (N,) -T log sum exp(logits / T).

    Args:
        logits: (N, K).
        temperature: T > 0.
    """
    return np.asarray(-temperature * log_sum_exp(np.asarray(logits, np.float64) / temperature))
