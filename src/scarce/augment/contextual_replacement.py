"""Words that fit the context."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Final, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment._text import as_written, constant, content_at, edits_in, parts_of, seeds, stop_words
from scarce.dataset import Floats
from scarce.errors import ConfigError
from scarce.extras import need
from scarce.hub import fetching
from scarce.recipe import Params

Fill = Callable[[str, str], list[tuple[str, float]]]
"""The text before a word and the text after it to whole words that fit, likeliest first, with their probabilities."""
NOT_HERE: Final = "give the path of a masked language model on disk, or load it once while online"


@final
@dataclass(frozen=True, kw_only=True)
class ContextualReplacement(AbstractOperation):
    """Replace a few words by others that a masked language model finds likely there.

    Use when a masked language model of the language is at hand: its words fit the sentence, a thesaurus's may not.
    Do not use when the label hangs on single words: "good" and "bad" fit the same places.
    Needs: texts; the extra text, and a masked language model (BERT and its kin) on disk or on the hub.
    Writes: parameters model, n, share, top, kept, seed.
    Source: Kobayashi 2018, contextual augmentation (theirs is conditioned on the label).

    Args:
        model: name on the hub or path.
        n: words that are replaced.
        share: or this share of the text's words, where that is more.
        top: how many of the likeliest words are drawn from, by their probabilities.
        kept: file with the words that stay, one a line; empty = English stop words.
    """

    modality: ClassVar[str] = "text"
    uniforms: ClassVar[int] = 1
    extra: ClassVar[str | None] = "text"

    model: str = "distilbert/distilbert-base-uncased"
    n: int = 1
    share: float = 0.0
    top: int = 10
    kept: str = ""

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("n", self.n, 1, 1000)
        self.check("share", self.share, 0.0, 1.0)
        self.check("top", self.top, 1, 10_000)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the seed and the settings."""
        numbers = {name: constant(uniform, getattr(self, name)) for name in ("n", "share", "top")}
        return {"model": self.model, "kept": self.kept, **numbers, "seed": seeds(uniform[:, 0])}

    def ready(self) -> None:
        """Load the model and the stop words."""
        masked_model(self.model, self.top)
        stop_words(self.kept)

    def alter(self, sample: Any, params: Params, other: Any = None) -> str:  # noqa: ARG002  one hook for all
        """Return the text with other words."""
        n = edits_in(str(sample), params)
        fill, kept = masked_model(str(params["model"]), int(params["top"])), stop_words(str(params["kept"]))
        return replace_in_context(str(sample), fill, n=n, seed=params["seed"], kept=kept)


def replace_in_context(text: str, fill: Fill, *, n: int = 1, seed: int, kept: frozenset[str] | None = None) -> str:
    """Return a text with n words replaced by others that fit their places.

    Args:
        text: words split by blanks.
        fill: gives likely words for a gap, see :func:`masked_model`.
        n: how many words; fewer where nothing else fits.
        seed: which words and by which.
        kept: words that stay, case folded; None = English stop words.
    """
    parts, rng = parts_of(text), np.random.default_rng(seed)
    places = rng.permutation(content_at(parts, stop_words() if kept is None else kept)).astype(int).tolist()
    done = 0
    for place in places:
        word = parts[place]
        found = fill("".join(parts[:place]), "".join(parts[place + 1 :]))
        found = [(other, chance) for other, chance in found if other.casefold() != word.casefold()]
        if not found:
            continue
        chances = np.array([chance for _, chance in found])
        chosen = found[int(rng.choice(len(found), p=chances / chances.sum()))][0]
        parts[place] = as_written(chosen, word)
        done += 1
        if done == n:
            break
    return "".join(parts)


@lru_cache(maxsize=2)
def masked_model(model: str, top: int = 10) -> Fill:
    """Return the function that fills a gap with a masked language model of transformers.

    Args:
        model: name on the hub or path.
        top: how many words it looks at; parts of words and signs among them are left out.

    Raises:
        ConfigError: the model cannot be loaded, or has no mask.
        MissingExtraError: transformers is not installed.
    """
    transformers, torch = need("transformers", extra="text"), need("torch", extra="train")
    try:
        with fetching(model):
            tokenizer = transformers.AutoTokenizer.from_pretrained(model)
            network = transformers.AutoModelForMaskedLM.from_pretrained(model).eval()
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        what = f"the model {model!r} cannot be loaded ({str(error)[:200]})"
        raise ConfigError("augment.contextual_replacement", what, do=NOT_HERE) from error
    if tokenizer.mask_token_id is None:
        raise ConfigError("augment.contextual_replacement", f"the model {model!r} has no mask token", do=NOT_HERE)

    def fill(before: str, after: str) -> list[tuple[str, float]]:
        tokens = tokenizer(before + tokenizer.mask_token + after, return_tensors="pt", truncation=True)
        at = (tokens["input_ids"][0] == tokenizer.mask_token_id).nonzero()
        if not len(at):
            return []
        with torch.inference_mode():
            chances = network(**tokens).logits[0, int(at[0])].softmax(-1)
        likely = chances.topk(min(top, len(chances)))
        pairs = zip(likely.indices.tolist(), likely.values.tolist(), strict=True)
        words = [(_whole_word(tokenizer, token), chance) for token, chance in pairs]
        return [(word, chance) for word, chance in words if word]

    return fill


def _whole_word(tokenizer: Any, token: int) -> str:
    """Return the word of a token, empty where it is a part of one, a sign or special."""
    if token in tokenizer.all_special_ids:
        return ""
    written = str(tokenizer.convert_ids_to_tokens(token))
    word = str(tokenizer.decode([token])).strip()
    starts = not written.startswith("##")
    return word if starts and word.isalpha() else ""
