"""Texts."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.dataset import Array
from scarce.lineage import key64
from scarce.modality._base import AbstractModality, BrokenSampleError, Raw, curve


@final
@dataclass(frozen=True, kw_only=True)
class Text(AbstractModality):
    """Texts: a column of a table, or one file each.

    Use when a sample is a sentence, a review, a comment, a document.
    Needs: str.
    Writes: scan.* of shape (N,): length (characters), words, bytes, digits and capitals (shares), text_hash (uint64:
    equal where texts differ in case, blanks and Unicode form only).
    """

    encoders: ClassVar[tuple[str, ...]] = ("tfidf",)
    properties: ClassVar[Mapping[str, Any]] = {
        "length": np.int32, "words": np.int32, "bytes": np.int64, "digits": np.float32, "capitals": np.float32,
        "text_hash": np.uint64,
    }  # fmt: skip

    def decode(self, raw: Raw) -> str:
        """Return the text."""
        if not isinstance(raw, str):
            raise BrokenSampleError("broken: not a text")
        return raw

    def thumbnail(self, sample: Array | str, size: int) -> Array:
        """Return the lengths of the words as a curve; texts are better shown as text."""
        return curve(np.array([len(word) for word in str(sample).split()], np.float32), size)

    def measure(self, raw: Raw) -> dict[str, Any]:
        """Count; see the class."""
        text = self.decode(raw)
        if not text.strip():
            raise BrokenSampleError("empty: no text")
        return {
            "length": len(text), "words": len(text.split()), "bytes": len(text.encode(errors="replace")),
            "digits": sum(map(str.isdigit, text)) / len(text), "capitals": sum(map(str.isupper, text)) / len(text),
            "text_hash": key64(normal_form(text)),
        }  # fmt: skip


def normal_form(text: str) -> str:
    """Return a text without differences of case, blanks and Unicode form."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
