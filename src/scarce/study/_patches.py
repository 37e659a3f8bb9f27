"""The patch instrument: a probe on cells of pictures, taught by masks where a defect is, judged by whole pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from scarce import encode, modality
from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.encode.efficientnet_lite0 import EfficientnetLite0, cells_of
from scarce.errors import DataError, ScarceError
from scarce.lineage import key64
from scarce.probe import LinearProbe, Projection
from scarce.recipe import fit_mask, mask_opener, render_full

FULL: Final = 0.25
"""From this share of a cell on it shows the defect; of a smaller defect the cell that holds most of it."""
DEFECT_CELLS: Final = 16
"""Cells of its defect that one picture teaches at most."""
SOUND_CELLS: Final = 10
"""Cells of its sound part that one picture teaches at most."""
TOP: Final = 3
"""A picture is as damaged as the mean of its so many most damaged cells."""
COMPONENTS: Final = 128


@dataclass(frozen=True)
class Patches:
    """Features of the cells of all pictures, and which of them teach what.

    Attributes:
        features: (N, P, D) float16 features of P cells a picture; NaN where it could not be opened.
        rows: (C,) the picture of each cell that teaches.
        cells: (C,) its place in the picture.
        codes: (C,) its class.
        untaught: ids of pictures that teach nothing, since nobody says where their defect is.
    """

    features: Array
    rows: Ints
    cells: Ints
    codes: Ints
    untaught: tuple[str, ...]

    @classmethod
    def of(cls, ds: Dataset, *, cache: Path | None = None, seed: int = 0, size: int = 0) -> Patches:
        """Encode all pictures cell by cell and read or replay their masks.

        Args:
            ds: real and grown pictures with a class that is known to be sound.
            cache: folder of features that are known.
            seed: which cells of a picture teach; they do not depend on other pictures.
            size: side of the picture that the network sees; 0 = told by the data.

        Raises:
            DataError: no pictures, no sound class, or no mask.
        """
        if ds.schema.modality != "image" or not ds.schema.normal_classes:
            do = "take instrument pooled, or say which class is sound"
            raise DataError("study", "the patch instrument needs pictures and a class that is sound", do=do)
        encoder = EfficientnetLite0(size=size, pooling="grid")
        found = encode.run(replace(ds, wide={}), encoder, cache=cache, seed=seed)
        features = cells_of(found["embedding.efficientnet_lite0"].astype(np.float16))
        normal = {ds.schema.classes.index(name) for name in ds.schema.normal_classes}
        sound = next(iter(sorted(normal)))
        side = int(np.sqrt(features.shape[1]))
        taught, untaught = [], []
        for row, share in enumerate(_shares(ds, normal, side)):
            if share is None:
                untaught.append(str(ds.ids[row]))
                continue
            code = int(ds["label"][row])
            rng = np.random.default_rng([seed, key64(str(ds.ids[row]))])
            defect, clean = _taught(share.ravel(), rng)
            taught += [(row, cell, code) for cell in defect]
            taught += [(row, cell, sound if defect else code) for cell in clean]
        rows, places, codes = (np.array(column, np.int64) for column in zip(*taught, strict=True))
        if set(np.unique(codes)) <= normal:
            what = "no picture has a mask that says where its defect is"
            raise DataError("study", what, do="take instrument pooled, or add masks")
        return cls(features, rows, places, codes, tuple(untaught))


class PatchFold:
    """The cells of one fold, projected by what its real training pictures taught.

    Args:
        patches: of the whole dataset.
        real: row numbers of the real training pictures.
        train: row numbers of all that may be trained on.
        held: row numbers of those that are judged.
    """

    def __init__(self, patches: Patches, real: Ints, train: Ints, held: Ints) -> None:
        use = np.isin(patches.rows, train)
        self.rows, self.codes = patches.rows[use], patches.codes[use]
        taught = patches.features[self.rows, patches.cells[use]].astype(np.float32)
        finite = np.isfinite(taught).all(axis=1)
        self.rows, self.codes, taught = self.rows[finite], self.codes[finite], taught[finite]
        self.real = np.isin(self.rows, real)
        projection = Projection.fit(taught[self.real], components=COMPONENTS)
        self.points = projection(taught)
        shown = np.nan_to_num(patches.features[held].astype(np.float32))
        self.shape = shown.shape[:2]
        self.held = projection(shown.reshape(-1, shown.shape[2]))

    def probs(self, rows: Ints, classes: int, normal: Sequence[int]) -> Floats:
        """Return (n, K) scores in [0, 1] of the judged pictures by a probe on the cells of some training pictures.

        A class weighs as its real cells do, however many were grown: what is measured is new pictures, not new weights.
        """
        use = np.isin(self.rows, rows)
        codes = self.codes[use]
        counts = np.bincount(codes, minlength=classes)
        wanted = np.bincount(self.codes[self.real], minlength=classes)
        weights = np.where(wanted > 0, wanted, counts)[codes] / counts[codes]
        fitted = LinearProbe().fit(
            self.points[use], codes, classes, weights=weights, projection=Projection.identity(self.points.shape[1])
        )
        return of_pictures(fitted.predict_proba(self.held).reshape(*self.shape, classes), normal)


def of_pictures(cells: Floats, normal: Sequence[int], *, top: int = TOP) -> Floats:
    """Return (N, K) scores of pictures from the probabilities of their cells; rows do not sum to 1.

    A defect is as likely as the mean over the cells that show it most; a picture is as sound as the cells that look
    least sound.

    Args:
        cells: (N, P, K) probabilities that sum to 1 over K.
        normal: codes of the sound classes.
        top: cells that count.
    """
    top = min(top, cells.shape[1])
    best = np.sort(cells, axis=1)[:, -top:].mean(axis=1)
    sound = cells[..., list(normal)]
    least = np.sort(sound.sum(axis=2), axis=1)[:, :top].mean(axis=1)
    share = sound.mean(axis=1)
    best[:, list(normal)] = least[:, None] * share / np.maximum(share.sum(axis=1, keepdims=True), 1e-12)
    return np.asarray(best)


def _taught(share: Floats, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Return the cells of the defect and of the sound part that teach; cells that hold a little of it teach nothing."""
    defect = np.flatnonzero(share >= min(FULL, share.max())) if share.max() > 0 else np.zeros(0, np.int64)
    clean = np.flatnonzero(share == 0)
    return (
        rng.permutation(defect)[:DEFECT_CELLS].tolist(),
        rng.permutation(clean)[:SOUND_CELLS].tolist(),
    )


def _shares(ds: Dataset, normal: set[int], side: int) -> list[Floats | None]:
    """Return for each row the share of each cell that its defect covers, (side, side), or None where nobody knows."""
    import cv2

    opened = mask_opener(ds)
    labels, recipes = ds["label"], ds.table["recipe"].to_pylist()

    def picture(sample_id: str) -> Array:
        return np.asarray(modality.open_samples(ds, ds.rows_of([sample_id]))[0])

    out: list[Floats | None] = []
    for row, (label, recipe) in enumerate(zip(labels.tolist(), recipes, strict=True)):
        if label in normal:
            out.append(np.zeros((side, side), np.float32))
            continue
        try:
            mask = render_full(recipe, picture, opened).mask if recipe else opened(str(ds.ids[row]))
        except ScarceError:
            mask = None
        if mask is None or not mask.any():
            out.append(None)
            continue
        full = fit_mask(mask, *mask.shape[:2]).astype(np.float32)
        out.append(np.asarray(cv2.resize(full, (side, side), interpolation=cv2.INTER_AREA)))
    return out
