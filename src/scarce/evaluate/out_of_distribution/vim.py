"""The virtual logit of what lies outside the features' principal space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import ConfigError, DataError
from scarce.evaluate.out_of_distribution._base import AbstractDetector, Rows, log_sum_exp

FEWEST = 3
"""Samples that it can be fitted on."""


@final
@dataclass(frozen=True, kw_only=True)
class Vim(AbstractDetector):
    """One more logit for what lies outside the space that known features fill, against the real ones.

    Use as a good first choice with features and logits of one network: it sees both kinds of foreign.
    Needs: features (N, D) and logits (N, K).
    Source: Wang et al. 2022 (virtual-logit matching). The paper takes the origin from the head's weights; here it is
    that of the affine map that fits the logits best, so that any model will do.

    Args:
        share: of the variance that the principal space holds, in (0, 1).
    """

    uses_features: ClassVar[bool] = True
    width_of: ClassVar[str] = "scale"

    share: float = 0.95

    def __post_init__(self) -> None:
        """Refuse a share that is not between 0 and 1."""
        if not 0 < self.share < 1:
            raise ConfigError(self.plugin_name(), f"share = {self.share}", "it takes numbers between 0 and 1")

    def _learn(self, known: Rows) -> dict[str, Array]:
        features, logits = known.features, known.logits
        if len(features) < FEWEST:
            raise DataError(
                self._who, f"{len(features)} samples fill no space", do=f"give {FEWEST} at least, or use knn"
            )
        scale = features.std(0)
        scale = np.where(scale > 1e-6 * max(1.0, float(scale.max(initial=0.0))), scale, 1.0)
        rows = features / scale
        origin = _origin(rows, logits)
        centered = rows - origin
        values, vectors = np.linalg.eigh(centered.T @ centered / len(rows))
        held = np.cumsum(values[::-1]) / max(float(values.sum()), 1e-12)
        wide = min(int(np.searchsorted(held, self.share)) + 1, len(values) - 1) if len(values) > 1 else 0
        rest = vectors[:, : len(values) - wide]
        residual = np.linalg.norm(centered @ rest, axis=1)
        if not residual.mean() > 1e-9 * max(1.0, float(np.linalg.norm(centered, axis=1).mean())):
            there = f"{len(features)} samples of {features.shape[1]} features"
            raise DataError(self._who, "nothing of the known features lies outside their principal space", there,
                            "give more samples, or use knn")  # fmt: skip
        alpha = float(np.abs(logits.max(1)).mean() / max(float(residual.mean()), 1e-12))
        state = {"scale": scale, "origin": origin, "rest": rest, "alpha": np.array([alpha])}
        return {name: np.asarray(value, np.float32) for name, value in state.items()}

    def _foreign(self, rows: Rows, state: Mapping[str, Array]) -> Floats:
        outside = (rows.features / state["scale"] - state["origin"]) @ np.asarray(state["rest"], np.float64)
        return np.asarray(float(state["alpha"][0]) * np.linalg.norm(outside, axis=1) - log_sum_exp(rows.logits))


def _origin(rows: Floats, logits: Floats) -> Floats:
    """Return (D,) where the affine map from features to logits is nought: the smallest such point from the mean."""
    mean = rows.mean(0)
    weights = np.linalg.lstsq(rows - mean, logits - logits.mean(0), rcond=1e-6)[0]
    step = np.linalg.lstsq(weights.T, -logits.mean(0), rcond=1e-6)[0]
    return np.asarray(mean + step)
