"""Replays recipes of texts, sounds and series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from scarce.dataset import Array
from scarce.recipe._replay import Params, checked, find, parse, render_full

PARTNER: Final = "partner"
"""Key of the drawn parameters that names a second sample."""


def render(
    recipe: str, open_parent: Callable[[str], Any], open_mask: Callable[[str], Array | None] | None = None
) -> Any:
    """Return the picture, text, sound or series that a recipe describes.

    Args:
        recipe: JSON text of the row.
        open_parent: returns a decoded parent by id: a picture, uint8 (H, W) or (H, W, 3), a text, a sound (T,) or a
            series (T,) or (C, T), float32.
        open_mask: returns the mask (H, W) of a picture by id, or None; needed by pasted defects.

    Raises:
        DataError: the recipe or a parent cannot be used.
    """
    parsed = parse(recipe)
    if not parsed.ops:
        base = open_parent(parsed.base)
        return base if is_sample(base) else checked(base)
    if getattr(find(parsed.ops[0][0]), "modality", "image") == "image":
        return render_full(recipe, open_parent, open_mask).image
    return replay_sample(open_parent(parsed.base), parsed.ops, open_parent)


def replay_sample(sample: Any, ops: Sequence[tuple[str, Params]], open_parent: Callable[[str], Any]) -> Any:
    """Apply operations with drawn parameters to a text, sound or series."""
    for name, params in ops:
        other = open_parent(str(params[PARTNER])) if PARTNER in params else None
        sample = find(name).alter(sample, params, other)
    return sample


def is_sample(content: Any) -> bool:
    """Return whether decoded content is a text, sound or series, no picture."""
    return isinstance(content, str) or np.asarray(content).dtype.kind == "f"
