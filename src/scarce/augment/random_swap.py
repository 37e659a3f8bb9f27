"""Two words change places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment._text import constant, edits_in, parts_of, seeds, words_at
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class RandomSwap(AbstractOperation):
    """Swap two random words.

    Use when which words occur decides and their order does not.
    Do not use when the model sees single words only: it cannot tell the copy from the original.
    Needs: texts with blanks between words.
    Writes: parameters n, share, seed.
    Source: Wei and Zou 2019, EDA.

    Args:
        n: swaps.
        share: or this share of the text's words, where that is more.
    """

    modality: ClassVar[str] = "text"
    uniforms: ClassVar[int] = 1

    n: int = 1
    share: float = 0.0

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("n", self.n, 1, 1000)
        self.check("share", self.share, 0.0, 1.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the seed and the settings."""
        return {"n": constant(uniform, self.n), "share": constant(uniform, self.share), "seed": seeds(uniform[:, 0])}

    def alter(self, sample: Any, params: Params, other: Any = None) -> str:  # noqa: ARG002  one hook for all
        """Return the text in another order."""
        return swap_words(str(sample), n=edits_in(str(sample), params), seed=params["seed"])


def swap_words(text: str, *, n: int = 1, seed: int) -> str:
    """Return a text in which n times two different places swapped their words; blanks and signs stay."""
    parts, rng = parts_of(text), np.random.default_rng(seed)
    words = words_at(parts)
    for _ in range(n if len(words) > 1 else 0):
        one, two = (words[place] for place in rng.choice(len(words), 2, replace=False).tolist())
        parts[one], parts[two] = parts[two], parts[one]
    return "".join(parts)
