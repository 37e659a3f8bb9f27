"""Sheets of texts, sounds and series: originals and what a policy makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from scarce.augment._partner import pool_of, same_kind
from scarce.augment.policy import Policy
from scarce.dataset import Array, Dataset, Ints
from scarce.errors import DataError, ReadError
from scarce.modality import open_samples
from scarce.recipe import growable, replay_sample

WHO: Final = "augment.sheet"
WIDE, HIGH = 240, 96


def write(ds: Dataset, policy: Policy, path: str | Path, *, samples: int = 6, copies: int = 4, seed: int = 0) -> Path:
    """Write a sheet: of texts a text file, of sounds and series a picture (PNG) of their curves.

    Args:
        ds: texts, sounds or series; only kept real training samples are shown, classes in turn.
        policy: what is done.
        path: of the sheet.
        samples: originals.
        copies: of each.
        seed: of the drawn parameters.

    Raises:
        DataError: the policy is for another kind of data, or there is no training sample.
        ReadError: the file cannot be written.
    """
    same_kind(ds, policy)
    rows = growable(ds, who=WHO)
    if not len(rows):
        raise DataError(WHO, "there is no kept, labelled, real training sample", do="label or split the data")
    for operation in policy.parts():
        operation.ready()
    chosen, pool = _in_turn(rows, ds["label"][rows])[:samples], pool_of(ds, rows)
    lines: list[list[Any]] = []
    for row, own in zip(chosen.tolist(), open_samples(ds, chosen), strict=True):
        drawn = [policy.draw_with(str(ds.ids[row]), pool, seed=seed, copy=copy) for copy in range(copies)]
        views = [replay_sample(own, steps, lambda name: open_samples(ds, ds.rows_of([name]))[0]) for steps in drawn]
        lines.append([own, *views])
    names = [ds.schema.classes[code] for code in ds["label"][chosen]]
    target = Path(path)
    try:
        if ds.schema.modality == "text":
            target.write_text(_words(names, lines), encoding="utf-8")
        else:
            rows_of_cells = [_named(_curves(line), name) for line, name in zip(lines, names, strict=True)]
            target.write_bytes(_png(np.concatenate(rows_of_cells)))
    except OSError as error:
        raise ReadError(WHO, f"{target} cannot be written ({error})", do="name another file") from error
    return target


def _in_turn(rows: Ints, codes: Ints) -> Ints:
    """Return the rows, classes in turn, rarest first."""
    turn = np.zeros(len(rows), np.int64)
    sizes = np.bincount(codes)
    for code in np.unique(codes):
        turn[codes == code] = np.arange(sizes[code])
    return rows[np.lexsort((rows, sizes[codes], turn))]


def _words(names: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    told = []
    for name, (own, *views) in zip(names, lines, strict=True):
        told += [f"[{name}] {own}", *(f"    {view}" for view in views), ""]
    return "\n".join(told)


def _curves(line: Sequence[Any]) -> Array:
    """Return one row: the original in black, copies in blue, all on the scale of the original."""
    values = [np.atleast_2d(np.nan_to_num(np.asarray(one, np.float64)))[0] for one in line]
    low, high = float(values[0].min()), float(values[0].max())
    room = max(high - low, 1e-9)
    longest = max(len(one) for one in values)
    cells = [_curve((one - low) / room, longest, first=place == 0) for place, one in enumerate(values)]
    return np.concatenate(cells, axis=1)


def _named(cells: Array, name: str) -> Array:
    """Write the class into the corner of a row."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(cells)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default()
    try:
        draw.text((4, 2), name, fill=(120, 120, 120), font=font)
    except UnicodeEncodeError:
        draw.text((4, 2), name.encode("ascii", "replace").decode(), fill=(120, 120, 120), font=font)
    return np.asarray(picture)


def _curve(values: Array, longest: int, *, first: bool) -> Array:
    import cv2

    cell = np.full((HIGH, WIDE, 3), 255, np.uint8)
    x = np.arange(len(values)) / max(1, longest - 1) * (WIDE - 9) + 4
    y = (1 - np.clip(values, -0.5, 1.5)) * (HIGH / 2 - 8) + HIGH / 4
    points = np.stack([x, y], axis=1).round().astype(np.int32)
    cv2.polylines(cell, [points[:, None]], False, (0, 0, 0) if first else (200, 90, 20), 1, cv2.LINE_AA)
    cell[-1], cell[:, -1] = 220, 220
    return cell


def _png(image: Array) -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", image)[1].tobytes())
