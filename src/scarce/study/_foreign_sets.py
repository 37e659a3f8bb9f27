"""Pictures of none of a project's classes: digits, letters of the fonts on this machine, or a folder that is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from scarce import io, modality
from scarce.dataset import Array, Dataset, Schema
from scarce.errors import ReadError
from scarce.study._fashion import read_idx, write_pictures

SIDE: Final = 28
LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FONTS: Final = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "C:/Windows/Fonts")
MADE: Final = ("glyphs", "digits")
"""Sets that are on every machine."""
IDX: Final = ("t10k-images-idx3-ubyte.gz", "train-images-idx3-ubyte.gz")


def name_of(source: str) -> str:
    """Return what a set is called: its own name, or that of its folder."""
    return source if source in MADE else Path(source).resolve().name


def foreign_set(source: str, work: Path, *, most: int, seed: int) -> Dataset:
    """Return foreign pictures.

    Args:
        source: ``glyphs`` (letters of the fonts found here, light on black), ``digits`` (the 1,797 handwritten ones of
            scikit-learn, enlarged from 8 pixels), a folder with IDX files (MNIST and its kin), or a folder of pictures.
        work: where pictures that are made or read from IDX files are written.
        most: pictures at most, drawn at random.
        seed: of the draw.

    Raises:
        ReadError: the folder is not there, or has no picture.
    """
    rng = np.random.default_rng([seed, 0x666F73])
    images: Array
    if source == "glyphs":
        images = glyphs(most, rng)
    elif source == "digits":
        images = _digits()
    else:
        folder = Path(source)
        if not folder.is_dir():
            raise ReadError("study", f"there is no folder {source}", f"made here are {', '.join(MADE)}",
                            "name a folder of pictures or of IDX files")  # fmt: skip
        found = next((folder / name for name in IDX if (folder / name).is_file()), None)
        if found is None:
            return _of_folder(folder, most, rng)
        images = read_idx(found, 16).reshape(-1, SIDE, SIDE)
    images = images[np.sort(rng.permutation(len(images))[:most])]
    file = f"{name_of(source)}.parquet"
    write_pictures(images, work / file)
    ids = [f"{row:06d}" for row in range(len(images))]
    columns = {
        "id": ids, "uri": [f"{file}#{row}:image" for row in range(len(ids))], "source": [name_of(source)] * len(ids),
    }  # fmt: skip
    return Dataset.from_columns(Schema(), columns, sources={name_of(source): str(work)})


def _of_folder(folder: Path, most: int, rng: np.random.Generator) -> Dataset:
    ds = modality.scan(io.read(folder))
    ds = ds.take(np.sort(rng.permutation(np.flatnonzero(ds["keep"].astype(bool)))[:most]))
    if ds.schema.modality != "image" or not len(ds):
        raise ReadError("study", f"{folder} has no pictures that can be opened", do="name another folder")
    return ds


def _digits() -> Array:
    import cv2
    from sklearn.datasets import load_digits

    small = np.clip(load_digits().images * (255 / 16), 0, 255).astype(np.uint8)
    return np.stack([cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for image in small])


def fonts() -> list[Path]:
    """Return the TrueType fonts of this machine that have letters, by name: the system's, and those of matplotlib."""
    import importlib.util

    places = [Path(place) for place in FONTS] + [Path.home() / ".fonts", Path.home() / ".local/share/fonts"]
    plotting = importlib.util.find_spec("matplotlib")
    places += [Path(str(plotting.origin)).parent / "mpl-data/fonts/ttf"] if plotting and plotting.origin else []
    files = {file.name: file for place in places if place.is_dir() for file in sorted(place.rglob("*.[to]tf"))}
    return [files[name] for name in sorted(files) if _has_letters(files[name])]


def _has_letters(file: Path) -> bool:
    """Return whether letters of a font differ: a font of signs shows the same box for all of them."""
    try:
        seen = [_letter(file, letter, 20) for letter in "AgQ"]
    except (OSError, ValueError):
        return False
    return all(image.any() for image in seen) and len({image.tobytes() for image in seen}) == len(seen)


def _letter(file: Path | None, letter: str, size: int) -> Array:
    """Return (28, 28) uint8: a letter, light on black, in the middle; without a file, of Pillow's own font."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size) if file is None else ImageFont.truetype(str(file), size)
    canvas = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(canvas).text((SIDE / 2, SIDE / 2), letter, fill=255, font=font, anchor="mm")
    return np.asarray(canvas)


def glyphs(most: int, rng: np.random.Generator, files: Sequence[Path | None] | None = None) -> Array:
    """Return (most, 28, 28) uint8 pictures, each of a letter, a font and a size that are drawn at random.

    Args:
        most: how many.
        rng: of the draw.
        files: fonts; None = those of the machine and Pillow's own.
    """
    files = [None, *fonts()] if files is None else files
    found: list[Array] = []
    while len(found) < most:
        file, letter = files[int(rng.integers(len(files)))], LETTERS[int(rng.integers(len(LETTERS)))]
        image = _letter(file, letter, int(rng.integers(18, 31)))
        if image.any():
            found.append(image)
    return np.stack(found) if found else np.zeros((0, SIDE, SIDE), np.uint8)
