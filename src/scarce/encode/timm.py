"""Any picture network of the package timm, by name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar, Self, final

import cv2
import numpy as np

from scarce.dataset import Array, Dataset, Floats
from scarce.encode._base import AbstractEncoder
from scarce.encode._network import (
    Network,
    Precision,
    fold_batch_norm,
    kept_threads,
    one_thread,
    size_for,
    squeeze,
    stacked,
)
from scarce.errors import ReadError, closest, unknown_name
from scarce.extras import need
from scarce.lineage import digest

_loading = Lock()
OFFLINE = (
    "take --encoder efficientnet_lite0, which needs no download, or name a file: weights = under [encode.timm] in "
    "scarce.toml"
)


@final
@dataclass(frozen=True, kw_only=True)
class Timm(AbstractEncoder):
    """Any timm model by name, with its weights from the hub or from a file.

    Use when the internet is at hand (or the weights are cached) and better features are worth the time.
    Do not use when it must run offline: ``efficientnet_lite0``.
    Needs: uint8 pictures; the extra ``train``.
    Named with its network: ``timm:resnet18`` as the encoder, or ``model`` in [encode.timm].
    Writes: embedding.timm (N, D) float32: the mean over the last feature map or tokens.
    Source: Wightman, PyTorch Image Models.

    Args:
        model: name as timm lists it, for example ``vit_small_patch14_dinov2.lvd142m``.
        weights: a .safetensors or .pth file instead of the hub's weights; ``random`` = none (only to test).
        size: side of the picture that it sees, in pixels; 0 = as it was trained, or half of it for small pictures.
        precision: ``auto`` = bfloat16 where the processor has it and a probe batch agrees, else float32.
    """

    extra: ClassVar[str | None] = "train"

    model: str = "convnextv2_nano.fcmae_ft_in22k_in1k"
    weights: str = ""
    size: int = 0
    precision: Precision = "auto"

    def prepare(self, ds: Dataset) -> Self:
        """Choose the size."""
        if self.size:
            return self
        trained, flexible = trained_size(self.model)
        return replace(self, size=size_for(ds, small=trained // 2 if flexible else trained, large=trained))

    def embed(self, batch: Sequence[Array | str]) -> Floats:
        """Return (B, D) features of uint8 pictures."""
        return self.network()(stacked(batch, self._size()))

    def reduce(self, sample: Array | str) -> Array:
        """Squeeze a picture to the size that is seen."""
        return squeeze(sample, self._size())

    def decode_pixels(self) -> int:
        """Return the size that is seen."""
        return self._size()

    def identity(self) -> Mapping[str, str]:
        """Return the weights' hash or name, the version of timm, and of OpenCV, which squeezes the pictures."""
        timm = need("timm", extra="train")
        weights = self.weights
        if weights not in ("", "random"):
            weights = digest(_file(weights).read_bytes())
        return {"weights": weights or "hub", "timm": timm.__version__, "opencv": cv2.__version__}

    def session(self) -> AbstractContextManager[None]:
        """Load the network, and give torch's threads back afterwards."""
        self.network()
        return kept_threads()

    def enter_worker(self) -> None:
        """Compute with one thread a worker."""
        one_thread()

    def _size(self) -> int:
        return self.size or trained_size(self.model)[0]

    def network(self) -> Network:
        """Return the network, loaded once."""
        with _loading:
            return _loaded(self.model, self.weights, self.precision, self._size())


def trained_size(model: str) -> tuple[int, bool]:
    """Return the side of the pictures that a model was trained on, and whether it takes other sizes.

    Raises:
        UnknownNameError: timm has no such model; the message names the closest ones.
    """
    timm = need("timm", extra="train")
    base = model.partition(".")[0]
    if base not in timm.list_models() or (base != model and model not in timm.list_pretrained(base + "*")):
        known = timm.list_pretrained(base + "*") if base in timm.list_models() else timm.list_models()
        raise unknown_name("encode.timm", "timm model", model, known)
    config = timm.get_pretrained_cfg(model)
    side = int(config.input_size[-1]) if config else 224
    return side, not (config and config.fixed_input_size)


def load_model(model: str, weights: str = "", *, size: int = 0) -> Any:
    """Return a timm model without its classifier, in evaluation mode.

    Args:
        model: see :class:`Timm`.
        weights: see :class:`Timm`.
        size: for models that are built for one size.

    Raises:
        ReadError: the weights cannot be had; the message names the encoder that works offline.
    """
    timm = need("timm", extra="train")
    _, flexible = trained_size(model)
    options: dict[str, Any] = {"num_classes": 0} if flexible or not size else {"num_classes": 0, "img_size": size}
    try:
        network = timm.create_model(model, pretrained=not weights, **options)
    except Exception as error:
        offline = os.environ.get("HF_HUB_OFFLINE", "").strip().lower() in ("1", "true", "yes", "on")
        there = "HF_HUB_OFFLINE is set and the weights are not in the cache" if offline else _reason(error)
        raise ReadError("encode.timm", f"the weights of {model} cannot be downloaded", there, OFFLINE) from error
    if weights not in ("", "random"):
        _fill(network, _file(weights))
    network.eval().requires_grad_(requires_grad=False)
    fold_batch_norm(network)
    return network


def _fill(network: Any, path: Path) -> None:
    """Load weights from a file, without those of a classifier."""
    models = need("timm.models", extra="train")
    try:
        held = models.load_state_dict(str(path), weights_only=True)
        names = network.pretrained_cfg.get("classifier") or ()
        heads = tuple(f"{name}." for name in ((names,) if isinstance(names, str) else names))
        network.load_state_dict({name: value for name, value in held.items() if not name.startswith(heads)})
    except Exception as error:
        what = f"{path} does not fit {network.pretrained_cfg.get('architecture', 'the model')} ({_reason(error)})"
        raise ReadError("encode.timm", what, do="give the weights of this model") from error


def _reason(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(":") or type(error).__name__


def _file(weights: str) -> Path:
    path = Path(weights)
    if not path.is_file():
        beside = [item.name for item in path.parent.glob("*")] if path.parent.is_dir() else []
        raise ReadError("encode.timm", f"there is no file {weights}", closest(path.name, beside), OFFLINE)
    return path


@lru_cache(maxsize=1)
def _loaded(model: str, weights: str, precision: Precision, size: int) -> Network:
    network = load_model(model, weights, size=size)
    config = network.pretrained_cfg
    mean, std = (np.array(config.get(name, (0.5, 0.5, 0.5)), np.float64) * 255 for name in ("mean", "std"))
    return Network(model=network, mean=mean, std=std, precision=precision).settle(size)
