"""Annotators who err."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, final

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError
from scarce.faults._base import AbstractFault, Material, Truth
from scarce.faults.label_flip import flip_labels

KINDS: Final = ("symmetric", "neighbor", "careless")


def annotate(labels: Ints, confusions: Floats, *, missing: float = 0.0, seed: int = 0) -> Ints:
    """Return (N, R) ratings of R annotators whose errors are known, -1 = not rated.

    Args:
        labels: (N,) right codes.
        confusions: (R, K, K) probability of the answer (column) by right class (row), one matrix an annotator.
        missing: share of the ratings that are left out, in [0, 1).
        seed: of the draw.

    Raises:
        DataError: wrong shape, or rows that do not sum to 1.
    """
    matrices = np.asarray(confusions, np.float64)
    if matrices.ndim != 3 or matrices.shape[1] != matrices.shape[2] or not np.allclose(matrices.sum(axis=2), 1):
        what = f"confusions have shape {matrices.shape} or rows that do not sum to 1"
        raise DataError("faults.annotator_noise", what, do="pass (R, K, K), each row a distribution")
    draws = [np.random.default_rng([seed, 11, rater]) for rater in range(len(matrices))]
    said = np.stack(
        [flip_labels(labels, one, seed=int(rng.integers(2**31))) for one, rng in zip(matrices, draws, strict=True)],
        axis=1,
    )
    gone = np.stack([rng.random(len(labels)) < missing for rng in draws], axis=1)
    return np.where(gone, -1, said)


def confusion_of(kind: str, k: int, rate: float) -> Floats:
    """Return the (K, K) confusion matrix of an annotator who errs in a share of the samples.

    Args:
        kind: ``symmetric`` any other class; ``neighbor`` the next class; ``careless`` any class at all.
        k: number of classes, at least 2.
        rate: share of the samples in [0, 1].
    """
    if kind not in KINDS or k < 2:
        raise DataError("faults.annotator_noise", f"kind {kind!r} of {k} classes", f"kinds are {', '.join(KINDS)}")
    right = np.eye(k)
    wrong = {
        "symmetric": (1 - right) / (k - 1),
        "neighbor": np.roll(right, 1, axis=1),
        "careless": np.full((k, k), 1 / k),
    }
    return np.asarray((1 - rate) * right + rate * wrong[kind])


@final
@dataclass(frozen=True, kw_only=True)
class AnnotatorNoise(AbstractFault):
    """Let several annotators label the samples, each with a known confusion matrix.

    Use when you want to know what a measure of agreement, or a vote, makes of annotators whose errors are known. Each
    one becomes a column ``annotator_1``, ``annotator_2`` ...; the label itself stays right.

    Args:
        rate: share of the samples that each annotator gets wrong (of those who take care).
        annotators: how many, at least 2.
        careless: so many of them, the last ones, answer at random.
        missing: share of the ratings that are left out.
        kind: of the errors: ``symmetric`` or ``neighbor``, see :func:`confusion_of`.
    """

    annotators: int = 3
    careless: int = 0
    missing: float = 0.0
    kind: Literal["symmetric", "neighbor"] = "symmetric"

    def confusions(self, k: int) -> Floats:
        """Return (R, K, K), the annotators' confusion matrices."""
        careful = [confusion_of(self.kind, k, self.rate)] * (self.annotators - self.careless)
        return np.stack([*careful, *[confusion_of("careless", k, 1.0)] * self.careless])

    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the material with one column an annotator, and where one of them is wrong."""
        if self.annotators < 2 or not 0 <= self.careless <= self.annotators:
            what = f"{self.annotators} annotators, {self.careless} of them careless"
            raise DataError("faults.annotator_noise", what, do="let at least two annotate")
        self.drawn(np.arange(len(material.labels)), np.random.default_rng(seed))
        labels = np.asarray(material.labels, np.int64)
        said = annotate(labels, self.confusions(len(material.classes)), missing=self.missing, seed=seed)
        names: Array = np.array([*material.classes, ""], object)
        columns = {f"annotator_{rater + 1}": names[said[:, rater]] for rater in range(self.annotators)}
        truth = Truth.clean(material)
        faulty = ((said >= 0) & (said != labels[:, None])).any(axis=1)
        truth.how[faulty] = f"annotator_noise {self.kind}"
        return material.with_columns(columns), replace(truth, faulty=faulty)
