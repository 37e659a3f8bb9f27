"""Groups of operations of which each sample gets one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from scarce.augment._base import AbstractOperation, Drawn
from scarce.dataset import Floats
from scarce.errors import ConfigError


class Entry(Protocol):
    """What a policy lists: an operation, or a group of them."""

    @property
    def uniforms(self) -> int:
        """How many numbers one sample needs besides the one that decides whether it is applied."""
        ...

    def draws(self, uniform: Floats) -> list[Drawn]:
        """Return the operations that N samples get, in order, from (N, uniforms + 1) numbers."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return it as plain values, with the key ``op``."""
        ...


@dataclass(frozen=True)
class OneOf:
    """One of several choices for each sample; a choice is an operation or some in a row.

    Args:
        choices: the operations of each choice, in order; each keeps its own probability.
        weights: how likely each choice is; empty = all alike.
        probability: share of the samples that get a choice at all.
    """

    choices: tuple[tuple[AbstractOperation, ...], ...]
    weights: tuple[float, ...] = ()
    probability: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a group without choices, or weights that do not fit."""
        n = len(self.weights)
        weighed = not n or (n == len(self.choices) and min(self.weights) >= 0 and sum(self.weights) > 0)
        if not self.choices or not weighed or not 0 <= self.probability <= 1:
            what = (
                f"{len(self.choices)} choices, weights {list(self.weights)}, probability {self.probability}: no group"
            )
            do = "give at least one choice, a weight >= 0 for each or none at all, and a probability in [0, 1]"
            raise ConfigError("augment.one_of", what, do=do)

    @property
    def uniforms(self) -> int:
        """Return how many numbers the longest choice needs, and one more."""
        return 1 + max(sum(operation.uniforms + 1 for operation in choice) for choice in self.choices)

    def draws(self, uniform: Floats) -> list[Drawn]:
        """Return the operations of every choice that some sample gets."""
        limits = np.cumsum(self.weights or np.ones(len(self.choices)))
        chosen = np.searchsorted(limits / limits[-1], uniform[:, 1], side="right")
        chosen[uniform[:, 0] >= self.probability] = -1
        out: list[Drawn] = []
        for index in np.unique(chosen[chosen >= 0]).tolist():
            first = 2
            for operation in self.choices[index]:
                [(same, drawn, applied)] = operation.draws(uniform[:, first : first + operation.uniforms + 1])
                out.append((same, drawn, applied & (chosen == index)))
                first += operation.uniforms + 1
        return out

    def describe(self) -> dict[str, Any]:
        """Return the group as plain values."""
        choices = [[operation.describe() for operation in choice] for choice in self.choices]
        weights = {"weights": list(self.weights)} if self.weights else {}
        return {"op": "one_of", "probability": self.probability, **weights, "choices": choices}

    def only(self, kept: Sequence[AbstractOperation]) -> OneOf | None:
        """Return the group of the choices all of whose operations are kept; None where none is left."""
        places = [place for place, choice in enumerate(self.choices) if all(one in kept for one in choice)]
        weights = tuple(self.weights[place] for place in places) if self.weights else ()
        if not places or (weights and not sum(weights)):
            return None
        return OneOf(tuple(self.choices[place] for place in places), weights, self.probability)
