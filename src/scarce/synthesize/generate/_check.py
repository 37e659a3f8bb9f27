"""What every generated sample must be before anything else looks at it: whole, not empty, and no copy."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from scarce.dataset import Array
from scarce.synthesize.generate._base import Made
from scarce.synthesize.generate._journal import content_key

LEAST_PIXELS: Final = 8
LEAST_CONTRAST: Final = 1.0
"""Standard deviation in gray levels below which a picture shows nothing."""
NEAR: Final = 0.85
"""Texts whose character 4-grams have at least this cosine are copies."""
BLOCK: Final = 256
"""Generated texts that are stacked for one product."""


class Copies:
    """The texts that must not come again: real ones and accepted ones. Memory grows with their number, not its square.

    Args:
        texts: the real ones.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        self._grams: Any = HashingVectorizer(analyzer="char_wb", ngram_range=(4, 4), n_features=2**20,
                                             alternate_sign=False, preprocessor=plain_text)  # fmt: skip
        known = list(texts)
        self._plain = {kind: set[str]() for kind in ("real", "generated")}
        self._plain["real"].update(map(plain_text, known))
        self._blocks: list[tuple[str, Any]] = [("real", self._grams.transform(known))] if known else []
        self._fresh: list[Any] = []

    def add(self, text: str) -> None:
        """Take in a generated text; blocks of them are compared at once."""
        from scipy.sparse import vstack

        self._plain["generated"].add(plain_text(text))
        self._fresh.append(self._grams.transform([text]))
        if len(self._fresh) == BLOCK:
            self._blocks.append(("generated", vstack(self._fresh, format="csr")))
            self._fresh = []

    def find(self, text: str) -> str:
        """Return which kind of text this one is a copy of: real, generated or, where it is none, empty."""
        plain = plain_text(text)
        for kind, known in self._plain.items():
            if plain in known:
                return kind
        row = self._grams.transform([text])
        for kind, block in (*self._blocks, *(("generated", fresh) for fresh in self._fresh)):
            likeness = block @ row.T
            if likeness.nnz and likeness.max() >= NEAR:
                return kind
        return ""


def plain_text(text: str) -> str:
    """Return a text in one case, with one kind of blank and without marks around it."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip(" \t\"'.!").casefold()


def fault(made: Made, seen: set[str], copies: Copies | None) -> str:
    """Return why a sample cannot be used; empty if nothing is wrong."""
    if made.refused:
        return made.refused
    if content_key(made.content) in seen:
        return "the same came before"
    return (
        _text_fault(made.content, copies) if isinstance(made.content, str) else _picture_fault(made.content, made.mask)
    )


def _text_fault(text: str, copies: Copies | None) -> str:
    if len(plain_text(text)) < 2:
        return "the text is empty"
    kind = copies.find(text) if copies is not None else ""
    return f"a copy of a {kind} text" if kind else ""


def _picture_fault(picture: Array, mask: Array | None) -> str:
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or min(picture.shape[:2], default=0) < LEAST_PIXELS:
        return f"broken picture: {picture.dtype} {picture.shape}"
    if float(picture.std()) < LEAST_CONTRAST:
        return "the picture shows nothing"
    if mask is None:
        return ""
    if mask.shape != picture.shape[:2]:
        return f"the mask is {mask.shape}, the picture {picture.shape[:2]}"
    return "" if mask.any() else "no pixel of the defect is to be seen"
