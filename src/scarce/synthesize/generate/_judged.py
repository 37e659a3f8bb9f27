"""Pictures that are judged on must not come back as made ones: a model may know them, a service may send them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from scarce import modality
from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.errors import ScarceError
from scarce.synthesize._shape import shape_of

SIDE: Final = 32
SAME: Final = 0.995
"""Thumbnails whose brightness correlates so far are one picture; mirrored ones count."""
FLAT: Final = 1.0
"""Pictures that show less have no copy."""
BLOCK: Final = 256


class Judged:
    """The real pictures of val and test, as thumbnails.

    They decide nothing but that none of them enters training as a made one; what is fitted never sees them.

    Args:
        ds: the data.
    """

    def __init__(self, ds: Dataset) -> None:
        held = np.isin(ds["split"].astype(str), ("val", "test")) & (ds["origin"] == "real") & ds["keep"].astype(bool)
        self.rows: Ints = np.flatnonzero(held)
        self.names = ds.ids[self.rows].astype(str)
        self._ds = ds
        self._shapes: Floats | None = None

    def find(self, picture: Array) -> str:
        """Return the id of the picture that this one shows again, mirrored or not; empty where it is new."""
        if not len(self.rows) or picture.ndim not in {2, 3} or not picture.size:
            return ""
        own = shape_of(picture, SIDE, flat=FLAT)
        if not own.any():
            return ""
        if self._shapes is None:
            self._shapes = np.stack(list(self._opened()))
        both = np.stack([own.ravel(), own[:, ::-1].ravel()])
        alike = (self._shapes @ both.T).max(axis=1)
        best = int(alike.argmax())
        return str(self.names[best]) if alike[best] >= SAME else ""

    def _opened(self) -> Iterator[Floats]:
        for start in range(0, len(self.rows), BLOCK):
            part = self.rows[start : start + BLOCK]
            try:
                yield from (
                    shape_of(one, SIDE, flat=FLAT).ravel() for one in modality.thumbnails(self._ds, part, size=2 * SIDE)
                )
            except (ScarceError, OSError):
                for row in part.tolist():
                    yield self._alone(row)

    def _alone(self, row: int) -> Floats:
        try:
            (one,) = modality.thumbnails(self._ds, [row], size=2 * SIDE)
            return shape_of(one, SIDE, flat=FLAT).ravel()
        except (ScarceError, OSError):
            return np.zeros(SIDE * SIDE, np.float32)
