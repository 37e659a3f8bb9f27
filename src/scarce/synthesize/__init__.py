"""Synthesize: new defective samples, drawn or pasted on sound ones.

A synthetic row names every sample that it was made from, carries a recipe instead of pixels, and its mask
follows for free. A kind serves only classes that it can honestly show: pasting needs masks of that class,
drawing needs a class that is about scratches or stains; anything else is refused with the reason, never
mislabelled.
"""

from __future__ import annotations

from scarce.synthesize._base import AbstractDefect
from scarce.synthesize._run import run, servable

MODULES: tuple[str, ...] = ("screen",)
"""Public files and packages that are not plugins."""

__all__ = ["MODULES", "AbstractDefect", "run", "servable"]
