"""The frame of an encoder: what it takes, the one hook it fills, and its fingerprint."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np

from scarce.dataset import Array, Dataset, Floats
from scarce.lineage import canonical_json, digest
from scarce.registry import Plugin

CACHE_VERSION = 1
"""Raised whenever the driver changes what an encoder sees."""


@dataclass(frozen=True, kw_only=True)
class AbstractEncoder(Plugin, ABC):
    """Base of every encoder: decoded samples in, features out. It learns nothing from the samples it is shown.

    A frozen value: two encoders with the same fingerprint give the same features for the same content.
    """

    modalities: ClassVar[tuple[str, ...]] = ("image",)
    """The kinds of data it takes."""
    stored: ClassVar[Literal["float16", "float32"]] = "float16"
    """How features are kept; results are rounded to it, so that cached and fresh ones are equal."""
    single: ClassVar[bool] = False
    """Whether one worker is enough (the samples must stay together, or the work is too small to share)."""

    @abstractmethod
    def embed(self, batch: Sequence[Array | str]) -> Floats:
        """Return (B, D) float32 features of B decoded samples; row b depends on sample b only."""

    def prepare(self, ds: Dataset) -> Self:  # noqa: ARG002 - a hook
        """Return the encoder with what was left open chosen from the shape of the data, never from its labels."""
        return self

    def reduce(self, sample: Array | str) -> Array | str:
        """Return what of a decoded sample is kept in memory until its batch is full, for example a small picture."""
        return sample

    def decode_pixels(self) -> int:
        """Return how many pixels the shorter side needs, so that pictures may be decoded smaller; 0 = all."""
        return 0

    def identity(self) -> Mapping[str, str]:
        """Return what beside the parameters decides the features: hash of the weights, versions that touch pixels."""
        return {}

    def session(self) -> AbstractContextManager[None]:
        """Hold whatever a run needs in the calling thread."""
        return nullcontext()

    def enter_worker(self) -> None:
        """Set up a worker thread."""

    def features_of(self, samples: Sequence[Array | str], *, batch: int = 64) -> Floats:
        """Return (B, D) float32 features of B decoded samples in memory, rounded as they are kept; (0, 0) of none.

        Args:
            samples: decoded.
            batch: how many are shown at once.
        """
        parts = [samples[start : start + batch] for start in range(0, len(samples), batch)]
        with self.session():
            found = [np.asarray(self.embed([self.reduce(one) for one in part])) for part in parts]
        return np.concatenate(found).astype(self.stored).astype(np.float32) if found else np.zeros((0, 0), np.float32)

    def fingerprint(self) -> str:
        """Return 32 hex digits over name, parameters and :meth:`identity`."""
        body = {"name": self.plugin_name(), "params": self.params(), "identity": dict(self.identity())}
        return digest(canonical_json({"v": CACHE_VERSION, "stored": self.stored, **body}))
