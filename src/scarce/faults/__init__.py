"""Plant known faults into good data, and see who finds them.

Every fault is one file: ``plant(material, seed=...)`` returns the spoiled material and the truth, row by row. Our own
tests demand that each fault is found by its audit; use them on your own pipeline as well.
"""

from __future__ import annotations

from scarce.faults._base import AbstractFault, Material, Truth

__all__ = ["AbstractFault", "Material", "Truth"]
