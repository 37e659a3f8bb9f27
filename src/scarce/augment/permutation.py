"""Parts in another order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment._series import as_before, channels
from scarce.augment._text import constant, seeds
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class Permutation(AbstractOperation):
    """Cut the series into parts and put them together in another order.

    Use when the class is in short motifs, wherever they occur.
    Do not use when the course as a whole is the class: one beat, one machine cycle.
    Needs: series (T,) or (C, T).
    Writes: parameters parts, seed.
    Source: Um et al. 2017.

    Args:
        parts: most parts; at least two are cut.
    """

    modality: ClassVar[str] = "time_series"
    uniforms: ClassVar[int] = 1

    parts: int = 5

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("parts", self.parts, 2, 1000)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the seed and the settings."""
        return {"parts": constant(uniform, self.parts), "seed": seeds(uniform[:, 0])}

    def alter(self, sample: Any, params: Params, other: Any = None) -> Floats:  # noqa: ARG002  one hook for all
        """Return the changed series."""
        return permute(sample, parts=int(params["parts"]), seed=params["seed"])


def permute(series: Any, *, parts: int = 5, seed: int) -> Floats:
    """Return a (T,) or (C, T) series whose 2 to ``parts`` equal parts stand in another order."""
    values, rng = channels(series), np.random.default_rng(seed)
    pieces = np.array_split(np.arange(values.shape[1]), int(rng.integers(2, max(parts, 2) + 1)))
    order = np.concatenate([pieces[place] for place in rng.permutation(len(pieces))])
    return as_before(values[:, order], series)
