"""The distance to the nearest class, in the spread that the classes share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import ConfigError, DataError
from scarce.evaluate.out_of_distribution._base import AbstractDetector, Rows

LEAST = 1e-8


@final
@dataclass(frozen=True, kw_only=True)
class Mahalanobis(AbstractDetector):
    """The squared distance to the nearest class mean, in units of the spread that the classes share.

    Use with features of several layers and some hundred samples or more. Classes with many shapes each are better
    served by knn.
    Needs: features (N, D).
    Source: Lee et al. 2018; ``relative`` after Ren et al. 2021.

    Args:
        shrinkage: share of the covariance that is replaced by its diagonal, in [0, 1]; helps where N is not far above
            D.
        relative: subtract the distance to all samples as one class, which forgets what is common to all. With one known
            class both are the same and would cancel: the plain distance is then used.
        least: deviation that a feature is taken to have at least, >= 0, in its own units.
    """

    uses_features: ClassVar[bool] = True
    width_of: ClassVar[str] = "means"

    shrinkage: float = 0.01
    relative: bool = True
    least: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        if not 0 <= self.shrinkage <= 1:
            raise ConfigError(self.plugin_name(), f"shrinkage = {self.shrinkage}", "it takes 0 to 1")
        if not self.least >= 0:
            raise ConfigError(self.plugin_name(), f"least = {self.least}", "it takes 0 or more")

    def _learn(self, known: Rows) -> dict[str, Array]:
        features = known.features
        present, own = np.unique(known.labels, return_inverse=True)
        counts = np.bincount(own)
        if len(features) < len(present) + 2:
            what = f"{len(features)} samples of {len(present)} classes show no spread inside a class"
            raise DataError(self._who, what, do="give two samples more than classes at least, or use knn")
        means = np.zeros((len(present), features.shape[1]))
        np.add.at(means, own, features)
        means /= counts[:, None]
        center = features.mean(0)
        state = {"means": means, "whitening": _whitening(features - means[own], self.shrinkage, self.least)}
        if self.relative and len(present) > 1:
            state |= {"center": center, "background": _whitening(features - center, self.shrinkage, self.least)}
        return {name: np.asarray(value, np.float32) for name, value in state.items()}

    def _foreign(self, rows: Rows, state: Mapping[str, Array]) -> Floats:
        whitening = np.asarray(state["whitening"], np.float64)
        found = _squared(rows.features @ whitening, np.asarray(state["means"], np.float64) @ whitening).min(1)
        if "background" in state:
            away = (rows.features - state["center"]) @ np.asarray(state["background"], np.float64)
            found = found - (away**2).sum(1)
        return np.asarray(found)


def _squared(rows: Floats, centers: Floats) -> Floats:
    """Return (n, m) squared distances."""
    found = (rows**2).sum(1)[:, None] - 2.0 * rows @ centers.T + (centers**2).sum(1)
    return np.asarray(np.maximum(found, 0.0))


def _whitening(residual: Floats, shrinkage: float, least: float) -> Floats:
    """Return (D, r) that turns the residuals' covariance into the identity; directions without spread count little."""
    covariance = residual.T @ residual / max(1, len(residual) - 1)
    diagonal = np.maximum(np.diag(covariance), 0.0)
    floor = LEAST * max(float(diagonal.max(initial=0.0)), LEAST)
    added = np.maximum(np.maximum(least**2 - diagonal, 0.0), floor)
    covariance = (1 - shrinkage) * covariance + shrinkage * np.diag(diagonal) + np.diag(added)
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors / np.sqrt(np.maximum(values, floor)))
