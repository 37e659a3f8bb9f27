"""Augment: new samples from existing ones, by changes that keep the label.

A policy is a list of operations; a preset per domain says which ones keep a garment a garment. Grown rows
carry a recipe of some hundred bytes instead of pixels: ``run`` opens no picture. Copy k offline equals epoch
k online, pixel for pixel.
"""

from __future__ import annotations

from scarce.augment._base import AbstractOperation
from scarce.augment._run import run
from scarce.augment.policy import OneOf, Policy, apply_batch, guess_domain, policy

MODULES = ("adapt", "automatic", "distribution", "offline", "policy", "sheet", "strength")
"""Public files that are not plugins."""

__all__ = ["MODULES", "AbstractOperation", "OneOf", "Policy", "apply_batch", "guess_domain", "policy", "run"]
