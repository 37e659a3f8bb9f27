"""Rebalance: what to do about classes that are much smaller than others.

Either the loss changes (class weights, effective numbers, balanced softmax, focal loss), or the samples do (repeats,
SMOTE and its kin, leaving out), or the decision does (``threshold``: thresholds and costs). Each file offers its
arithmetic as a pure function; methods that change samples follow ``fit_resample`` of imbalanced-learn. ``target`` alone
says how many samples a class is to have. ``strategy.choose`` proposes a plan from counts, imbalance and noise, and says
why; the ledger has the last word.
"""

from __future__ import annotations

from typing import Any

from scarce import registry
from scarce.rebalance._base import AbstractRebalance, Adjustment
from scarce.rebalance._resample import Resampled
from scarce.rebalance._run import adjust, resample, run

MODULES = ("strategy", "target", "threshold")
"""Public files that are not plugins."""

__all__ = ["MODULES", "AbstractRebalance", "Adjustment", "Resampled", "adjust", "resample", "run"]


def __getattr__(name: str) -> Any:
    """Import a method's module when it is first asked for."""
    return registry.part(__name__, name)
