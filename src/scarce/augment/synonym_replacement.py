"""Other words for the same thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment._lexicon import Synonyms, edited, lexicon
from scarce.augment._text import as_written, constant, content_at, parts_of, seeds, stop_words
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class SynonymReplacement(AbstractOperation):
    """Replace a few words by synonyms from WordNet or from a list.

    Use when the class is a topic or an intent and there are some hundred texts or fewer.
    Do not use when single words decide (names, parts, error codes): a synonym in general is none in your trade.
    Needs: texts with blanks between words. WordNet (Debian's wordnet-base, NLTK's data), or a list.
    Writes: parameters n, share, lexicon, kept, seed (of which words and which synonyms).
    Source: Wei and Zou 2019, EDA; Fellbaum 1998, WordNet.

    Args:
        n: words that are replaced, all their occurrences.
        share: or this share of the text's words, where that is more.
        lexicon: auto (English WordNet), a WordNet folder, a list of synonyms, nltk:fra or wn:ko.
        kept: file with the words that stay, one a line; empty = English stop words.
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
        """Return the text with other words."""
        return edited(replace_words, str(sample), params)


def replace_words(text: str, synonyms: Synonyms, *, n: int = 1, seed: int, kept: frozenset[str] | None = None) -> str:
    """Return a text with n different words replaced by one of their synonyms; the case follows.

    Args:
        text: words split by blanks.
        synonyms: a word to its synonyms.
        n: how many different words; fewer where fewer have synonyms.
        seed: which words and which synonyms.
        kept: words that stay, case folded; None = English stop words.
    """
    parts, rng = parts_of(text), np.random.default_rng(seed)
    places = content_at(parts, stop_words() if kept is None else kept)
    names = list(dict.fromkeys(parts[place].casefold() for place in places))
    done = 0
    for index in rng.permutation(len(names)).tolist():
        found = synonyms(names[index])
        if not found:
            continue
        chosen = found[int(rng.integers(len(found)))]
        for place in places:
            if parts[place].casefold() == names[index]:
                parts[place] = as_written(chosen, parts[place])
        done += 1
        if done == n:
            break
    return "".join(parts)
