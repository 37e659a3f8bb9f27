"""There and back through another language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

from scarce.augment._base import AbstractOperation
from scarce.augment._text import constant, seeds
from scarce.augment._translator import translator
from scarce.dataset import Floats
from scarce.errors import ConfigError
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class BackTranslation(AbstractOperation):
    """Translate a text to another language and back: a paraphrase.

    Use when translation models of the language are at hand and the label is in the meaning.
    Do not use when wording is the label (dialect, style, spelling), or terms of a trade must not change.
    Needs: texts; the extra text, and translation models (MarianMT, T5, M2M100, NLLB ...) on disk or on the hub.
    Writes: parameters model, language, pivot, prefix, temperature, seed.
    Source: Sennrich, Haddow and Birch 2016; Edunov et al. 2018 (sampling in place of the likeliest translation).

    Args:
        model: name on the hub or path; {source} and {target} are replaced by the languages.
        language: of the texts, as the model calls it.
        pivot: the language between.
        prefix: what a text begins with, for models that are told in words: "translate {source} to {target}: ".
        temperature: of sampling on the way back, so that variants differ; 0 = the likeliest words both ways.
    """

    modality: ClassVar[str] = "text"
    uniforms: ClassVar[int] = 1
    extra: ClassVar[str | None] = "text"

    model: str = "Helsinki-NLP/opus-mt-{source}-{target}"
    language: str = "en"
    pivot: str = "fr"
    prefix: str = ""
    temperature: float = 0.7

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("temperature", self.temperature, 0.0, 10.0)
        if not self.model or self.language == self.pivot:
            raise ConfigError("augment.back_translation", f"pivot = {self.pivot!r} is the language of the texts",
                              do="name a model, and another language to go through")  # fmt: skip

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the seed and the settings."""
        held = {name: getattr(self, name) for name in ("model", "language", "pivot", "prefix")}
        return {**held, "temperature": constant(uniform, self.temperature), "seed": seeds(uniform[:, 0])}

    def ready(self) -> None:
        """Load the models there and back."""
        for ends in ((self.language, self.pivot), (self.pivot, self.language)):
            translator(self.model, *ends, self.prefix)

    def alter(self, sample: Any, params: Params, other: Any = None) -> str:  # noqa: ARG002  one hook for all
        """Return the paraphrase."""
        settings = {str(name): value for name, value in params.items() if name != "seed"}
        return translate_back([str(sample)], seeds=[int(params["seed"])], **settings)[0]


def translate_back(  # noqa: PLR0913  the settings of BackTranslation
    texts: list[str], *, seeds: list[int], model: str, language: str = "en", pivot: str = "fr", prefix: str = "",
    temperature: float = 0.7,
) -> list[str]:  # fmt: skip
    """Return texts after the way through another language; an empty translation gives the text itself.

    Args:
        texts: (N,) texts.
        seeds: (N,) seeds of what is sampled on the way back.
        model: see :class:`BackTranslation`, as the rest.
        language: of the texts.
        pivot: the language between.
        prefix: what the model is told before each text.
        temperature: of sampling; 0 = none.

    Raises:
        ConfigError: a model cannot be loaded.
        MissingExtraError: transformers is not installed.
    """
    there = translator(model, language, pivot, prefix)(texts, 0.0, seeds)
    back = translator(model, pivot, language, prefix)(there, temperature, seeds)
    return [found.strip() or text for found, text in zip(back, texts, strict=True)]
