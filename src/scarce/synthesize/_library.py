"""Patch libraries: cut-out defects in a folder, as pairs of pictures and masks or as pictures with transparency."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from scarce.dataset import Array
from scarce.errors import DataError, ReadError
from scarce.lineage import digest

WHO: Final = "synthesize.cut_paste"


def read_patches(folder: str | Path) -> list[tuple[Path, Array, Array]]:
    """Return file, uint8 patch (h, w) or (h, w, 3) and (h, w) bool mask of each patch of a folder, sorted by name.

    A patch is ``NAME_patch.png`` with ``NAME_mask.png`` beside it (white = defect), or any PNG with transparency.

    Raises:
        ReadError: there is no such folder, or a file is no picture.
        DataError: it holds no patch, or a mask is empty, has another size or is missing.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise ReadError(
            WHO, f"the folder of patches {folder} does not exist", do="name a folder with *_patch.png files"
        )
    found = []
    for path in sorted(folder.glob("*.png")):
        if path.stem.endswith("_mask"):
            continue
        if path.stem.endswith("_patch") or _decoded(path).shape[-1] == 4:
            found.append((path, *open_patch(str(path))))
    if not found:
        raise DataError(WHO, f"{folder} holds no patches", f"it has {len(list(folder.iterdir()))} files",
                        "put NAME_patch.png and NAME_mask.png, or PNG files with transparency, into it")  # fmt: skip
    return found


@lru_cache(maxsize=256)
def open_patch(path: str) -> tuple[Array, Array]:
    """Return one patch, uint8 (h, w) or (h, w, 3), and its (h, w) bool mask.

    Raises:
        ReadError: a file is missing or no picture.
        DataError: the mask is empty, has another size or is missing.
    """
    place = Path(path)
    pixels = _decoded(place)
    beside = place.with_name(place.stem.removesuffix("_patch") + "_mask.png")
    if beside != place and beside.is_file():
        raw = _decoded(beside)
        mask = np.asarray(raw[..., :3].any(axis=2) if raw.ndim == 3 else raw > 0)
    elif pixels.shape[-1] == 4 and pixels.ndim == 3:
        mask = pixels[..., 3] > 127
    else:
        raise DataError(WHO, f"the patch {place.name} has no mask", "it has no transparency, either",
                        f"put {beside.name} beside it")  # fmt: skip
    patch = pixels[..., :3] if pixels.ndim == 3 else pixels
    if mask.shape != patch.shape[:2]:
        raise DataError(WHO, f"the mask of {place.name} has shape {mask.shape}", f"the patch has {patch.shape[:2]}",
                        "save both at one size")  # fmt: skip
    if not mask.any():
        raise DataError(WHO, f"the mask of {place.name} is empty", do="mark the pixels of the defect")
    return np.ascontiguousarray(patch), mask


def file_params(path: Path) -> dict[str, Any]:
    """Return how a recipe names a patch file."""
    return {"file": str(path.resolve()), "hash": digest(path.read_bytes().hex())[:16]}


def patch_of(params: Any) -> tuple[Array, Array]:
    """Return the patch and mask that a recipe names by file.

    Raises:
        ReadError: the file is gone.
        DataError: it is another one now.
    """
    path = Path(params["file"])
    if path.is_file() and file_params(path)["hash"] != params["hash"]:
        raise DataError(WHO, f"the patch {path.name} was changed since the recipe was written", do="restore the file")
    return open_patch(str(path))


def _decoded(path: Path) -> Array:
    """Return a picture file as gray, RGB or RGBA."""
    import cv2

    try:
        found = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error) as error:
        raise ReadError(WHO, f"the patch {path.name} cannot be read ({error})", do="restore the file") from error
    if found is None or np.asarray(found).dtype != np.uint8:
        raise ReadError(WHO, f"the patch {path.name} is no picture of 8 bits", do="save it as PNG of 8 bits")
    pixels = np.asarray(found)
    if pixels.ndim == 3:
        order = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
        pixels = np.asarray(cv2.cvtColor(pixels, order))
    return pixels
