"""What every kind of data can do: decode itself, show itself small, and be measured in one pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from scarce.dataset import Array
from scarce.lineage import canonical_json, digest
from scarce.registry import Plugin

Raw: TypeAlias = bytes | str | Array
"""Undecoded content: the bytes of a file or cell, a text, the numbers of a row or series."""


class BrokenSampleError(ValueError):
    """One sample cannot be used; its text is the reason the row is set aside with."""


@dataclass(frozen=True, kw_only=True)
class AbstractModality(Plugin, ABC):
    """One kind of data. Reading bytes is not its task; it turns them into arrays and numbers."""

    encoders: ClassVar[tuple[str, ...]] = ("pixel",)
    """Names of the encoders that suit this kind of data, best first; the first whose packages are here is taken."""
    properties: ClassVar[Mapping[str, Any]] = {}
    """Scan property to NumPy dtype; each becomes ``scan.<property>`` of shape (N,) or, with a shape, (N, ...)."""

    @abstractmethod
    def decode(self, raw: Raw) -> Array | str:
        """Return the sample as models take it.

        Raises:
            BrokenSampleError: it cannot be decoded; the text says why.
        """

    def decode_small(self, raw: Raw, pixels: int) -> Array | str:  # noqa: ARG002 - a hook
        """Return the sample, where that is faster smaller, but with at least so many pixels on its shorter side."""
        return self.decode(raw)

    @abstractmethod
    def thumbnail(self, sample: Array | str, size: int) -> Array:
        """Return a (size, size) or (size, size, 3) uint8 picture of a decoded sample, for people."""

    @abstractmethod
    def measure(self, raw: Raw) -> dict[str, Any]:
        """Return the raw measurements of one sample, decoded once; :meth:`finish` turns a block of them to properties.

        Raises:
            BrokenSampleError: the sample is empty, truncated, huge or broken.
        """

    def finish(self, block: Mapping[str, Array]) -> dict[str, Array]:
        """Return properties of a block of B samples from their stacked measurements; by default the same."""
        return dict(block)


def content_hash(raw: Raw) -> str:
    """Return 32 hex digits of BLAKE2b over a sample's content."""
    if isinstance(raw, np.ndarray):
        return digest(canonical_json([list(raw.shape), str(raw.dtype)]), np.ascontiguousarray(raw).tobytes())
    return digest(raw)


def curve(values: Array, size: int) -> Array:
    """Return a (size, size) uint8 picture of a series: dark line on white, lowest value at the bottom."""
    picture = np.full((size, size), 255, np.uint8)
    finite = values[np.isfinite(values)]
    if not len(finite):
        return picture
    edges = np.linspace(0, len(values), size + 1).astype(int)
    low, high = float(finite.min()), float(finite.max())
    scale = (size - 1) / (high - low) if high > low else 0.0
    for column in range(size):
        part = values[edges[column] : max(edges[column + 1], edges[column] + 1)]
        part = part[np.isfinite(part)]
        if len(part):
            top, bottom = (round((high - float(v)) * scale) for v in (part.max(), part.min()))
            picture[top : bottom + 1, column] = 0
    return picture
