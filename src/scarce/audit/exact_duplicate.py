"""Equal samples: equal pixels, equal bytes, or equal text."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.audit._base import AbstractCheck, Measurement
from scarce.audit._group import equal_stars, told
from scarce.dataset import Dataset


@final
@dataclass(frozen=True, kw_only=True)
class ExactDuplicate(AbstractCheck):
    """Find samples that are equal: the same pixels, bytes or words.

    Use when data was gathered from several places or copied by hand; it is cheap and never wrong.
    Do not use when repeated measurements are meant to be equal (counters, empty scenes); then set it aside in the plan.
    Needs: content_hash or scan.pixel_hash; text is compared after Unicode, case and space are normalized.
    Writes: score (N,) = 1 for members of a group, else 0; group and pair findings, conflicting labels named.

    Args:
        normalize_text: compare words, not bytes.
    """

    needs: ClassVar[tuple[str, ...]] = ("content_hash|scan.pixel_hash",)
    normalize_text: bool = True

    def measure(self, ds: Dataset) -> Measurement:
        """Return groups of equal samples."""
        groups, pairs = equal_stars(self.keys(ds))
        score = np.zeros(len(ds))
        for star in groups:
            score[star.center] = score[star.members] = 1.0
        what = {"text": "the same words", "image": "the same pixels"}.get(ds.schema.modality, "the same content")
        return Measurement(score, told(ds, groups, pairs, np.ones(len(pairs)), lambda _: what))

    def keys(self, ds: Dataset) -> Sequence[object]:
        """Return N values that are equal where the samples are; None = not known."""
        if ds.schema.modality == "text" and self.normalize_text:
            from scarce import modality

            return [normalized(str(text)) or None for text in modality.open_samples(ds, np.arange(len(ds)))]
        content = ds["content_hash"].tolist() if "content_hash" in ds else [None] * len(ds)
        if "scan.pixel_hash" not in ds:
            return content
        shape = [ds[name].tolist() for name in ("scan.width", "scan.height") if name in ds]
        pixels = zip(ds["scan.pixel_hash"].tolist(), *shape, strict=True)
        return [key if key[0] else other for key, other in zip(pixels, content, strict=True)]


def normalized(text: str) -> str:
    """Return the text with Unicode, case and white space made equal."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
