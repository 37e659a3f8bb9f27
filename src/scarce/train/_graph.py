"""A trained model as one torch module: uint8 pictures in; logits, probabilities and features out, all in float32."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from scarce import registry
from scarce.dataset import Floats
from scarce.errors import ConfigError
from scarce.train._features import deepest, stages_of
from scarce.train._folds import BELOW
from scarce.train.blend import BlendModel
from scarce.train.finetune import NetworkModel
from scarce.train.linear_probe import ProbeModel
from scarce.train.model import Model

WHO: Final = "train.onnx_file"
EXPORTED: Final = ("finetune", "linear_probe", "blend")


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input of the graph: (N, S, S, C) uint8 pictures.

    Attributes:
        name: of the input.
        size: S, in pixels.
        channels: C.
        mean, std: (C,) that the graph subtracts and divides by, on the scale 0 to 255.
    """

    name: str
    size: int
    channels: int
    mean: Sequence[float]
    std: Sequence[float]


class Normalized(nn.Module):
    """(N, S, S, C) uint8 to (N, C, S, S) float32."""

    def __init__(self, given: Input) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(given.mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(given.std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalize."""
        return (pixels.permute(0, 3, 1, 2).float() - self.mean) / self.std


class PixelGraph(nn.Module):
    """The network of ``finetune``: logits, and the mean of each stage's maps with what the head is given."""

    def __init__(self, model: NetworkModel) -> None:
        super().__init__()
        card = model.card
        mean, std = ([255 * value for value in card[name]] for name in ("mean", "std"))
        self.inputs = (Input(name="pixels", size=card["size"], channels=card["channels"], mean=mean, std=std),)
        self.ready, self.mirror = Normalized(self.inputs[0]), bool(card["mirror"])
        self.net = copy.deepcopy(model.net).cpu().to(memory_format=torch.contiguous_format).float().eval()
        absent = [name in card["absent_classes"] for name in model.classes]
        self.some_absent = any(absent)
        self.register_buffer("absent", torch.tensor(absent))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return (N, K) logits and (N, D) features."""
        images = self.ready(pixels)
        logits, features = self._seen(images)
        if self.mirror:
            others = self._seen(images.flip(3))
            logits, features = 0.5 * (logits + others[0]), 0.5 * (features + others[1])
        if self.some_absent:
            lowest = logits.amin(1, keepdim=True).clamp_max(0.0)
            logits = torch.where(self.absent, lowest - BELOW, logits)
        return logits, features

    def _seen(self, images: Tensor) -> tuple[Tensor, Tensor]:
        caught: list[Tensor] = []
        hooks = [
            layer.register_forward_hook(lambda _module, _given, out: caught.append(_pooled(out)))
            for layer in stages_of(self.net)
        ]
        hooks.append(
            self.net.get_classifier().register_forward_pre_hook(lambda _, given: caught.append(_pooled(given[0])))
        )
        try:
            logits = self.net(images)
        finally:
            for hook in hooks:
                hook.remove()
        return logits, torch.cat(caught[deepest([part.shape[1] for part in caught]) :], dim=1)


class HeadGraph(nn.Module):
    """Encoder and linear head of ``linear_probe``; features are rounded as the feature cache rounds them."""

    def __init__(self, model: ProbeModel, name: str = "pixels") -> None:
        super().__init__()
        self.encoder, self.half = _network(model)
        size, net = int(model.card["encoder_params"]["size"]), self.encoder
        self.inputs = (Input(name=name, size=size, channels=3, mean=net.mean.tolist(), std=net.std.tolist()),)
        self.ready, self.net = Normalized(self.inputs[0]), net.model
        projection, head = model.fitted.projection, model.fitted
        for key, value in {
            "mean": projection.mean, "inverse": 1.0 / projection.scale, "basis": projection.basis, "coef": head.coef,
            "bias": head.bias,
        }.items():  # fmt: skip
            self.register_buffer(key, torch.from_numpy(np.array(value, np.float32)))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return (N, K) logits and (N, D) features."""
        features = self.encoder.pooled(self.ready(pixels))
        if self.half:
            features = features.half().float()
        return ((features - self.mean) * self.inverse) @ self.basis @ self.coef + self.bias, features


class BlendGraph(nn.Module):
    """Both, averaged; two inputs, since the two see pictures of different sizes."""

    def __init__(self, model: BlendModel) -> None:
        super().__init__()
        assert isinstance(model.net, NetworkModel)
        assert isinstance(model.head, ProbeModel)
        self.slow, self.fast = PixelGraph(model.net), HeadGraph(model.head, "encoder_pixels")
        self.inputs = (*self.slow.inputs, *self.fast.inputs)
        self.scales, self.share = [float(value) for value in model.card["scales"]], float(model.card["share"])

    def forward(self, pixels: Tensor, encoder_pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return (N, K) averaged log-probabilities and (N, D) features of the network."""
        net, features = self.slow(pixels)
        head, _ = self.fast(encoder_pixels)
        slow, fast = (side / scale for side, scale in zip((net, head), self.scales, strict=True))
        return (1 - self.share) * slow.log_softmax(1) + self.share * fast.log_softmax(1), features


class Decided(nn.Module):
    """The graph with the calibration and the operating point behind it.

    Args:
        graph: gives logits and features.
        card: for temperature, normal classes and the operating point.
    """

    def __init__(self, graph: Any, card: dict[str, Any]) -> None:
        super().__init__()
        self.inner, self.inputs = graph, graph.inputs
        self.temperature = float(card.get("temperature") or 1.0)
        normal = [card["classes"].index(name) for name in card.get("normal_classes", ())]
        self.register_buffer("normal", torch.tensor(normal, dtype=torch.int64))
        point = (card.get("operating_point") or {}).get("threshold")
        self.threshold = float("inf") if point is None else float(point)
        self.outputs = ("logits", "probabilities", "features", *(("defect_score", "reject") if normal else ()))

    def forward(self, *pixels: Tensor) -> tuple[Tensor, ...]:
        """Return ``outputs``: (N, K), (N, K), (N, D), and with a normal class (N,) float32 and (N,) bool."""
        logits, features = self.inner(*pixels)
        probs = (logits / self.temperature).softmax(1)
        if len(self.outputs) == 3:
            return logits, probs, features
        score = 1.0 - probs.index_select(1, self.normal).sum(1)
        return logits, probs, features, score, score >= self.threshold


def graph_of(model: Model) -> Decided:
    """Return a model as one module, on the CPU.

    Raises:
        ConfigError: a trainer or an encoder that is no network on pixels.
    """
    kinds: dict[type[Model], Any] = {NetworkModel: PixelGraph, ProbeModel: HeadGraph, BlendModel: BlendGraph}
    made = kinds.get(type(model))
    if made is None:
        raise ConfigError(WHO, f"a model of {model.card.get('trainer')} cannot be written as ONNX",
                          f"those of {', '.join(EXPORTED)} can", "train one of them")  # fmt: skip
    graph: Decided = Decided(made(model), model.card).eval().requires_grad_(False)
    return graph


def _network(model: ProbeModel) -> tuple[Any, bool]:
    """Return the encoder's network in float32 on the CPU, and whether its features are kept in half precision."""
    from scarce import encode

    name, params = str(model.card["encoder"]), dict(model.card["encoder_params"])
    usable = [one for one in registry.names("encode") if hasattr(_encoder(one), "network")]
    if name not in usable or not params.get("size"):
        raise ConfigError(WHO, f"the encoder {name!r} cannot be written as ONNX", f"those of {', '.join(usable)} can",
                          "encode with one of them (--encoder) and train again, or take finetune")  # fmt: skip
    kind = _encoder(name)
    if "precision" in {one.name for one in fields(kind)}:
        params["precision"] = "float32"
    plugin: Any = kind.from_params(params)
    assert isinstance(plugin, encode.AbstractEncoder)
    net = plugin.network()  # type: ignore[attr-defined]
    module = copy.deepcopy(net.model).cpu().to(memory_format=torch.contiguous_format).float().eval()
    return replace(net, model=module), plugin.stored == "float16"


def _encoder(name: str) -> Any:
    from scarce import encode

    return registry.load("encode", name, encode.AbstractEncoder)  # type: ignore[type-abstract]


def _pooled(value: Tensor) -> Tensor:
    return value.mean((2, 3)) if value.ndim == 4 else value


def largest_difference(one: Floats, other: Floats) -> float:
    """Return the largest difference of two arrays of probabilities, rows without an answer left out."""
    good = np.isfinite(one).all(1) & np.isfinite(other).all(1)
    return float(np.abs(one[good] - other[good]).max(initial=0.0))
