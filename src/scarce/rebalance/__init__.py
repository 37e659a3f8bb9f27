"""Rebalance: what to do about classes that are much smaller than others.

Either the loss changes (class weights, effective numbers, balanced softmax, focal loss) or the samples do
(oversample, undersample). Each file offers its arithmetic as a pure function of the class counts.
``strategy.choose`` proposes a plan from counts, imbalance and noise, and says why; the ledger has the last
word.
"""

from __future__ import annotations

from scarce.rebalance._base import AbstractRebalance, Adjustment
from scarce.rebalance._run import adjust, run

MODULES = ("strategy",)
"""Public files that are not plugins."""

__all__ = ["MODULES", "AbstractRebalance", "Adjustment", "adjust", "run"]
