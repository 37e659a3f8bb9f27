"""Whether a sample is of a kind that the model was never taught: scores of foreignness, one method a file.

Every detector has ``fit(features, logits, labels)`` on samples of the known classes and ``score(features, logits)``,
(N,), higher = more foreign. :func:`~scarce.evaluate.out_of_distribution.detection.detection` says how well a score
tells foreign samples from known ones and what that costs; :mod:`scarce.evaluate.guard` chooses a detector and its
threshold for a model.
"""

from __future__ import annotations

from typing import Any

from scarce import registry
from scarce.evaluate.out_of_distribution._base import AbstractDetector

MODULES = ("detection",)

__all__ = ["MODULES", "AbstractDetector"]


def __getattr__(name: str) -> Any:
    """Import a method's module when it is first asked for."""
    return registry.part(__name__, name)
