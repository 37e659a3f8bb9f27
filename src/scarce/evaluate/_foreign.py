"""Samples that are of none of the classes, made from samples that are: to try detectors on before real ones come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce import io, modality
from scarce.dataset import Array, Dataset, Floats, Schema
from scarce.modality.raw import feature_columns

CELLS = 4
"""Patches on a side, for shuffling and weaving."""


def foreign_pictures(train: Dataset, ids: Array, folder: Path, *, count: int, seed: int) -> Dataset | None:
    """Write foreign pictures into a folder and return them as a scanned data set; None where nothing can be opened.

    A quarter each: patches of a picture in another order; a picture whose Fourier phases are random (its texture
    without its form); two pictures of different classes woven patch by patch; signs drawn on a picture's background.

    Args:
        train: the training side.
        ids: of the pictures to make them from, held back from training.
        folder: an empty folder.
        count: how many.
        seed: of everything random.
    """
    import cv2

    rng = np.random.default_rng([seed, 0x666F72])
    rows = train.rows_of(ids)
    rows = rng.permutation(rows)[: 2 * count]
    images = [np.asarray(image) for image in modality.open_samples(train, rows)]
    labels = train["label"][rows]
    if len(images) < 2:
        return None
    for number in range(count):
        place = number % len(images)
        image = images[place]
        other = int(rng.integers(len(images)))
        if labels[other] == labels[place]:
            other = int(np.flatnonzero(labels != labels[place])[0]) if (labels != labels[place]).any() else other
        made = (_shuffled, _scrambled, _signs)[number % 4](image, rng) if number % 4 < 3 else (
            _woven(image, images[other], rng)
        )  # fmt: skip
        made = made[..., ::-1] if made.ndim == 3 else made
        cv2.imwrite(str(folder / f"{number:05d}.png"), np.ascontiguousarray(made))
    return modality.scan(io.read(folder))


def foreign_rows(train: Dataset, ids: Array, folder: Path, *, count: int, seed: int) -> Dataset | None:
    """Write foreign rows of a table into a folder and return them as a scanned data set; None where there are none.

    A half each: rows whose columns come from rows drawn independently, so that each cell is common and what ties the
    columns together is broken; rows of which some numbers, each with chance a half, lie beyond the range that they were
    seen in, by half of it to a thousand times.

    Args:
        train: the training side.
        ids: of the rows to make them from, held back from training.
        folder: an empty folder.
        count: how many; rows without numbers are only permuted.
        seed: of everything random.
    """
    import pyarrow.parquet as pq

    rng = np.random.default_rng([seed, 0x726F77])
    part = train.take(np.sort(rng.permutation(train.rows_of(ids))[: 2 * count]))
    if len(part) < 2:
        return None
    columns = feature_columns(part)
    if not columns:
        values = np.stack([np.asarray(row, np.float64) for row in modality.open_samples(part, np.arange(len(part)))])
        columns = {f"{place:06d}": pa.array(column) for place, column in enumerate(values.T)}
    numbers = [name for name in sorted(columns) if _is_number(columns[name])]
    half = count // 2 if numbers else count
    rest = pa.array(rng.integers(len(part), size=count - half))
    moved = rng.random((count - half, len(numbers))) < 0.5
    moved[np.arange(count - half), rng.integers(max(1, len(numbers)), size=count - half)] |= True
    made = {}
    for name in sorted(columns):
        mixed, whole = columns[name].take(pa.array(rng.integers(len(part), size=half))), columns[name].take(rest)
        if name in numbers:
            mixed = pc.cast(mixed, pa.float64(), safe=False)
            whole = _beyond(columns[name], whole, moved[:, numbers.index(name)], rng)
        made[name] = pa.chunked_array([mixed, whole])
    pq.write_table(pa.table(made), folder / "rows.parquet")
    names = [f"{number:06d}" for number in range(count)]
    return modality.scan(Dataset.from_columns(
        Schema(modality="tabular"),
        {"id": names, "uri": [f"rows.parquet#{int(name)}:!" for name in names], "source": ["made"] * count},
        sources={"made": str(folder)},
    ))  # fmt: skip


def _is_number(column: pa.Array) -> bool:
    kinds = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    return kinds and bool(np.isfinite(_floats(column)).any())


def _floats(column: pa.Array) -> Floats:
    return np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)


def _beyond(column: pa.Array, rows: pa.Array, moved: Array, rng: np.random.Generator) -> pa.Array:
    """Return numbers of some rows, those that are moved beyond the range of the column."""
    seen, out = _floats(column), _floats(rows)
    low, high = seen[np.isfinite(seen)].min(), seen[np.isfinite(seen)].max()
    wide = high - low if high > low else max(abs(high), 1.0)
    far = wide * 10.0 ** rng.uniform(-0.3, 3.0, len(out))
    new = np.where(rng.random(len(out)) < 0.5, high + far, low - far)
    return pa.array(np.where(moved, new, out), from_pandas=True)


def _shuffled(image: Array, rng: np.random.Generator) -> Array:
    high, wide = (max(1, side // CELLS) for side in image.shape[:2])
    out = image.copy()
    places = [(row * high, column * wide) for row in range(CELLS) for column in range(CELLS)]
    for target, source in zip(places, rng.permutation(len(places)), strict=True):
        top, left = places[source]
        patch = image[top : top + high, left : left + wide]
        out[target[0] : target[0] + patch.shape[0], target[1] : target[1] + patch.shape[1]] = patch
    return out


def _scrambled(image: Array, rng: np.random.Generator) -> Array:
    values = image.astype(np.float64).reshape(*image.shape[:2], -1)
    phase = np.exp(1j * np.angle(np.fft.fft2(rng.standard_normal(image.shape[:2]))))
    mixed = np.real(np.fft.ifft2(np.fft.fft2(values, axes=(0, 1)) * phase[..., None], axes=(0, 1)))
    return np.asarray(np.clip(mixed, 0, 255).round().astype(np.uint8).reshape(image.shape))


def _woven(image: Array, other: Array, rng: np.random.Generator) -> Array:
    import cv2

    size = (image.shape[1], image.shape[0])
    other = np.asarray(cv2.resize(other, size, interpolation=cv2.INTER_AREA))
    if other.ndim != image.ndim:
        other = np.repeat(other[..., None], 3, 2) if image.ndim == 3 else cv2.cvtColor(other, cv2.COLOR_RGB2GRAY)
    choice = rng.integers(2, size=(CELLS, CELLS)).astype(np.uint8)
    mask = np.asarray(cv2.resize(choice, size, interpolation=cv2.INTER_NEAREST)).astype(bool)
    return np.where(mask if image.ndim == 2 else mask[..., None], image, other)


def _signs(image: Array, rng: np.random.Generator) -> Array:
    import cv2

    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    ground = np.median(border, axis=0)
    out = np.broadcast_to(ground, image.shape).astype(np.uint8).copy()
    high, wide = image.shape[:2]
    ink = 255 if float(np.mean(ground)) < 128 else 0
    thick = max(1, round(min(high, wide) / 14))
    for _ in range(int(rng.integers(2, 5))):
        points = (rng.random((int(rng.integers(2, 5)), 2)) * [wide - 1, high - 1]).round().astype(np.int32)
        cv2.polylines(out, [points], bool(rng.integers(2)), (ink,) * 3 if out.ndim == 3 else ink, thick, cv2.LINE_AA)
    return out
