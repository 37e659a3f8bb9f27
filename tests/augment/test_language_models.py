"""Translation and masked language models: tiny real checkpoints, built here, loaded as users' are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scarce.augment.policy import build
from scarce.errors import ConfigError

pytestmark = pytest.mark.slow
WORDS = "the film is good bad movie le cinema est bon mauvais great fine".split()


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: place for place, word in enumerate(["<pad>", "</s>", "<unk>", "<mask>", *WORDS])}
    body = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    body.pre_tokenizer = pre_tokenizers.Whitespace()
    body.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=body, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", mask_token="<mask>"
    )


@pytest.fixture(scope="module")
def marian(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two MarianMT checkpoints, en-fr and fr-en."""
    import torch
    from transformers import MarianConfig, MarianMTModel

    folder = tmp_path_factory.mktemp("marian")
    for seed, name in enumerate(("en-fr", "fr-en")):
        torch.manual_seed(seed)
        config = MarianConfig(
            vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, pad_token_id=0, eos_token_id=1,
            decoder_start_token_id=0, forced_eos_token_id=1, max_position_embeddings=24, init_std=1.0,
        )  # fmt: skip
        model = MarianMTModel(config)
        model.final_logits_bias[0, :4] = -20.0  # words only
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return str(folder / "{source}-{target}")


def test_back_translation_gives_what_the_two_models_give(marian: str, tokenizer: Any) -> None:
    import torch
    from transformers import MarianMTModel

    from scarce.augment.back_translation import translate_back

    text = "the film is good"
    found = translate_back([text, "bad movie"], seeds=[1, 2], model=marian, temperature=0.0)
    for name in ("en-fr", "fr-en"):
        model = MarianMTModel.from_pretrained(marian.replace("{source}-{target}", name)).eval()
        tokens = tokenizer([text], return_tensors="pt")
        tokens.pop("token_type_ids", None)
        with torch.inference_mode():
            made = model.generate(
                **tokens, num_beams=4, do_sample=False, max_new_tokens=min(23, 2 * tokens["input_ids"].shape[1] + 16)
            )
        text = tokenizer.decode(made[0], skip_special_tokens=True)
    assert found[0] == text
    assert set(" ".join(found).split()) <= set(WORDS)
    assert (
        translate_back(["bad movie"], seeds=[7], model=marian, temperature=0.0) == found[1:]
    )  # neighbors change nothing


def test_sampled_variants_differ_and_come_back_from_their_recipe(marian: str) -> None:
    from scarce.recipe import render

    policy = build([("back_translation", {"model": marian, "temperature": 2.0})])
    recipes = [policy.recipe("a", copy=copy) for copy in range(4)]
    made = [render(recipe, lambda _: "the film is good") for recipe in recipes]
    assert len(set(made)) > 1
    assert made == [render(recipe, lambda _: "the film is good") for recipe in recipes]


def test_a_model_that_is_missing_is_said_before_anything_is_made(tmp_path: Path) -> None:
    policy = build([("back_translation", {"model": str(tmp_path / "none")})])
    with pytest.raises(ConfigError, match="cannot be loaded"):
        policy.operations[0].ready()
    with pytest.raises(ConfigError, match="cannot be loaded"):
        build([("contextual_replacement", {"model": str(tmp_path / "none")})]).operations[0].ready()
    with pytest.raises(ConfigError, match="language of the texts"):
        build([("back_translation", {"pivot": "en"})])


def test_contextual_replacement_takes_the_models_words(tokenizer: Any, tmp_path: Path) -> None:
    import torch
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, pad_token_id=0,
    )  # fmt: skip
    model = BertForMaskedLM(config)
    with torch.no_grad():
        for word in ("great", "fine"):
            model.cls.predictions.bias[tokenizer.convert_tokens_to_ids(word)] = 20.0
        model.cls.predictions.bias[1] = 30.0  # the likeliest is no word
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    policy = build([("contextual_replacement", {"model": str(tmp_path), "top": 3})])
    import numpy as np

    made = {policy.alter("the Film is good .", np.random.default_rng(seed)) for seed in range(20)}
    assert made <= {"the Great is good .", "the Fine is good .", "the Film is great .", "the Film is fine ."}
    assert len(made) > 2
    assert policy.alter("the is .", np.random.default_rng(0)) == "the is ."
