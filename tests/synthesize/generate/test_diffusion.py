"""A real pipeline with random weights, built here: what it paints is noise, but the way is the way of a real model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scarce import modality
from scarce.errors import ConfigError, MissingExtraError, ReadError
from scarce.extras import available
from scarce.synthesize import generate
from scarce.synthesize.generate.diffusion import Diffusion

if TYPE_CHECKING:
    from scarce.dataset import Dataset

TINY: dict[str, Any] = {"steps": 2, "size": 32, "device": "cpu"}


def vocabulary(folder: Path) -> None:
    """Write a tokenizer of single bytes, as CLIP's would be without any merge."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: at for at, word in enumerate(words)}), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", "utf-8")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny Stable Diffusion."""
    diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed: pip install 'scarce[synthesize]'")
    torch = pytest.importorskip("torch")
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    folder = tmp_path_factory.mktemp("diffusion")
    vocabulary(folder)
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=514, hidden_size=32, intermediate_size=37, num_attention_heads=4, num_hidden_layers=2,
        bos_token_id=512, eos_token_id=513, pad_token_id=1, max_position_embeddings=77,
    ))  # fmt: skip
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(32, 64), layers_per_block=1, sample_size=16, in_channels=4, out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32, norm_num_groups=8,
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        block_out_channels=(32, 64), in_channels=3, out_channels=3, latent_channels=4, norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    pipe = diffusers.StableDiffusionPipeline(
        vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet,
        scheduler=diffusers.DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipe.save_pretrained(folder / "model", safe_serialization=True)
    return folder / "model"


def pictures(got: generate.Generated) -> list[np.ndarray]:
    return [np.asarray(item) for item in modality.open_samples(got.dataset, got.dataset.rows_of(got.ids))]


@pytest.mark.slow
def test_inpainting_changes_the_masked_part_of_real_photos(pipeline: Path, parts: Dataset, tmp_path: Path) -> None:
    plugin = Diffusion(model=str(pipeline), garments=("trousers",), damages=("a hole", "a stain"), **TINY)
    got = generate.run(parts, plugin, counts={"Bag": 3}, out=tmp_path / "a", seed=1)
    again = generate.run(parts, plugin, counts={"Bag": 3}, out=tmp_path / "b", seed=1)
    other = generate.run(parts, plugin, counts={"Bag": 3}, out=tmp_path / "c", seed=2)
    for one, two in zip(pictures(got), pictures(again), strict=True):
        np.testing.assert_array_equal(one, two)
    assert got.ids == again.ids
    assert not set(got.ids) & set(other.ids)
    ds = got.dataset
    for row, made in zip(ds.rows_of(got.ids), pictures(got), strict=True):
        import cv2

        (parent,) = ds.table["parents"][int(row)].as_py()
        before = np.asarray(modality.open_samples(ds, ds.rows_of([parent]))[0])
        mask = cv2.imread(str(tmp_path / "a" / ds["mask_uri"][row]), cv2.IMREAD_GRAYSCALE) > 127
        changed = np.abs(made.astype(int) - before[..., None]).max(axis=2) >= 12
        np.testing.assert_array_equal(mask, changed)
    assert set(ds["meta.damage"][ds.rows_of(got.ids)]) == {"a hole", "a stain"}
    assert len(set(ds["meta.revision"][ds.rows_of(got.ids)])) == 1


@pytest.mark.slow
def test_from_words_and_from_a_photo(pipeline: Path, parts: Dataset, tmp_path: Path) -> None:
    text = Diffusion(model=str(pipeline), mode="text", **TINY)
    got = generate.run(parts, text, counts={"Bag": 2}, out=tmp_path / "t")
    assert [picture.shape for picture in pictures(got)] == [(32, 32, 3)] * 2
    assert not any(map(len, got.dataset.table["parents"].take(got.dataset.rows_of(got.ids)).to_pylist()))
    image = Diffusion(model=str(pipeline), mode="image", strength=0.5, **TINY)
    got = generate.run(parts, image, counts={"Bag": 2}, out=tmp_path / "i")
    assert got.accepted == {"Bag": 2}
    assert all(map(len, got.dataset.table["parents"].take(got.dataset.rows_of(got.ids)).to_pylist()))


@pytest.mark.slow
def test_lora_weights_change_what_is_painted(pipeline: Path, parts: Dataset, tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="peft is not installed: LoRA weights need it")
    import diffusers
    import torch
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    pipe = diffusers.StableDiffusionPipeline.from_pretrained(str(pipeline))
    torch.manual_seed(1)
    pipe.unet.add_adapter(LoraConfig(r=4, init_lora_weights=False, target_modules=["to_q", "to_k", "to_v"]))
    diffusers.StableDiffusionPipeline.save_lora_weights(tmp_path / "lora", get_peft_model_state_dict(pipe.unet))
    plain = Diffusion(model=str(pipeline), mode="text", **TINY)
    tuned = replace(plain, lora=str(tmp_path / "lora"))
    half = replace(tuned, lora_scale=0.5)
    made = [
        pictures(generate.run(parts, plugin, counts={"Bag": 1}, out=tmp_path / name))[0].astype(int)
        for name, plugin in (("plain", plain), ("tuned", tuned), ("half", half))
    ]
    assert np.abs(made[0] - made[1]).max() > 0
    assert np.abs(made[1] - made[2]).max() > 0


@pytest.mark.slow
def test_a_model_that_fails_half_way_leaves_what_was_finished(
    pipeline: Path, parts: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import diffusers

    plugin = Diffusion(model=str(pipeline), mode="text", **TINY)
    true, calls = diffusers.StableDiffusionPipeline.__call__, []

    def failing(self: Any, *args: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("CUDA out of memory")
        return true(self, *args, **more)

    failing.__signature__ = __import__("inspect").signature(true)  # type: ignore[attr-defined]
    monkeypatch.setattr(diffusers.StableDiffusionPipeline, "__call__", failing)
    got = generate.run(parts, plugin, counts={"Bag": 3}, out=tmp_path / "g")
    assert got.failed
    assert "out of memory" in got.stopped
    assert got.accepted == {"Bag": 1}
    assert generate.run(parts, plugin, counts={"Bag": 3}, out=tmp_path / "g").accepted == {"Bag": 3}


@pytest.mark.slow
def test_models_that_cannot_be_loaded_are_named(pipeline: Path, parts: Dataset, tmp_path: Path) -> None:
    def run(**more: Any) -> None:
        generate.run(parts, Diffusion(**more), counts={"Bag": 1}, out=tmp_path / "g")

    (tmp_path / "empty").mkdir()
    with pytest.raises(ReadError, match="cannot be loaded"):
        run(model=str(tmp_path / "empty"))
    with pytest.raises(ReadError, match="LoRA"):
        run(model=str(pipeline), lora=str(tmp_path / "empty"))
    with pytest.raises(ConfigError, match="mistake"):
        run(model=str(pipeline), mode="text", templates=("a {mistake}",), **TINY)


def test_settings_out_of_range_and_a_missing_package(parts: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="strength"):
        Diffusion(strength=0.0)
    with pytest.raises(ConfigError, match="multiple of 8"):
        Diffusion(size=100)
    with pytest.raises(ConfigError, match="model is empty"):
        generate.run(parts, "diffusion", counts={"Bag": 1}, out=tmp_path / "g")
    assert (Diffusion().steps, Diffusion().guidance) == (50, 7.5)
    if not available("diffusers"):
        with pytest.raises(MissingExtraError, match=r"scarce\[synthesize\]"):
            generate.run(parts, Diffusion(model="m"), counts={"Bag": 1}, out=tmp_path / "m")
