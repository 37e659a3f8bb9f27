"""The base class of rebalancing methods, and what they answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import DataError
from scarce.loss_spec import LossSpec
from scarce.registry import Plugin

Counts = Sequence[int] | Sequence[float] | Array


@dataclass(frozen=True)
class Adjustment:
    """What a rebalancing method asks for, in ``schema.classes`` order.

    Attributes:
        loss: the loss to train with.
        extra: (K,) rows to add to each class: augmented copies first, repeats where there are none; None = none.
        keep: (K,) rows of each class to train on; None = all.
    """

    loss: LossSpec = LossSpec()  # noqa: RUF009  frozen
    extra: tuple[int, ...] | None = None
    keep: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class AbstractRebalance(Plugin, ABC):
    """Base of rebalancing methods: from the counts of the training rows to an :class:`Adjustment`."""

    @abstractmethod
    def adjust(self, counts: Counts) -> Adjustment:
        """Return what to change for (K,) counts of training rows (or sums of their weights)."""


def checked_counts(counts: Counts, who: str) -> Floats:
    """Return (K,) float64 counts.

    Raises:
        DataError: not one number a class, negative or infinite ones, or no sample at all.
    """
    values = np.asarray(counts, np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all() or (values < 0).any():
        raise DataError(f"rebalance.{who}", f"counts = {np.asarray(counts).tolist()} are no class counts",
                        do="give one number >= 0 for each class")  # fmt: skip
    if not values.any():
        raise DataError(f"rebalance.{who}", "no class has a training sample", do="label or split the data first")
    return values


def normalized(weights: Floats, counts: Floats) -> Floats:
    """Return weights scaled to 1 on average over the samples; a class without samples gets weight 1."""
    present = counts > 0
    mean = float((weights[present] * counts[present]).sum() / counts.sum())
    return np.where(present, weights / mean, 1.0)
