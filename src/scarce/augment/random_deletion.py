"""Words left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment._text import constant, parts_of, seeds, stop_words, words_at
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class RandomDeletion(AbstractOperation):
    """Leave out each word with a small probability.

    Use when texts have words to spare; a regularizer like dropout on the input.
    Do not use when one word turns the label ("not"): name it in ``kept``.
    Needs: texts with blanks between words.
    Writes: parameters share, kept, seed.
    Source: Wei and Zou 2019, EDA.

    Args:
        share: probability of each word.
        kept: file with words that are never left out, one a line; empty = any word may be, as in EDA.
    """

    modality: ClassVar[str] = "text"
    uniforms: ClassVar[int] = 1

    share: float = 0.1
    kept: str = ""

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("share", self.share, 0.0, 1.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the seed and the settings."""
        return {"share": constant(uniform, self.share), "kept": self.kept, "seed": seeds(uniform[:, 0])}

    def alter(self, sample: Any, params: Params, other: Any = None) -> str:  # noqa: ARG002  one hook for all
        """Return the shorter text."""
        kept = stop_words(str(params["kept"])) if params["kept"] else frozenset[str]()
        return delete_words(str(sample), share=params["share"], seed=params["seed"], kept=kept)


def delete_words(text: str, *, share: float = 0.1, seed: int, kept: frozenset[str] = frozenset()) -> str:
    """Return a text without a random share of its words; one always stays.

    Args:
        text: words split by blanks.
        share: probability of each word.
        seed: which words.
        kept: words that always stay, case folded.
    """
    parts, rng = parts_of(text), np.random.default_rng(seed)
    words = words_at(parts)
    gone = {word for word, draw in zip(words, rng.random(len(words)), strict=True)
            if draw < share and parts[word].casefold() not in kept}  # fmt: skip
    if words and len(gone) == len(words):
        gone.discard(words[int(rng.integers(len(words)))])
    found: list[str] = []
    for place, part in enumerate(parts):
        after_gap = part.isspace() and (not found or found[-1].isspace())
        if place not in gone and not (after_gap and place - 1 in gone):
            found.append(part)
    return "".join(found)
