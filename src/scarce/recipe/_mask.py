"""Mask files of samples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np

from scarce.dataset import Array, Dataset
from scarce.errors import ReadError


def fit_mask(mask: Array, height: int, width: int) -> Array:
    """Return a mask as (height, width) bool, resized where it was stored at another size."""
    if mask.ndim == 3:
        mask = np.asarray(mask.any(axis=2))
    if mask.shape == (height, width):
        return mask.astype(bool)
    import cv2

    small = mask.astype(np.uint8)
    return cast("Array", cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)).astype(bool)


def mask_opener(ds: Dataset) -> Callable[[str], Array | None]:
    """Return a function that opens the mask file of a sample by id: (H, W) bool, or None where it has none."""

    def opened(sample_id: str) -> Array | None:
        row = ds.table.slice(int(ds.rows_of([sample_id])[0]), 1).to_pylist()[0]
        if not row.get("mask_uri"):
            return None
        return read_mask(Path(ds.sources[row["source"]]) / row["mask_uri"])

    return opened


def read_mask(path: Path) -> Array:
    """Return a mask file as (H, W) bool; anything above zero belongs to the defect.

    Raises:
        ReadError: the file is missing or no picture.
    """
    import cv2

    try:
        found = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    except (OSError, cv2.error) as error:
        raise ReadError("recipe", f"the mask {path.name} cannot be read ({error})", do="restore the file") from error
    if found is None:
        raise ReadError("recipe", f"the mask {path.name} is no picture", do="restore the file")
    found = np.asarray(found)
    return np.asarray(found[..., :3].any(axis=2) if found.ndim == 3 else found > 0)
