"""Image-text models: the real loading code on tiny checkpoints, held against the packages themselves."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce import encode, io, modality
from scarce.encode.clip import Clip, embed_texts
from scarce.errors import ReadError, UnknownNameError
from scarce.extras import available

sys.path.insert(0, str(Path(__file__).parent))
import tiny_clip

pytestmark = pytest.mark.slow
SENTENCES = ["a photo of the bag", "a black coat with sleeve"]
needs_transformers = pytest.mark.skipif(not available("transformers"), reason="transformers is not installed")
needs_open_clip = pytest.mark.skipif(not available("open_clip"), reason="open_clip is not installed")
WRITERS = {"clip": tiny_clip.write_clip, "siglip": tiny_clip.write_siglip}


def pictures() -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((50, 70, 3), (40, 40), (32, 32, 3))]


@needs_transformers
@pytest.mark.parametrize("kind", WRITERS)
def test_both_sides_equal_those_of_transformers(kind: str, tmp_path: Path) -> None:
    import torch
    import transformers
    from PIL import Image

    folder = WRITERS[kind](tmp_path / kind)
    encoder = Clip(model=str(folder), precision="float32")
    seen, (said, scale) = encoder.embed(pictures()), embed_texts(SENTENCES, encoder)
    model = transformers.AutoModel.from_pretrained(folder)
    size = model.config.text_config.max_position_embeddings
    images = transformers.AutoImageProcessor.from_pretrained(folder)(
        [Image.fromarray(one).convert("RGB") for one in pictures()], return_tensors="pt"
    )
    words = transformers.AutoTokenizer.from_pretrained(folder)(
        SENTENCES, padding="max_length", max_length=size, return_tensors="pt"
    )
    with torch.inference_mode():
        theirs = model(**images, **words)
        shift = float(model.logit_bias) if kind == "siglip" else 0.0
    assert (seen * theirs.image_embeds.numpy()).sum(1).min() > 0.9999
    assert (said * theirs.text_embeds.numpy()).sum(1).min() > 0.9999
    np.testing.assert_allclose(scale * seen @ said.T + shift, theirs.logits_per_image.numpy(), atol=5e-3)
    np.testing.assert_allclose(np.linalg.norm(seen, axis=1), 1, atol=1e-5)
    assert np.abs(said[0] - said[1]).max() > 1e-3


@needs_open_clip
def test_a_folder_of_open_clip(tmp_path: Path) -> None:
    import open_clip
    import torch
    from PIL import Image

    folder = tiny_clip.write_open_clip(tmp_path / "open")
    encoder = Clip(model=f"open_clip:local-dir:{folder}", precision="float32")
    model, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    model.eval()
    with torch.inference_mode():
        theirs = model.encode_image(
            torch.stack([prepare(Image.fromarray(one)) for one in pictures()]), normalize=True
        ).numpy()  # fmt: skip
        words = model.encode_text(open_clip.get_tokenizer(f"local-dir:{folder}")(SENTENCES), normalize=True).numpy()
    assert (encoder.embed(pictures()) * theirs).sum(1).min() > 0.9999
    np.testing.assert_allclose(embed_texts(SENTENCES, encoder)[0], words, atol=1e-5)


@needs_transformers
def test_crop_squash_and_the_fingerprint(tmp_path: Path) -> None:
    one, two = (tiny_clip.write_clip(tmp_path / str(seed), seed=seed) for seed in (0, 1))
    wide = [np.tile(np.linspace(0, 255, 90, dtype=np.uint8), (30, 1))]
    cropped, squashed, auto = (Clip(model=str(one), fit=fit).embed(wide) for fit in ("crop", "squash", "auto"))
    np.testing.assert_array_equal(auto, cropped)
    assert np.abs(cropped - squashed).max() > 1e-3
    prints = {Clip(model=str(folder)).fingerprint() for folder in (one, two)} | {Clip(model="org/x").fingerprint()}
    assert len(prints) == 3


@needs_transformers
def test_features_are_cached_and_a_broken_picture_stops_nothing(tmp_path: Path, garments: Path) -> None:
    import cv2

    folder = tiny_clip.write_siglip(tmp_path / "model")
    for place in range(12):
        name = tmp_path / "photos" / f"class{place % 2}" / f"{place}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(name), np.random.default_rng(place).integers(0, 255, (40, 40, 3), dtype=np.uint8))
    (tmp_path / "photos" / "class0" / "broken.png").write_bytes(b"no picture")
    ds = modality.scan(io.read(tmp_path / "photos"))
    first = encode.run(ds, f"clip:{folder}", cache=tmp_path / "cache", workers=2)
    good = ds["keep"].astype(bool)
    assert np.isfinite(first["embedding.clip"][good]).all()
    assert good.sum() == 12
    for file in (tmp_path / "photos").rglob("*.png"):
        file.unlink()
    again = encode.run(ds, f"clip:{folder}", cache=tmp_path / "cache")
    np.testing.assert_array_equal(first["embedding.clip"], again["embedding.clip"])


@needs_transformers
def test_what_cannot_be_had_says_what_to_do(tmp_path: Path) -> None:
    import transformers

    with pytest.raises(ReadError, match=re.escape("HF_HUB_OFFLINE is set and the model is not in the cache")) as caught:
        Clip(model="openai/no-such-clip").embed(pictures())
    assert "--method prototype" in caught.value.do
    (tmp_path / "tiny-clip").mkdir()
    with pytest.raises(ReadError, match="tiny-clip"):
        Clip(model=str(tmp_path / "tiny-klip")).embed(pictures())
    with pytest.raises(ReadError, match="cannot be loaded"):
        Clip(model=str(tmp_path / "tiny-clip")).embed(pictures())
    text_only = tmp_path / "bert"
    tiny_clip.write_siglip(text_only)
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    transformers.BertModel(transformers.BertConfig(vocab_size=20, **size)).save_pretrained(text_only)
    with pytest.raises(ReadError, match="is no image-text model"):
        Clip(model=str(text_only)).embed(pictures())


@needs_open_clip
def test_an_unknown_network_of_open_clip_is_named() -> None:
    with pytest.raises(UnknownNameError, match="ViT-B-32"):
        Clip(model="open_clip:ViT-B-33/openai").embed(pictures())
