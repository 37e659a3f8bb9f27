"""Operations that wait: geometry until it is resampled once, colors until they are one table or matrix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.recipe._tone import Tone, apply_tones
from scarce.recipe._warp import BORDERS, SMALL, Bend, bent_sources, compose, follow, remap, warp_images, warp_one

Params = Mapping[str, Any]


class Geometric(Protocol):
    """An operation that moves pixels, by a matrix or by a field."""

    bends: ClassVar[bool]

    def matrices(self, params: Params, height: int, width: int) -> Floats:
        """Return (N, 3, 3) maps from source to destination pixels."""
        ...

    def sources(self, params: Params, x: Floats, y: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
        """Return where one picture's destination points are read from."""
        ...


class Pending:
    """What waits to be done to N pictures of one size.

    Between two operations that need finished pixels (noise, blur ...), geometry is done first, as one resample, and
    color after it: a color change works on single pixels, so their order among each other does not matter inside the
    picture.
    """

    def __init__(self, n: int, height: int, width: int) -> None:
        self.size = (height, width)
        self.matrix = np.broadcast_to(np.eye(3), (n, 3, 3)).copy()
        self.moved = np.zeros(n, bool)
        self.border = np.full(n, BORDERS[0], object)
        self.bent: dict[int, list[Floats | Bend]] = {}
        self.tones: list[tuple[Any, Params, Array]] = []

    def move(self, operation: Geometric, params: Params, rows: Ints) -> None:
        """Add a geometric operation for some rows; params have N rows."""
        if not len(rows):
            return
        self.moved[rows] = True
        if "border" in params:
            self.border[rows] = params["border"]
        if not operation.bends:
            step = operation.matrices(params, *self.size)
            self.matrix[rows] = compose(step[rows], self.matrix[rows])
            return
        for row in rows.tolist():
            own = {name: value if isinstance(value, str) else value[row] for name, value in params.items()}
            self.bent.setdefault(row, []).extend([self.matrix[row].copy(), (operation, own)])
            self.matrix[row] = np.eye(3)

    def shade(self, operation: Any, params: Params, rows: Ints) -> None:
        """Add a color operation for some rows; params have N rows."""
        if len(rows):
            applied = np.zeros(len(self.moved), bool)
            applied[rows] = True
            self.tones.append((operation, params, applied))

    def finish(self, images: Array, rows: Ints) -> None:
        """Change some rows of the N pictures in place by what waits for them."""
        self._resample(images, rows)
        self._color(images, rows)

    def steps(self, row: int) -> list[Floats | Bend]:
        """Return the moves that wait for one row, in order; empty where nothing moves."""
        return [*self.bent.get(row, []), self.matrix[row]] if self.moved[row] else []

    def _resample(self, images: Array, rows: Ints) -> None:
        rows = rows[self.moved[rows]]
        small = self.size[0] * self.size[1] <= SMALL
        plain = np.array([row for row in rows.tolist() if row not in self.bent], np.int64)
        plain = plain[(self.matrix[plain] != np.eye(3)).any(axis=(1, 2))]
        for name in BORDERS if small else ():
            own = plain[self.border[plain] == name]
            if len(own):
                images[own] = warp_images(images[own], self.matrix[own], name)
        for row in () if small else plain.tolist():
            images[row] = warp_one(images[row], self.matrix[row], self.border[row])
        for row in rows.tolist():
            if row in self.bent:
                x, y = bent_sources(self.steps(row), self.size)
                images[row] = remap(images[row], x, y, self.border[row])
                del self.bent[row]
        self.matrix[rows], self.moved[rows], self.border[rows] = np.eye(3), False, BORDERS[0]

    def _color(self, images: Array, rows: Ints) -> None:
        if not self.tones:
            return
        channels = 3 if images.ndim == 4 else 1
        alike: dict[bytes, list[int]] = {}
        for row, pattern in zip(
            rows.tolist(), np.stack([used[rows] for _, _, used in self.tones], axis=1), strict=True
        ):
            alike.setdefault(pattern.tobytes(), []).append(row)
        for key, members in alike.items():
            own = np.array(members)
            chosen = [item for item, used in zip(self.tones, key, strict=True) if used]
            tones: list[Tone] = [operation.tone(params, own, channels) for operation, params, _ in chosen]
            apply_tones(images, own, tones)
        for _, _, applied in self.tones:
            applied[rows] = False
        self.tones = [item for item in self.tones if item[2].any()]


def moved_mask(mask: Array, pending: Pending) -> Array:
    """Return an (H, W) bool mask after what waits for row 0, without blending."""
    steps, border = pending.steps(0), str(pending.border[0])
    if not steps:
        return mask
    if len(steps) == 1:
        return warp_one(mask.astype(np.uint8), pending.matrix[0], border, nearest=True).astype(bool)
    x, y = bent_sources(steps, pending.size)
    return remap(mask.astype(np.uint8), x, y, border, nearest=True).astype(bool)


def moved_points(points: Floats, pending: Pending) -> Floats:
    """Return (M, 2) points x y (pixel edges at whole numbers) after what waits for row 0."""
    x, y = follow(pending.steps(0), points[:, 0] - 0.5, points[:, 1] - 0.5, pending.size)
    return np.stack([x, y], axis=1) + 0.5
