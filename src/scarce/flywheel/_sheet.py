"""A contact sheet: many kept samples in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from scarce.dataset import Array
from scarce.modality import BrokenSampleError

SIDE: Final = 96
COLUMNS: Final = 8
MOST: Final = 64
GAP: Final = 4


def sheet(folder: Path, names: Sequence[str], place: Path) -> Path | None:
    """Write thumbnails of kept pictures side by side, in the order of the names; return the file.

    Args:
        folder: where the samples lie under their names.
        names: at most 64 are shown.
        place: of the PNG file; its folder is made.

    Returns:
        None where none of them is a picture that can be opened.

    Raises:
        ReadError: the file cannot be written.
    """
    shown = [picture for name in names[:MOST] if (picture := _small(folder / name)) is not None]
    if not shown:
        return None
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    step = SIDE + GAP
    whole = np.full((rows * step + GAP, columns * step + GAP, 3), 255, np.uint8)
    for number, picture in enumerate(shown):
        top, left = (GAP + step * part for part in divmod(number, columns))
        whole[top : top + SIDE, left : left + SIDE] = picture
    return _written(whole, place)


def _small(path: Path) -> Array | None:
    from scarce import modality
    from scarce.modality import raw

    kind = modality.of("image")
    try:
        picture = kind.thumbnail(kind.decode(raw.read_bytes(path)), SIDE)
    except BrokenSampleError:
        return None
    return np.repeat(picture[..., None], 3, 2) if picture.ndim == 2 else picture


def _written(whole: Array, place: Path) -> Path:
    import cv2

    from scarce.errors import ReadError

    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f".{place.name}.part")
        part.write_bytes(cv2.imencode(".png", whole[..., ::-1])[1].tobytes())
        part.replace(place)
    except OSError as error:
        raise ReadError(
            "flywheel.drift", f"{place} cannot be written ({error})", do="make room, or write access"
        ) from error
    return place
