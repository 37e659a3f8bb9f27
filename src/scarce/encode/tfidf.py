"""Hashed word and character n-grams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.encode._base import AbstractEncoder

SLOTS = 2**20
WORD = r"(?u)\b\w+\b|[!?]"


@final
@dataclass(frozen=True, kw_only=True)
class Tfidf(AbstractEncoder):
    """Word and character n-grams, hashed and randomly projected; learns nothing, so it cannot leak.

    Use when samples are texts of any language and no language model is at hand; strong for topics, fair for sentiment.
    Do not use when word order or meaning decides: take a sentence encoder.
    Needs: str.
    Writes: embedding.tfidf (N, 2 x half) float32: words and word pairs, then character 3- to 5-grams inside words, each
    half of length 1. Counts are damped (1 + log); there is no inverse document frequency, which would have to be
    counted over the data: the probe's standardization takes its place.
    Source: Weinberger et al. 2009 (feature hashing), Li, Hastie and Church 2006 (very sparse random projections).

    Args:
        half: width of each half.
    """

    modalities: ClassVar[tuple[str, ...]] = ("text",)

    half: int = 2048

    def embed(self, batch: Sequence[Array | str]) -> Floats:
        """Return (B, 2 x half) features of texts."""
        return hashed_ngrams([str(text) for text in batch], half=self.half)


def hashed_ngrams(texts: Sequence[str], *, half: int = 2048) -> Floats:
    """Return (B, 2 x half) float32 features of texts; see :class:`Tfidf`."""
    return np.concatenate([_projected(counter.transform(texts), half) for counter in _counters()], axis=1)


@lru_cache(maxsize=1)
def _counters() -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import HashingVectorizer

    shared = {"n_features": SLOTS, "alternate_sign": False, "norm": None, "dtype": np.float32}
    words = HashingVectorizer(analyzer="word", ngram_range=(1, 2), token_pattern=WORD, **shared)
    return words, HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), **shared)


def _projected(counts: Any, width: int) -> Floats:
    """Return (B, width): each slot of (B, SLOTS) sparse counts goes to one column with a sign, rows at length 1."""
    value = 1 + np.log(counts.data)
    mixed = counts.indices.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    sign = np.where(mixed & np.uint64(1), 1.0, -1.0)
    column = ((mixed >> np.uint64(1)) % np.uint64(width)).astype(np.int64)
    row = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    flat = np.bincount(row * width + column, value * sign, minlength=counts.shape[0] * width)
    out = flat.reshape(-1, width)
    length = np.linalg.norm(out, axis=1, keepdims=True)
    return np.asarray(out / np.maximum(length, 1e-9), np.float32)
