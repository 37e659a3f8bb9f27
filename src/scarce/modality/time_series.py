"""Series of numbers over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.dataset import Array
from scarce.modality._base import AbstractModality, BrokenSampleError, Raw, curve
from scarce.modality.tabular import numbers


@final
@dataclass(frozen=True, kw_only=True)
class TimeSeries(AbstractModality):
    """Series: one or several channels over time, lengths may differ.

    Use when the order of the values matters: sensors, heart beats, machine cycles.
    Needs: (T,) or (C, T) float32; NaN = missing.
    Writes: scan.* of shape (N,): length (steps), channels, missing (share), mean, std, flat (bool:
    never changes), bytes.
    """

    encoders: ClassVar[tuple[str, ...]] = ("series",)
    properties: ClassVar[Mapping[str, Any]] = {
        "length": np.int32, "channels": np.int32, "missing": np.float32, "mean": np.float32, "std": np.float32,
        "flat": np.bool_, "bytes": np.int64,
    }  # fmt: skip

    def decode(self, raw: Raw) -> Array:
        """Return (T,) or (C, T) float32."""
        return numbers(raw)

    def thumbnail(self, sample: Array | str, size: int) -> Array:
        """Return the first channel as a curve."""
        series = np.asarray(sample, np.float32)
        return curve(series if series.ndim == 1 else series[0], size)

    def measure(self, raw: Raw) -> dict[str, Any]:
        """Measure; see the class."""
        series = numbers(raw)
        known = series[np.isfinite(series)].astype(np.float64)
        if not len(known):
            raise BrokenSampleError("empty: every value is missing")
        return {
            "length": series.shape[-1], "channels": 1 if series.ndim == 1 else series.shape[0],
            "missing": 1 - len(known) / series.size, "mean": known.mean(), "std": known.std(),
            "flat": bool(known.min() == known.max()), "bytes": series.nbytes,
        }  # fmt: skip
