"""The distance to the nearest known samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import ConfigError
from scarce.evaluate.out_of_distribution._base import AbstractDetector, Rows


@final
@dataclass(frozen=True, kw_only=True)
class Knn(AbstractDetector):
    """The distance to the k-th nearest known sample, in features scaled to unit spread and unit length.

    Use where classes have many shapes; it assumes nothing about how they are spread. It keeps ``most`` samples.
    Needs: features (N, D).
    Source: Sun et al. 2022, section 3; here each feature is first divided by its deviation, since features of
    several layers have scales of their own.

    Args:
        k: which neighbour, >= 1.
        most: known samples that are kept, evenly over the classes, >= 10.
        direction: compare directions only, at unit length; False = how far samples lie from the mean counts, too, as
            in features that are measurements.
        least: deviation that a feature is taken to have at least, >= 0, in its own units.
    """

    uses_features: ClassVar[bool] = True
    width_of: ClassVar[str] = "mean"

    k: int = 5
    most: int = 5000
    direction: bool = True
    least: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        if self.k < 1 or self.most < 10 or not self.least >= 0:
            raise ConfigError(self.plugin_name(), f"k = {self.k}, most = {self.most}, least = {self.least}",
                              "it takes k >= 1, most >= 10, least >= 0")  # fmt: skip

    def _learn(self, known: Rows) -> dict[str, Array]:
        features, kept = known.features, evenly(known.labels, self.most)
        scale = features.std(0)
        if self.least:
            scale = np.maximum(scale, self.least)
        scale = np.where(scale > 1e-6 * max(1.0, float(scale.max(initial=0.0))), scale, 1.0)
        state = {"mean": features.mean(0), "scale": scale}
        bank = self._compared(features[kept], state)
        return {name: np.asarray(value, np.float32) for name, value in {**state, "bank": bank}.items()}

    def _foreign(self, rows: Rows, state: Mapping[str, Array]) -> Floats:
        bank = state["bank"]
        points = self._compared(rows.features, state)
        k = min(self.k, len(bank))
        if not self.direction:
            far = (
                (points**2).sum(1)[:, None]
                - 2.0 * points @ bank.T.astype(np.float64)
                + (bank.astype(np.float64) ** 2).sum(1)
            )
            return np.asarray(np.sqrt(np.maximum(np.partition(far, k - 1, axis=1)[:, k - 1], 0.0)))
        near = np.asarray(points, np.float32) @ bank.T
        kth = np.partition(near, len(bank) - k, axis=1)[:, len(bank) - k]
        return np.asarray(np.sqrt(np.maximum(2.0 - 2.0 * kth.astype(np.float64), 0.0)))

    def _compared(self, features: Floats, state: Mapping[str, Array]) -> Floats:
        """Return (n, D) what distances are taken between."""
        rows = (features - state["mean"]) / state["scale"]
        return _directions(rows) if self.direction else rows


def evenly(labels: Ints, most: int) -> Ints:
    """Return row numbers of at most about ``most`` samples, as many of each class as there are, else evenly spaced."""
    if len(labels) <= most:
        return np.arange(len(labels))
    codes, counts = np.unique(labels, return_counts=True)
    room, share = most, {}
    for left, place in enumerate(np.argsort(counts, kind="stable")):
        share[int(codes[place])] = min(int(counts[place]), max(1, room // (len(codes) - left)))
        room -= share[int(codes[place])]
    chosen = []
    for code, count in share.items():
        rows = np.flatnonzero(labels == code)
        chosen.append(rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)])
    return np.sort(np.concatenate(chosen))


def _directions(rows: Floats) -> Floats:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
