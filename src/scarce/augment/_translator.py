"""Translation models of transformers, loaded once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from scarce.errors import ConfigError
from scarce.extras import need
from scarce.hub import fetching

Translate = Callable[[list[str], float, list[int]], list[str]]
"""Texts, temperature (0 = the likeliest) and seeds to translations."""
LONGEST: Final = 512
"""Tokens of a text; what is longer is cut."""
BEAMS: Final = 4


@lru_cache(maxsize=4)
def translator(model: str, source: str, target: str, prefix: str) -> Translate:
    """Return the function that translates from one language to another.

    Args:
        model: hub name or path with {source} and {target}.
        source: language of the texts.
        target: language that is wanted.
        prefix: what each text begins with, with {source} and {target}.

    Raises:
        ConfigError: the model cannot be loaded.
        MissingExtraError: transformers is not installed.
    """
    name = model.replace("{source}", source).replace("{target}", target)
    start = prefix.replace("{source}", source).replace("{target}", target)
    transformers = need("transformers", extra="text")
    try:
        with fetching(name):
            tokenizer = transformers.AutoTokenizer.from_pretrained(name, **_languages(source, target))
            network = transformers.AutoModelForSeq2SeqLM.from_pretrained(name).eval()
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise ConfigError("augment.back_translation", f"the model {name!r} cannot be loaded ({str(error)[:200]})",
                          do="give the path of a model on disk, or load it once while online") from error  # fmt: skip
    return _network(network, tokenizer, start, target)


def _languages(source: str, target: str) -> dict[str, str]:
    """Return what tokenizers of models of many languages are told (NLLB: eng_Latn, mBART: en_XX)."""
    return {"src_lang": source, "tgt_lang": target} if "_" in source and "_" in target else {}


def _network(network: Any, tokenizer: Any, start: str, target: str) -> Translate:
    torch = need("torch", extra="train")
    own = tokenizer.convert_tokens_to_ids(target) if hasattr(tokenizer, "src_lang") else None
    room = min(LONGEST, getattr(network.config, "max_position_embeddings", LONGEST + 1) - 1)
    forced = {} if own is None else {"forced_bos_token_id": own}

    def run(texts: list[str], temperature: float, seeds: list[int]) -> list[str]:
        found = []
        for text, seed in zip(texts, seeds, strict=True):  # one by one, so that a text's neighbors change nothing
            tokens = tokenizer([start + text], return_tensors="pt", truncation=True, max_length=room)
            tokens.pop("token_type_ids", None)
            drawn = {"do_sample": True, "temperature": temperature, "num_beams": 1, "top_k": 50}
            how = drawn if temperature else {"do_sample": False, "num_beams": BEAMS}
            with torch.random.fork_rng(devices=[]), torch.inference_mode():
                torch.manual_seed(seed)
                made = network.generate(
                    **tokens, **how, **forced, max_new_tokens=min(room, 2 * tokens["input_ids"].shape[1] + 16)
                )
            found.append(str(tokenizer.decode(made[0], skip_special_tokens=True)))
        return found

    return run
