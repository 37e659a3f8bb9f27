"""Tiny image-text checkpoints with random weights, written as the hub holds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORDS = "a photo of the bag coat trouser ankle boot shirt black white with sleeve".split()
END, START = "<|endoftext|>", "<|startoftext|>"


def write_clip(folder: Path, *, seed: int = 0) -> Path:
    """A CLIP of 32 pixels, with the byte-pair files of a tokenizer that knows some words whole."""
    import torch
    import transformers

    torch.manual_seed(seed)
    size = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    vocabulary, merges = _byte_pairs()
    ends = {"bos_token_id": vocabulary[START], "eos_token_id": vocabulary[END], "pad_token_id": vocabulary[END]}
    text = {**size, **ends, "vocab_size": len(vocabulary), "max_position_embeddings": 24}
    config = transformers.CLIPConfig(
        text_config=text, vision_config={**size, "image_size": 32, "patch_size": 8}, projection_dim=24
    )
    folder.mkdir(parents=True)
    transformers.CLIPModel(config).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    _write(folder / "tokenizer_config.json", {"tokenizer_class": "CLIPTokenizer", "model_max_length": 24})
    _write(folder / "preprocessor_config.json", _pictures("CLIPImageProcessor", {"shortest_edge": 32}, crop=True))
    return folder


def write_siglip(folder: Path, *, seed: int = 0) -> Path:
    """A SigLIP of 32 pixels with a tokenizer of whole words."""
    import tokenizers
    import torch
    import transformers

    torch.manual_seed(seed)
    size = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    vocabulary = {"<pad>": 0, "</s>": 1, "<unk>": 2, **{word: place + 3 for place, word in enumerate(WORDS)}}
    config = transformers.SiglipConfig(
        text_config={**size, "vocab_size": len(vocabulary), "max_position_embeddings": 16, "projection_size": 32},
        vision_config={**size, "image_size": 32, "patch_size": 8},
    )
    folder.mkdir(parents=True)
    transformers.SiglipModel(config).save_pretrained(folder)
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_input_names=["input_ids"]
    ).save_pretrained(folder)
    size_of = {"height": 32, "width": 32}
    _write(folder / "preprocessor_config.json", _pictures("SiglipImageProcessor", size_of, crop=False))
    return folder


def write_open_clip(folder: Path, *, seed: int = 0) -> Path:
    """A CLIP of open_clip, with the tokenizer that the package ships."""
    import open_clip
    import torch

    torch.manual_seed(seed)
    body = {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
        "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    }
    folder.mkdir(parents=True)
    _write(folder / "open_clip_config.json", {"model_cfg": body, "preprocess_cfg": {"size": [32, 32]}})
    torch.save(open_clip.CLIP(**body).state_dict(), folder / "open_clip_pytorch_model.bin")
    return folder


def _byte_pairs() -> tuple[dict[str, int], list[str]]:
    letters = sorted(set("".join(WORDS)) | set(".,"))
    pieces = [*letters, *(f"{letter}</w>" for letter in letters)]
    merges: list[str] = []
    for word in WORDS:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            merge = f"{parts[0]} {parts[1]}"
            if merge not in merges:
                merges.append(merge)
                pieces.append(parts[0] + parts[1])
            parts = [parts[0] + parts[1], *parts[2:]]
    return {piece: place for place, piece in enumerate(dict.fromkeys([*pieces, START, END]))}, merges


def _pictures(kind: str, size: dict[str, int], *, crop: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "image_processor_type": kind, "do_resize": True, "size": size, "resample": 3, "do_rescale": True,
        "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5, 0.45, 0.4],
        "image_std": [0.27, 0.26, 0.28], "do_convert_rgb": True,
    }  # fmt: skip
    return {**body, "do_center_crop": True, "crop_size": {"height": 32, "width": 32}} if crop else body


def _write(path: Path, body: Any) -> None:
    path.write_text(json.dumps(body))
