"""A sensor that is mounted another way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment._series import as_before, channels
from scarce.augment._text import constant, seeds
from scarce.dataset import Floats
from scarce.errors import DataError
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class Rotation(AbstractOperation):
    """Turn the signs of channels over and shuffle them, or turn three axes in space.

    Use when a sensor may be mounted in any direction.
    Do not use when up and down differ (heart beats, power): there it makes samples of no class.
    Needs: series (T,) or (C, T).
    Writes: parameters axes, seed.
    Source: Um et al. 2017 (axes of an accelerometer); Iwana and Uchida 2021 (signs and order).

    Args:
        axes: three channels are the axes of one sensor and are turned in space by a random rotation, in place of signs
            and order.
    """

    modality: ClassVar[str] = "time_series"
    uniforms: ClassVar[int] = 1

    axes: bool = False

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the seed and the settings."""
        return {"axes": constant(uniform, self.axes), "seed": seeds(uniform[:, 0])}

    def alter(self, sample: Any, params: Params, other: Any = None) -> Floats:  # noqa: ARG002  one hook for all
        """Return the changed series."""
        return rotate(sample, axes=bool(params["axes"]), seed=params["seed"])


def rotate(series: Any, *, axes: bool = False, seed: int) -> Floats:
    """Return a (T,) or (C, T) series turned over, shuffled, or (axes; C = 3) rotated in space.

    Raises:
        DataError: axes are asked for and there are not three channels.
    """
    values, rng = channels(series), np.random.default_rng(seed)
    if not axes:
        signs = rng.choice([-1.0, 1.0], (len(values), 1))
        return as_before(signs * values[rng.permutation(len(values))], series)
    if len(values) != 3:
        raise DataError("augment.rotation", "axes are turned in space", f"this series has {len(values)} channels",
                        "set axes = false, or give series of three channels")  # fmt: skip
    from scipy.spatial.transform import Rotation as Turn

    return as_before(Turn.random(rng=rng).as_matrix() @ values, series)
