"""Whether a synthetic picture is fit to be looked at: not broken, something to be seen, on the object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np

from scarce.dataset import Array
from scarce.synthesize._region import object_mask

Screen: TypeAlias = Callable[[Sequence[Array], Sequence[Array]], Sequence[str]]
"""Called as ``screen(pictures, masks)``; returns for each a reason to reject it, or an empty text."""
SEEN: Final = 3.0
"""Mean change in gray levels inside the mask below which a defect cannot be seen."""
OFF: Final = 0.05
"""Share of a defect that may lie beside the object."""
MOST: Final = 0.6
"""A mask that covers more of the picture is no defect any more."""


def trouble(before: Array, after: Array, mask: Array, *, stay: bool = True) -> str:
    """Return why a made picture must not be used; empty if it may.

    Args:
        before: uint8 (H, W) or (H, W, 3), the sound picture.
        after: the same with the defect.
        mask: (H, W) bool.
        stay: the defect must lie on the object, where one can be told from plain ground.
    """
    import cv2

    if after.shape != before.shape or after.dtype != np.uint8 or mask.shape != after.shape[:2]:
        return "the picture or its mask has another size than the original"
    if float(before[::4, ::4].std()) < 0.5:
        return "the original is one flat color"
    if not mask.any():
        return "the mask is empty"
    if float(mask.mean()) > MOST:
        return f"the defect covers more than {MOST:.0%} of the picture"
    change = np.asarray(cv2.absdiff(before, after))[mask].reshape(int(mask.sum()), -1)
    if float(change.max(axis=1).mean()) < SEEN:
        return "the defect cannot be seen"
    held = object_mask(before) if stay else None
    if held is not None and float((mask & ~held).sum()) > OFF * float(mask.sum()):
        return "the defect lies beside the object"
    return ""
