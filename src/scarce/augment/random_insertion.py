"""A synonym of a word of the text, somewhere in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment._lexicon import Synonyms, edited, lexicon
from scarce.augment._text import constant, content_at, parts_of, seeds, stop_words, words_at
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class RandomInsertion(AbstractOperation):
    """Insert a synonym of a word of the text at a random place.

    Use when the model counts words: the topic is kept and told once more.
    Do not use when grammar is judged, or for language models that read whole sentences.
    Needs: texts with blanks between words, and synonyms as synonym_replacement does.
    Writes: parameters n, share, lexicon, kept, seed.
    Source: Wei and Zou 2019, EDA.

    Args:
        n: words that are inserted.
        share: or this share of the text's words, where that is more.
        lexicon: auto (English WordNet), a WordNet folder, a list of synonyms, nltk:fra or wn:ko.
        kept: file with the words that are not doubled, one a line; empty = English stop words.
    """

    modality: ClassVar[str] = "text"
    uniforms: ClassVar[int] = 1

    n: int = 1
    share: float = 0.0
    lexicon: str = "auto"
    kept: str = ""

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("n", self.n, 1, 1000)
        self.check("share", self.share, 0.0, 1.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the seed and the settings."""
        held = {"lexicon": self.lexicon, "kept": self.kept}
        return {
            "n": constant(uniform, self.n),
            "share": constant(uniform, self.share),
            **held,
            "seed": seeds(uniform[:, 0]),
        }

    def ready(self) -> None:
        """Load the synonyms and the stop words."""
        lexicon(self.lexicon)
        stop_words(self.kept)

    def alter(self, sample: Any, params: Params, other: Any = None) -> str:  # noqa: ARG002  one hook for all
        """Return the text with more words."""
        return edited(insert_words, str(sample), params)


def insert_words(text: str, synonyms: Synonyms, *, n: int = 1, seed: int, kept: frozenset[str] | None = None) -> str:
    """Return a text with n synonyms of its words inserted before random words or at its end.

    Args:
        text: words split by blanks.
        synonyms: a word to its synonyms.
        n: how many; none where no word has a synonym.
        seed: which words, synonyms and places.
        kept: words that are not doubled, case folded; None = English stop words.
    """
    parts, rng = parts_of(text), np.random.default_rng(seed)
    places = content_at(parts, stop_words() if kept is None else kept)
    known = [found for found in (synonyms(parts[place].casefold()) for place in places) if found]
    for _ in range(n if known else 0):
        found = known[int(rng.integers(len(known)))]
        word = found[int(rng.integers(len(found)))]
        words = words_at(parts)
        turn = int(rng.integers(len(words) + 1))
        if turn == len(words):
            parts[words[-1] + 1 : words[-1] + 1] = [" ", word]
        else:
            parts[words[turn] : words[turn]] = [word, " "]
    return "".join(parts)
