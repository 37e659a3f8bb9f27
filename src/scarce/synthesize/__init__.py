"""Synthesize: new defective samples, drawn or pasted on sound ones.

A synthetic row names every sample that it was made from, carries a recipe instead of pixels, and its mask
follows for free. A kind serves only classes that it can honestly show: pasting needs masks or boxes of that class,
drawing needs a class that is about such defects; anything else is refused with the reason, never mislabelled.
``run`` appends rows to a dataset; ``make`` writes pictures with class, box and mask into a folder.
"""

from __future__ import annotations

from scarce.synthesize._adopt import adopt
from scarce.synthesize._base import AbstractDefect
from scarce.synthesize._look import Look, learn_looks, mask_from_box
from scarce.synthesize._make import Limits, Made, class_of, make
from scarce.synthesize._material import with_boxes_of
from scarce.synthesize._run import run, servable

MODULES: tuple[str, ...] = ("generate", "screen")
"""Public files and packages that are not plugins."""

__all__ = [
    "MODULES", "AbstractDefect", "Limits", "Look", "Made", "adopt", "class_of", "learn_looks", "make",
    "mask_from_box", "run", "servable", "with_boxes_of",
]  # fmt: skip
