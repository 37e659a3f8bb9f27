"""Pictures that are judged on must not come back as made ones: a model may know them, a service may send them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from scarce import modality
from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.errors import ScarceError

SIDE: Final = 32
SAME: Final = 0.995
"""Thumbnails whose brightness correlates so far are one picture; mirrored ones count."""
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
        own = _shape(picture)
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
                yield from (_shape(one).ravel() for one in modality.thumbnails(self._ds, part, size=2 * SIDE))
            except (ScarceError, OSError):
                for row in part.tolist():
                    yield self._alone(row)

    def _alone(self, row: int) -> Floats:
        try:
            return _shape(modality.thumbnails(self._ds, [row], size=2 * SIDE)[0]).ravel()
        except (ScarceError, OSError):
            return np.zeros(SIDE * SIDE, np.float32)


def _shape(picture: Array) -> Floats:
    """Return (32, 32) brightness without mean, of length 1; 0 where it is flat."""
    import cv2

    gray = picture if picture.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(picture[..., :3]), cv2.COLOR_RGB2GRAY)
    small = np.asarray(cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)
    small = small - small.mean()
    size = float(np.sqrt((small**2).sum()))
    return np.asarray(small / size if size > 1 else np.zeros_like(small), np.float32)
