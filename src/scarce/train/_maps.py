"""Pictures at their own size as maps of features, and which of their cells a mask or a box marks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from threading import Lock
from typing import Any, Final

import numpy as np

from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.errors import ScarceError
from scarce.execute.local import spread
from scarce.io import boxes as shape
from scarce.modality import open_samples
from scarce.recipe import fit_mask, mask_opener, render_full

CELL: Final = 8
"""Pixels of a cell's side."""
CHANNELS: Final = (88, 192, 512)
"""Features of a cell, of the 2 x 2 cells and of the 4 x 4 cells around it."""
BLOCK: Final = 16
_loading, _counting = Lock(), Lock()
_inside: list[int] = []
"""The threads that torch had, and a 0 for each block that computes with one."""


@dataclass(frozen=True, eq=False)
class Maps:
    """What the stages of a network say of a picture.

    Attributes:
        fine: (P, 88) float16, a row for each cell of 8 pixels, line by line: maximum and mean of the stage of 24
            channels, and the stage of 40.
        middle: (P2, 192) float16 of cells twice as wide.
        coarse: (P4, 512) float16 of cells four times as wide.
        grid: lines and columns of the cells, P = lines x columns.
        columns: of the coarse cells.
    """

    fine: Array
    middle: Array
    coarse: Array
    grid: tuple[int, int]
    columns: int

    def around(self) -> tuple[Ints, Ints]:
        """Return for each cell the rows of ``middle`` and of ``coarse`` that it lies in."""
        line, column = np.divmod(np.arange(len(self.fine)), self.grid[1])
        return line // 2 * (2 * self.columns) + column // 2, line // 4 * self.columns + column // 4

    def edges(self) -> Floats:
        """Return (P, 4) nearness to the top, bottom, left and right edge: 1 at the edge, .37 two cells off."""
        lines, columns = self.grid
        line, column = np.divmod(np.arange(len(self.fine)), columns)
        away = np.stack([line, lines - 1 - line, column, columns - 1 - column], axis=1)
        return np.asarray(np.exp(-away / 2.0), np.float32)


def maps_of(ds: Dataset, rows: Ints, *, scale: float = 1.0, longest: int = 512) -> list[Maps]:
    """Return the maps of some pictures; each is computed alone, so that no other changes it.

    Args:
        ds: the pictures, and the parents of grown ones.
        rows: row numbers.
        scale: of the pictures' own size.
        longest: pictures with a longer side than this are shrunk to it first.
    """
    _network()

    def block(start: int) -> list[Maps]:
        images = open_samples(ds, rows[start : start + BLOCK])
        return [_maps(np.asarray(image), scale, longest) for image in images]

    with one_thread_each():
        return [one for part in spread(block, range(0, len(rows), BLOCK)) for one in part]


def shares_of(ds: Dataset, rows: Ints, maps: Sequence[Maps]) -> list[Floats | None]:
    """Return (P,) the share of each cell that a mask or a box marks; None where nobody said where anything is.

    Args:
        ds: the pictures, and the parents of grown ones; masks that cannot be read count as none.
        rows: row numbers.
        maps: of these rows.
    """
    import cv2

    opened, labels = mask_opener(ds), [None if code < 0 else ds.schema.classes[code] for code in ds["label"].tolist()]
    recipes = ds.table["recipe"].to_pylist()
    column = next((f"meta.{name}" for name in shape.BOXES if f"meta.{name}" in ds.table.column_names), None)
    cells = ds.table[column].to_pylist() if column else [None] * len(ds)

    def picture(name: str) -> Array:
        return np.asarray(open_samples(ds, ds.rows_of([name]))[0])

    out: list[Floats | None] = []
    for row, one in zip(rows.tolist(), maps, strict=True):
        name = str(ds.ids[row])
        mask = _mask(name, recipes[row], picture, opened)
        if mask is None and cells[row] and not recipes[row]:
            mask = _boxed(cells[row], labels[row], partial(picture, name))
        if mask is None or not mask.any():
            out.append(None)
            continue
        full = fit_mask(mask, *mask.shape[:2]).astype(np.float32)
        share: Floats = np.asarray(cv2.resize(full, one.grid[::-1], interpolation=cv2.INTER_AREA), np.float32).ravel()
        out.append(share)
    return out


def _mask(
    name: str, recipe: str | None, picture: Callable[[str], Array], opened: Callable[[str], Array | None]
) -> Array | None:
    try:
        return render_full(recipe, picture, opened).mask if recipe else opened(name)
    except ScarceError:
        return None


def _boxed(cell: Any, label: str | None, picture: Callable[[], Array]) -> Array | None:
    """Return the mask of the boxes with the picture's own label, of all where none has it."""
    try:
        items = shape.objects_in(cell) or []
    except (ValueError, json.JSONDecodeError):
        return None
    items = [item for item in items if item["label"] == label] or items
    if not items:
        return None
    mask = np.zeros(picture().shape[:2], bool)
    for item in items:
        left, top, wide, high = (float(value) for value in item["bbox"])
        lines = slice(max(0, int(top)), max(0, int(np.ceil(top + high))))
        mask[lines, max(0, int(left)) : max(0, int(np.ceil(left + wide)))] = True
    return mask


def _maps(image: Array, scale: float, longest: int) -> Maps:
    """Return the maps of one picture, uint8 (H, W) or (H, W, 3)."""
    import cv2
    import torch
    from torch.nn.functional import avg_pool2d, max_pool2d

    factor = scale * min(1.0, longest / max(image.shape[:2]))
    high, wide = (max(1, round(side * factor)) for side in image.shape[:2])
    if (high, wide) != image.shape[:2]:
        way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, (wide, high), interpolation=way))
    step = 4 * CELL
    below, right = -high % step, -wide % step
    full = np.asarray(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REFLECT_101))
    color = np.repeat(full[..., None], 3, axis=2) if full.ndim == 2 else full
    model = _network()
    with torch.inference_mode():
        values = torch.from_numpy(np.ascontiguousarray(color)).permute(2, 0, 1)[None].float()
        values = ((values - 127.0) / 128.0).contiguous(memory_format=torch.channels_last)
        values = model.bn1(model.conv_stem(values))
        seen = []
        for stage in model.blocks:
            values = stage(values)
            seen.append(values[0])
        fine = torch.cat([max_pool2d(seen[1], 2), avg_pool2d(seen[1], 2), seen[2]])
        parts = [fine, torch.cat(seen[3:5]), torch.cat(seen[5:7])]
        flat = [part.flatten(1).T.half().numpy() for part in parts]
    lines, columns = (max(1, (side + CELL // 2 - 1) // CELL) for side in (high, wide))
    inside = flat[0].reshape(*fine.shape[1:], -1)[:lines, :columns].reshape(lines * columns, -1)
    return Maps(np.ascontiguousarray(inside), flat[1].copy(), flat[2].copy(), (lines, columns), color.shape[1] // step)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let every worker compute with one torch thread: sums do not depend on their number then.

    Blocks may overlap in several threads; the last one to end gives torch its threads back.
    """
    import torch

    with _counting:
        if not _inside:
            _inside.append(torch.get_num_threads())
            torch.set_num_threads(1)
        _inside.append(0)
    try:
        yield
    finally:
        with _counting:
            _inside.pop()
            if len(_inside) == 1:
                torch.set_num_threads(_inside.pop())


def _network() -> Any:
    with _loading:
        return _loaded()


@lru_cache(maxsize=1)
def _loaded() -> Any:
    import torch

    from scarce.encode.efficientnet_lite0 import load_model

    return load_model().to(memory_format=torch.channels_last)
