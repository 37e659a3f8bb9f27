"""The base class of detectors of foreign samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError
from scarce.registry import Plugin

BLOCK = 1024
"""Samples that are scored at once."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Samples as a model sees them.

    Attributes:
        features: (n, D); D = 0 where there are none.
        logits: (n, K).
        labels: (n,) codes; empty where they are not known.
    """

    features: Floats
    logits: Floats
    labels: Ints


@dataclass(frozen=True, kw_only=True)
class AbstractDetector(Plugin, ABC):
    """Base of detectors: the plugin says what it learns from known samples, and how it scores others."""

    uses_features: ClassVar[bool] = False
    """Whether features are needed; without them the logits are enough."""
    width_of: ClassVar[str] = ""
    """Name of the learned array whose last axis is that of the features; empty = features of any width."""

    def fit(self, features: Array | None, logits: Array, labels: Array) -> Self:
        """Learn the known classes; returns itself.

        Args:
            features: (N, D) of the model, for example its last layer but one; None where only logits are used.
            logits: (N, K).
            labels: (N,) codes in 0..K-1.

        Raises:
            DataError: shapes that do not fit, values that are not finite, or too few samples.
        """
        rows, values = self._checked(features, logits)
        codes = np.asarray(labels, np.int64)
        if codes.shape != (len(values),):
            raise DataError(self._who, f"{codes.shape} labels for {len(values)} samples", do="give one a sample")
        if not len(codes):
            raise DataError(self._who, "there is no sample to learn the known classes from")
        if codes.min() < 0 or codes.max() >= values.shape[1]:
            raise DataError(self._who, "a label code is outside the classes", f"{values.shape[1]} classes",
                            "leave unlabelled samples out")  # fmt: skip
        self.__dict__["_state"] = self._learn(Rows(rows, values, codes))
        return self

    def score(self, features: Array | None, logits: Array) -> Floats:
        """Return (N,) scores, higher = more foreign.

        Args:
            features: (N, D), as in :meth:`fit`.
            logits: (N, K).

        Raises:
            DataError: not fitted yet, or shapes that do not fit.
        """
        state = self.state
        rows, values = self._checked(features, logits)
        width = state[self.width_of].shape[-1] if self.width_of else rows.shape[1]
        if rows.shape[1] != width:
            raise DataError(self._who, f"features have {rows.shape[1]} numbers each", f"it was fitted on {width}",
                            "take the features of the same model and layer")  # fmt: skip
        nothing = np.zeros(0, np.int64)
        found = [
            self._foreign(Rows(rows[at : at + BLOCK], values[at : at + BLOCK], nothing), state)
            for at in range(0, len(values), BLOCK)
        ]
        return np.asarray(np.concatenate(found) if found else np.zeros(0), np.float64)

    @property
    def state(self) -> dict[str, Array]:
        """What was learned, as arrays by name: enough for :meth:`restored`."""
        found: dict[str, Array] | None = self.__dict__.get("_state")
        if found is None:
            raise DataError(self._who, "it was not fitted", do="call fit with samples of the known classes first")
        return found

    def restored(self, state: Mapping[str, Array]) -> Self:
        """Put back what :attr:`state` gave; returns itself."""
        self.__dict__["_state"] = dict(state)
        return self

    def _learn(self, known: Rows) -> dict[str, Array]:  # noqa: ARG002 - what a plugin may keep
        """Return what is kept of the known samples; nothing by default."""
        return {}

    @abstractmethod
    def _foreign(self, rows: Rows, state: Mapping[str, Array]) -> Floats:
        """Return (n,) scores of a block, higher = more foreign."""

    @property
    def _who(self) -> str:
        return f"evaluate.out_of_distribution.{self.plugin_name()}"

    def _checked(self, features: Array | None, logits: Array) -> tuple[Floats, Floats]:
        values = np.asarray(logits, np.float64)
        if values.ndim != 2 or values.shape[1] < 1:
            raise DataError(self._who, f"logits of shape {values.shape}", do="give (N, K)")
        if features is None and self.uses_features:
            raise DataError(self._who, "there are no features", do="use energy, max_logit or softmax_score")
        rows = np.zeros((len(values), 0)) if features is None else np.asarray(features, np.float64)
        if rows.ndim != 2 or len(rows) != len(values):
            raise DataError(self._who, f"features of shape {rows.shape} for {len(values)} samples", do="give (N, D)")
        if not np.isfinite(values).all() or not np.isfinite(rows).all():
            raise DataError(self._who, "features or logits are not finite", do="leave set-aside samples out")
        return rows, values


def log_sum_exp(values: Floats) -> Floats:
    """Return (N,) log of the summed exponentials of each row."""
    top = values.max(1)
    return np.asarray(top + np.log(np.exp(values - top[:, None]).sum(1)))
