"""Boxes as detectors take and give them, and the base of models that draw boxes."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from scarce.dataset import Array, Dataset, Floats, FoldView, Ints
from scarce.errors import DataError, TrainError
from scarce.io.boxes import BOXES, label_and_corners, objects_in
from scarce.metric.box import Boxes, mean_average_precision
from scarce.train._base import Setup
from scarce.train.model import Model, base_card

_log = logging.getLogger("scarce.train")
LEAST_SIDE: Final = 1.0
"""Pixels: what is left of a box inside its picture must be at least so wide and high."""


@final
@dataclass(frozen=True, eq=False)
class Drawn:
    """The boxes of one picture.

    Attributes:
        corners: (B, 4) float64 left, top, right, bottom in pixels.
        codes: (B,) int64 classes.
        scores: (B,) float64 in [0, 1], higher = surer; ones where people drew.
        crowd: (B,) bool, one box for many objects.
    """

    corners: Floats
    codes: Ints
    scores: Floats
    crowd: Array

    def __len__(self) -> int:
        """Return B."""
        return len(self.corners)

    def only(self, rows: Array) -> Drawn:
        """Return some of the boxes."""
        return Drawn(self.corners[rows], self.codes[rows], self.scores[rows], self.crowd[rows])

    @classmethod
    def of(cls, corners: Any, codes: Any, scores: Any = None, crowd: Any = None) -> Drawn:
        """Return boxes from lists."""
        n = len(codes)
        return cls(
            np.asarray(corners, np.float64).reshape(-1, 4), np.asarray(codes, np.int64).reshape(-1),
            np.ones(n) if scores is None else np.asarray(scores, np.float64).reshape(-1),
            np.zeros(n, bool) if crowd is None else np.asarray(crowd, bool).reshape(-1),
        )  # fmt: skip

    def inside(self, width: float, height: float) -> Drawn:
        """Return the boxes cut to a picture; those of which nothing is left are dropped."""
        corners = self.corners.clip(0, [width, height, width, height])
        good = (corners[:, 2:] - corners[:, :2] >= LEAST_SIDE).all(1)
        return Drawn(corners, self.codes, self.scores, self.crowd).only(good)


def column_of(ds: Dataset, who: str) -> str:
    """Return the column that holds boxes.

    Raises:
        DataError: there is none; where there are masks the message says so.
    """
    found = next((f"meta.{name}" for name in BOXES if f"meta.{name}" in ds), None)
    if found is not None:
        return found
    masks = sum(uri is not None for uri in ds["mask_uri"].tolist()) if "mask_uri" in ds else 0
    there = f"{masks} of {len(ds)} pictures have a mask, and masks are no boxes" if masks else f"{len(ds)} rows"
    raise DataError(who, "a detector needs boxes, and no picture has any", there,
                    "give COCO, YOLO or VOC labels, or a column of boxes; or take another --model")  # fmt: skip


def boxes_of(ds: Dataset, who: str) -> list[Drawn | None]:
    """Return N sets of boxes; None where nobody looked, an empty set where somebody looked and found nothing.

    Raises:
        DataError: a cell is no list of boxes, a box is not finite or inside out, or its class is unknown.
    """
    index = {name: code for code, name in enumerate(ds.schema.classes)}
    out: list[Drawn | None] = []
    for row, cell in enumerate(ds[column_of(ds, who)].tolist()):
        try:
            items = objects_in(cell)
        except ValueError as error:
            raise DataError(who, f"the boxes of {ds['uri'][row]} cannot be read ({error})",
                            do="give a JSON list of objects with label and bbox") from error  # fmt: skip
        out.append(None if items is None else _set(items, index, f"{ds['uri'][row]}", who))
    return out


def _set(items: Sequence[dict[str, Any]], index: dict[str, int], uri: str, who: str) -> Drawn:
    told = [label_and_corners(item) for item in items]
    strange = sorted({str(label) for label, _ in told} - set(index))
    if strange:
        raise DataError(who, f"{uri} has boxes of {strange}", f"the classes are {', '.join(index)}",
                        "add the class, or draw the box anew")  # fmt: skip
    out = Drawn.of([box for _, box in told], [index[str(label)] for label, _ in told],
                   crowd=[bool(item.get("iscrowd")) for item in items])  # fmt: skip
    bad = ~np.isfinite(out.corners).all(1) | (out.corners[:, 2:] < out.corners[:, :2]).any(1)
    if bad.any():
        raise DataError(who, f"a box of {uri} is not finite, or ends before it begins",
                        f"{out.corners[bad][0].tolist()}", "give left, top, width > 0, height > 0")  # fmt: skip
    return out


def joined(sets: Sequence[Drawn | None]) -> Boxes:
    """Return the boxes of many pictures in the shape of :mod:`scarce.metric.box`; pictures are counted from 0."""
    held = [(row, one) for row, one in enumerate(sets) if one is not None and len(one)]
    if not held:
        nothing = np.zeros(0)
        return Boxes(picture=nothing.astype(int), corners=np.zeros((0, 4)), label=nothing.astype(int), score=nothing,
                     crowd=nothing.astype(bool))  # fmt: skip
    return Boxes(
        picture=np.concatenate([np.full(len(one), row) for row, one in held]),
        corners=np.concatenate([one.corners for _, one in held]),
        label=np.concatenate([one.codes for _, one in held]),
        score=np.concatenate([one.scores for _, one in held]),
        crowd=np.concatenate([one.crowd for _, one in held]),
    )


def card_of(view: FoldView, trainer: str, params: Any, sets: Sequence[Drawn | None], *, seed: int) -> dict[str, Any]:
    """Return the card's usual entries, with boxes counted in place of labels, and classes without a box named."""
    card = base_card(view, trainer, params, seed=seed)
    counts = np.zeros(len(card["classes"]), np.int64)
    for one in sets:
        if one is not None:
            np.add.at(counts, one.codes, 1)
    names = card["classes"]
    data = {**card["data"], "counts": {name: {"boxes": int(n)} for name, n in zip(names, counts, strict=True)}}
    empty = sum(one is not None and not len(one) for one in sets)
    return card | {
        "task": "boxes", "data": data, "pictures": sum(one is not None for one in sets), "pictures_without": empty,
        "absent_classes": [name for name, n in zip(names, counts, strict=True) if not n],
    }  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class BoxModel(Model):
    """A model that draws boxes and gives pictures no class of their own."""

    @abstractmethod
    def detect(self, ds: Dataset) -> list[Drawn | None]:
        """Return N sets of boxes with scores in the pixels of the pictures; None where a row was set aside.

        Classes are codes of the model's own classes.
        """

    def logits(self, ds: Dataset) -> Floats:
        """Refuse: a detector has no classes of whole pictures.

        Raises:
            TrainError: always.
        """
        raise TrainError("train.detector", f"a detector draws boxes and gives {len(ds)} pictures no class",
                         do="use detect, scarce evaluate or scarce predict")  # fmt: skip


def chosen_rows(train: Dataset, setup: Setup, who: str) -> tuple[list[Drawn | None], Array, Array]:
    """Return the boxes of all rows, the rows to train on, and those of split ``val``.

    Raises:
        TrainError: no picture was looked at, or none has a box.
    """
    sets = boxes_of(train, who)
    seen = np.array([one is not None for one in sets], bool) & train["keep"].astype(bool)
    held = seen & (train["split"] == "val") if "split" in train else np.zeros(len(train), bool)
    rows = np.flatnonzero(seen & ~held) if setup.rows is None else np.asarray(setup.rows, np.int64)
    rows = rows[(seen & ~held)[rows]]
    if not any(len(sets[row] or ()) for row in rows):
        raise TrainError(who, "no training picture has a box", f"{len(rows)} pictures were looked at, of {len(train)}",
                         "draw boxes, or give labels that hold some")  # fmt: skip
    return sets, rows, np.flatnonzero(held)


def tell_absent(card: Mapping[str, Any]) -> None:
    """Warn of classes without a training box; what is normal needs none."""
    missing = [name for name in card["absent_classes"] if name not in card["normal_classes"]]
    if missing:
        _log.warning("no training picture has a box of %s: the detector will never answer it", ", ".join(missing))


def held_out(model: BoxModel, train: Dataset, held: Array, sets: Sequence[Drawn | None]) -> dict[str, Any]:
    """Return the average precision on held-back pictures for the card; empty where there are none."""
    if not len(held):
        return {}
    truth, found = joined([sets[row] for row in held]), joined(model.detect(train.take(held)))
    told = mean_average_precision(truth, found)
    if not np.isfinite(told.mean):
        return {}
    return {"held_out": {"mean_average_precision": told.mean, "at_50": told.at_50, "pictures": len(held)}}
