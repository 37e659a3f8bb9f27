"""The kinds of data: image, text, tabular, audio, time series. Each opens, shows, hashes and measures its samples.

``scan`` passes once over the bytes and fills ``content_hash`` and the arrays ``scan.<property>``; ``open_samples``
gives decoded samples to whoever needs them.
"""

from __future__ import annotations

from scarce.modality._base import AbstractModality, BrokenSampleError
from scarce.modality._run import of, open_samples, scan, thumbnails

MODULES = ("header", "perceptual", "raw", "table", "words")

__all__ = [
    "MODULES", "AbstractModality", "BrokenSampleError", "of", "open_samples", "scan", "thumbnails",
]  # fmt: skip
