"""Words of a text, and which of them may be changed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from scarce.dataset import Floats
from scarce.errors import ReadError
from scarce.recipe import Params

_PART = re.compile(r"\s+|\w+(?:['’.\-]\w+)*|[^\w\s]")
_WORD = re.compile(r"\w")
SHORTEST = 2
"""Words of fewer characters are not replaced, unless their script has no letters (one sign can be a word)."""


def parts_of(text: str) -> list[str]:
    """Return words, blanks and other signs in order; joined they give the text."""
    return _PART.findall(text)


def words_at(parts: Sequence[str]) -> list[int]:
    """Return the places of the words among the parts."""
    return [place for place, part in enumerate(parts) if _WORD.match(part)]


def content_at(parts: Sequence[str], kept: frozenset[str]) -> list[int]:
    """Return the places of the words that may be replaced: no stop words, no numbers, no single letters."""
    return [
        place
        for place in words_at(parts)
        if parts[place].casefold() not in kept
        and not parts[place].isdigit()
        and (len(parts[place]) >= SHORTEST or not parts[place].isascii())
    ]


@lru_cache(maxsize=8)
def stop_words(where: str = "") -> frozenset[str]:
    """Return the words that stay: those of a file with one word a line, or scikit-learn's English list and "n't".

    Args:
        where: path of the file; empty = the English list.

    Raises:
        ReadError: the file cannot be read.
    """
    if not where:
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

        return frozenset(ENGLISH_STOP_WORDS) | _NEGATIONS
    try:
        lines = Path(where).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError("augment", f"the stop words {where} cannot be read ({error})",
                        do="write one word a line, in UTF-8") from error  # fmt: skip
    return frozenset(line.strip().casefold() for line in lines if line.strip())


_NEGATIONS = frozenset(
    """n't can't don't doesn't didn't isn't aren't wasn't weren't won't wouldn't couldn't shouldn't haven't hasn't
    hadn't ain't does did""".split()
)
"""What scikit-learn's list lacks: its own words are cut at the apostrophe."""


def as_written(word: str, like: str) -> str:
    """Return a word in the case of another: Word, WORD or word."""
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word[:1].upper() + word[1:] if like[:1].isupper() else word


def edits_in(text: str, params: Params) -> int:
    """Return how many edits drawn parameters mean: ``n``, or the ``share`` of the text's words where that is more."""
    return max(int(params["n"]), int(params["share"] * len(words_at(parts_of(text)))))


def seeds(uniform: Floats) -> Any:
    """Return (N,) whole numbers, seeds of what is drawn when a recipe is replayed, from (N,) numbers in [0, 1)."""
    return (uniform * 2**31).astype(np.int64)


def constant(uniform: Floats, value: float) -> Any:
    """Return (N,) equal numbers for the N rows of ``uniform``."""
    return np.full(len(uniform), value)
