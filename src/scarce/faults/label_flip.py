"""Wrong labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError
from scarce.faults._base import AbstractFault, Material, Truth


def flip_labels(labels: Ints, noise: Floats, *, seed: int = 0) -> Ints:
    """Return (N,) labels redrawn from a noise matrix.

    Args:
        labels: (N,) right codes.
        noise: (K, K) probability of the given class (column) by right class (row); rows sum to 1.
        seed: of the draw.
    """
    edges = np.cumsum(noise, axis=1)[labels]
    drawn = (np.random.default_rng(seed).random(len(labels))[:, None] * edges[:, -1:] > edges).sum(axis=1)
    return np.asarray(drawn, np.int64)


@final
@dataclass(frozen=True, kw_only=True)
class LabelFlip(AbstractFault):
    """Give a share of the samples the wrong label.

    Use when you want to know how many label errors an audit finds.

    Args:
        rate: share of the samples (of the rare class, for ``rare``).
        kind: ``symmetric`` any other class; ``asymmetric`` always the next class; ``rare`` as many labels out of the
            rare class as into it, each ``rate`` of its size; ``annotator`` as a hurried person errs: samples that look
            like another class the likelier, and toward that class.
        rare: name of the rare class; empty = the smallest.
    """

    kind: Literal["symmetric", "asymmetric", "rare", "annotator"] = "symmetric"
    rare: str = ""

    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the material with wrong labels, and which they are."""
        rng = np.random.default_rng([seed, 1])
        labels, k = np.asarray(material.labels, np.int64).copy(), len(material.classes)
        if k < 2:
            raise DataError("faults.label_flip", "there is only one class", do="give at least two")
        if self.kind == "rare":
            self._rare(labels, material.classes, rng)
        elif self.kind == "annotator":
            self._annotator(labels, material, rng)
        else:
            rows = self.drawn(np.arange(len(labels)), rng)
            step = rng.integers(1, k, len(rows)) if self.kind == "symmetric" else np.ones(len(rows), np.int64)
            labels[rows] = (labels[rows] + step) % k
        truth = Truth.clean(material)
        faulty = labels != truth.labels
        truth.how[faulty] = f"label_flip {self.kind}"
        return replace(material, labels=labels), replace(truth, faulty=faulty)

    def _rare(self, labels: Ints, classes: tuple[str, ...], rng: np.random.Generator) -> None:
        counts = np.bincount(labels, minlength=len(classes))
        rare = classes.index(self.rare) if self.rare else int(np.where(counts > 0, counts, counts.max() + 1).argmin())
        inside = self.drawn(np.flatnonzero(labels == rare), rng)
        others = np.flatnonzero(labels != rare)
        outside = rng.choice(others, min(len(inside), len(others)), replace=False)
        labels[inside] = rng.choice(
            [code for code in range(len(classes)) if code != rare and counts[code]], len(inside)
        )
        labels[outside] = rare

    def _annotator(self, labels: Ints, material: Material, rng: np.random.Generator) -> None:
        doubt, other = look_alike_class(material.images, labels, len(material.classes))
        many = len(self.drawn(np.arange(len(labels)), rng))
        key = np.log(rng.random(len(labels))) / np.maximum(doubt, 1e-9)  # weighted draw without replacement
        rows = np.argsort(-key, kind="stable")[:many]
        labels[rows] = other[rows]


def look_alike_class(images: Sequence[Array], labels: Ints, classes: int) -> tuple[Floats, Ints]:
    """Return how much each sample looks like another class, in (0, 1], and that class.

    Judged by small gray pictures; rows of a table by their standardized features.

    Args:
        images: N uint8 pictures, or N rows (F,).
        labels: (N,) right codes of two classes or more.
        classes: K.

    Raises:
        DataError: only one class has pictures.
    """
    import cv2

    counts = np.bincount(labels, minlength=classes)
    if (counts > 0).sum() < 2:
        raise DataError("faults.label_flip", "only one class has samples", do="give at least two")
    if images[0].ndim == 1:
        rows = np.stack(images).astype(np.float64)
        spread = np.nanstd(rows, axis=0)
        rows = np.nan_to_num((rows - np.nanmean(rows, axis=0)) / np.where(spread > 0, spread, 1.0))
    else:
        small = [cv2.resize(image, (12, 12), interpolation=cv2.INTER_AREA) for image in images]
        gray = [(image if image.ndim == 2 else image.mean(axis=2)).ravel() for image in small]
        rows = np.stack(gray).astype(np.float64)
    means = np.stack([rows[labels == code].mean(axis=0) if counts[code] else rows[0] for code in range(classes)])
    square = (rows**2).sum(axis=1)[:, None] - 2 * rows @ means.T + (means**2).sum(axis=1)
    far = np.sqrt(np.maximum(square, 0) / rows.shape[1])
    own = far[np.arange(len(rows)), labels]
    far[:, counts == 0] = np.inf
    far[np.arange(len(rows)), labels] = np.inf
    other = far.argmin(axis=1)
    margin = far[np.arange(len(rows)), other] - own
    scale = max(float(np.abs(margin).mean()), 1e-9)
    return 1 / (1 + np.exp(np.clip(2 * margin / scale, -50, 50))), other
