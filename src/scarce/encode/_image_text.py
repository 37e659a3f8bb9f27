"""Image-text networks by name: CLIP, SigLIP and their kin, from transformers or open_clip."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.encode._network import Network, Precision
from scarce.errors import ReadError, closest, unknown_name
from scarce.extras import need
from scarce.hub import fetching
from scarce.lineage import digest

OPEN_CLIP: Final = "open_clip:"
TEXTS_AT_ONCE: Final = 64
OFFLINE: Final = (
    "download the model once where the internet is at hand and name its folder (model = under [encode.clip] in "
    "scarce.toml), or take --method prototype, which needs no such model"
)


@dataclass(frozen=True, eq=False)
class ImageText:
    """A loaded model.

    Attributes:
        images: the picture side; gives (B, D).
        texts: the text side: sentences to (M, D) float32, not yet of length 1.
        size: side of the pictures that it sees, in pixels.
        crop: whether it was trained on the middle square of a picture; else the whole is squeezed into the square.
        scale: what it multiplies cosines with.
    """

    images: Network
    texts: Callable[[Sequence[str]], Floats]
    size: int
    crop: bool
    scale: float


def to_square(sample: Array | str, size: int, *, crop: bool) -> Array:
    """Return a picture as (size, size, 3) uint8, resampled as these models were trained (bicubic, smoothed)."""
    from PIL import Image

    picture = Image.fromarray(np.asarray(sample)).convert("RGB")
    if picture.size == (size, size):
        return np.asarray(picture)
    if not crop:
        return np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC))
    wide, high = picture.size
    short = min(wide, high)
    picture = picture.resize((size * wide // short, size * high // short), Image.Resampling.BICUBIC)
    left, top = (picture.width - size) // 2, (picture.height - size) // 2
    return np.asarray(picture.crop((left, top, left + size, top + size)))


@lru_cache(maxsize=1)
def load(model: str, precision: Precision = "auto") -> ImageText:
    """Return a model by name or folder; see :class:`scarce.encode.clip.Clip`.

    Raises:
        ReadError: it cannot be had, or is no image-text model; the message says what to do.
        MissingExtraError: transformers or open_clip is not installed.
    """
    loaded = _from_open_clip(model.removeprefix(OPEN_CLIP)) if model.startswith(OPEN_CLIP) else _from_hub(model)
    tower, mean, std, texts, size, crop, scale = loaded
    network = Network(model=tower, mean=mean * 255, std=std * 255, precision=precision).settle(size)
    return ImageText(network, texts, size, crop, scale)


def weights_of(model: str) -> str:
    """Return a hash of a local model's files, or ``hub``."""
    folder = local_folder(model)
    if folder is None:
        return "hub"
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    return _hash(tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in files))


def local_folder(model: str) -> Path | None:
    """Return the folder that a name means, None for a name of the hub.

    Raises:
        ReadError: it looks like a folder, and there is none.
    """
    name = model.removeprefix(OPEN_CLIP).removeprefix("local-dir:")
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if name.startswith((".", "/", "~")) or "local-dir:" in model:
        beside = [item.name for item in path.parent.glob("*")] if path.parent.is_dir() else []
        raise ReadError("encode.clip", f"there is no folder {name}", closest(path.name, beside), OFFLINE)
    return None


@lru_cache(maxsize=4)
def _hash(files: tuple[tuple[str, int, int], ...]) -> str:
    return digest(*(digest(Path(path).read_bytes()) for path, _, _ in files))


def _from_hub(model: str) -> tuple[Any, Array, Array, Callable[[Sequence[str]], Floats], int, bool, float]:
    transformers = need("transformers", extra="clip")
    name = str(local_folder(model) or model)
    try:
        with _no_bars(transformers.utils.logging), fetching(name):
            whole = transformers.AutoModel.from_pretrained(name)
            tokenizer = transformers.AutoTokenizer.from_pretrained(name)
            seen = transformers.AutoImageProcessor.from_pretrained(name)
    except Exception as error:
        raise _cannot(model, error) from error
    if not hasattr(whole, "get_image_features") or not hasattr(whole, "logit_scale"):
        raise ReadError("encode.clip", f"{model} is no image-text model", type(whole).__name__, "name a CLIP or SigLIP")
    whole.eval().requires_grad_(requires_grad=False)
    longest = int(whole.config.text_config.max_position_embeddings)

    def texts(part: Sequence[str]) -> Any:
        tokens = tokenizer(list(part), padding="max_length", max_length=longest, truncation=True, return_tensors="pt")
        return _pooled(whole.get_text_features(**tokens))

    shape = seen.size if isinstance(seen.size, dict) else dict(seen.size)
    size = int(whole.config.vision_config.image_size)
    crop = bool(getattr(seen, "do_center_crop", False)) and bool(shape.get("shortest_edge"))
    mean, std = (np.array(part, np.float64) for part in (seen.image_mean, seen.image_std))
    tower = _tower(whole, lambda values: _pooled(whole.get_image_features(pixel_values=values)))
    return tower, mean, std, _embedder(texts), size, crop, float(whole.logit_scale.exp())


def _from_open_clip(model: str) -> tuple[Any, Array, Array, Callable[[Sequence[str]], Floats], int, bool, float]:
    package = need("open_clip", extra="clip")
    local = local_folder(OPEN_CLIP + model)
    whole_name, _, tag = (f"local-dir:{local}", "", "") if local or ":" in model else model.partition("/")
    whole_name = model if ":" in model and not local else whole_name
    if ":" not in whole_name and whole_name not in package.list_models():
        raise unknown_name("encode.clip", "open_clip model", whole_name, package.list_models())
    try:
        whole, _, _ = package.create_model_and_transforms(whole_name, pretrained=tag or None)
        tokenizer = package.get_tokenizer(whole_name)
        seen = package.get_model_preprocess_cfg(whole)
    except Exception as error:
        raise _cannot(OPEN_CLIP + model, error) from error
    whole.eval().requires_grad_(requires_grad=False)
    side = seen["size"]
    mean, std = (np.array(seen[key], np.float64) for key in ("mean", "std"))
    tower = _tower(whole, whole.encode_image)
    texts = _embedder(lambda part: whole.encode_text(tokenizer(list(part))))
    size = int(side if isinstance(side, int) else side[0])
    return tower, mean, std, texts, size, seen.get("resize_mode") == "shortest", float(whole.logit_scale.exp())


def _tower(whole: Any, forward: Callable[[Any], Any]) -> Any:
    """Return the picture side as a module that :class:`Network` can run."""
    torch = need("torch", extra="train")

    class Tower(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.whole = whole

        def forward_features(self, values: Any) -> Any:
            return forward(values)

    return Tower()


def _embedder(forward: Callable[[Sequence[str]], Any]) -> Callable[[Sequence[str]], Floats]:
    torch = need("torch", extra="train")

    def embed(sentences: Sequence[str]) -> Floats:
        parts = [sentences[start : start + TEXTS_AT_ONCE] for start in range(0, len(sentences), TEXTS_AT_ONCE)]
        with torch.inference_mode():
            return np.concatenate([forward(part).float().cpu().numpy() for part in parts])

    return embed


@contextmanager
def _no_bars(bars: Any) -> Iterator[None]:
    """Keep transformers from drawing bars of its own."""
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()


def _pooled(found: Any) -> Any:
    """Return the (B, D) features of what transformers returns: itself, or its pooled output from version 5 on."""
    return getattr(found, "pooler_output", found)


def _cannot(model: str, error: Exception) -> ReadError:
    offline = os.environ.get("HF_HUB_OFFLINE", "").strip().lower() in ("1", "true", "yes", "on")
    told = str(error).strip().partition("\n")[0].rstrip(":.") or type(error).__name__
    here = local_folder(model) is None and offline
    there = "HF_HUB_OFFLINE is set and the model is not in the cache" if here else told
    return ReadError("encode.clip", f"the model {model} cannot be loaded", there, OFFLINE)
