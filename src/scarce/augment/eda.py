"""The four small edits, one for each variant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

from scarce.augment._base import AbstractOperation
from scarce.augment._lexicon import Synonyms, edited, lexicon
from scarce.augment._text import constant, edits_in, seeds, stop_words
from scarce.augment.random_deletion import delete_words
from scarce.augment.random_insertion import insert_words
from scarce.augment.random_swap import swap_words
from scarce.augment.synonym_replacement import replace_words
from scarce.dataset import Floats
from scarce.recipe import Params

EDITS = ("replace", "insert", "swap", "delete")


@final
@dataclass(frozen=True, kw_only=True)
class Eda(AbstractOperation):
    """Apply one of EDA's four edits: synonym replacement, insertion, swap or deletion.

    Use when there are some hundred labelled texts and no translation or language model at hand; four variants a text.
    Do not use when there are thousands of texts, or with a large language model: there it rarely helps.
    Needs: texts with blanks between words, and synonyms as synonym_replacement does.
    Writes: parameters edit (place in :data:`EDITS`), n, share, deletion, lexicon, kept, seed.
    Source: Wei and Zou 2019, EDA. Unlike theirs, case, signs and numbers of the text stay as they are.

    Args:
        n: words of a replacement, insertion or swap.
        share: or this share of the text's words, where that is more (theirs: 0.05 at 500 texts, 0.1 above).
        deletion: probability of each word in a deletion.
        lexicon: auto (English WordNet), a WordNet folder, a list of synonyms, nltk:fra or wn:ko.
        kept: file with the words that are never replaced, one a line; empty = English stop words.
    """

    modality: ClassVar[str] = "text"
    uniforms: ClassVar[int] = 2

    n: int = 1
    share: float = 0.0
    deletion: float = 0.1
    lexicon: str = "auto"
    kept: str = ""

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("n", self.n, 1, 1000)
        self.check("share", self.share, 0.0, 1.0)
        self.check("deletion", self.deletion, 0.0, 1.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return which edit, the seed and the settings."""
        numbers = {"n": self.n, "share": self.share, "deletion": self.deletion}
        drawn = {"edit": (uniform[:, 0] * len(EDITS)).astype("int64"), "seed": seeds(uniform[:, 1])}
        held = {"lexicon": self.lexicon, "kept": self.kept}
        return {**{name: constant(uniform, value) for name, value in numbers.items()}, **held, **drawn}

    def ready(self) -> None:
        """Load the synonyms and the stop words."""
        lexicon(self.lexicon)
        stop_words(self.kept)

    def alter(self, sample: Any, params: Params, other: Any = None) -> str:  # noqa: ARG002  one hook for all
        """Return the edited text."""
        text, edit, seed = str(sample), EDITS[int(params["edit"])], int(params["seed"])
        if edit == "delete":
            return delete_words(text, share=params["deletion"], seed=seed)
        if edit == "swap":
            return swap_words(text, n=edits_in(text, params), seed=seed)
        return edited(replace_words if edit == "replace" else insert_words, text, params)


def vary(
    text: str, synonyms: Synonyms, *, variants: int = 4, n: int = 1, deletion: float = 0.1, seed: int
) -> list[str]:
    """Return variants of a text, the four edits in turn.

    Args:
        text: words split by blanks.
        synonyms: a word to its synonyms.
        variants: how many; equal ones and the text itself may be among those of a very short text.
        n: words of a replacement, insertion or swap.
        deletion: probability of each word in a deletion.
        seed: of everything drawn.
    """
    made = []
    for turn in range(variants):
        own = seed * 1_000_003 + turn
        edit = EDITS[turn % len(EDITS)]
        if edit == "delete":
            made.append(delete_words(text, share=deletion, seed=own))
        elif edit == "swap":
            made.append(swap_words(text, n=n, seed=own))
        else:
            made.append((replace_words if edit == "replace" else insert_words)(text, synonyms, n=n, seed=own))
    return made
