"""The frame of a label model: the votes of labelling functions in, probabilities out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError
from scarce.label._linear import Fitted
from scarce.registry import Plugin


@dataclass(frozen=True, kw_only=True)
class AbstractLabelModel(Plugin, ABC):
    """Base of every way to join the votes of labelling functions."""

    learns_from_gold: ClassVar[bool] = False
    """Whether gold labels change what it learns."""

    @abstractmethod
    def fit(self, votes: Array, n_classes: int, gold: Array | None = None) -> Fitted:
        """Return the fitted model.

        Args:
            votes: (N, m) class codes, -1 = abstained: the matrix L.
            n_classes: K.
            gold: (N,) right codes, -1 = not known; None = none is known.
        """


def balance_of(who: str, n_classes: int, balance: tuple[float, ...], gold: Array | None, otherwise: Floats) -> Floats:
    """Return the (K,) shares of the classes: those given, those of the gold labels, or others.

    Args:
        who: the part of scarce that asks.
        n_classes: K.
        balance: K shares >= 0, or empty.
        gold: (N,) right codes, -1 = not known, or None.
        otherwise: (K,) what is taken where neither is there.

    Raises:
        DataError: not K shares.
    """
    if balance:
        shares = np.asarray(balance, np.float64)
        if shares.shape != (n_classes,) or not np.isfinite(shares).all() or (shares < 0).any() or shares.sum() <= 0:
            raise DataError(who, f"the class balance is {balance}", f"there are {n_classes} classes", "give K shares")
        return np.asarray(np.maximum(shares / shares.sum(), 1e-6))
    known = valid_gold(who, gold, n_classes)
    if len(known):
        return np.asarray((np.bincount(known, minlength=n_classes) + 1) / (len(known) + n_classes))
    return otherwise


def valid_gold(who: str, gold: Array | None, n_classes: int) -> Ints:
    """Return the known gold codes; refuse codes out of range."""
    if gold is None:
        return np.zeros(0, np.int64)
    codes = np.asarray(gold)
    if (
        codes.ndim != 1
        or codes.dtype.kind not in "iu"
        or (len(codes) and (codes.min() < -1 or codes.max() >= n_classes))
    ):
        raise DataError(
            who, f"gold is {codes.dtype} of shape {codes.shape}", do=f"pass (N,) codes up to {n_classes - 1}"
        )
    return np.asarray(codes[codes >= 0], np.int64)
