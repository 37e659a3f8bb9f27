"""A trained model as one torch module: uint8 pictures in; logits, probabilities and features out, all in float32."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from scarce import registry
from scarce.errors import ConfigError
from scarce.train._features import deepest, stages_of
from scarce.train._folds import BELOW
from scarce.train.blend import BlendModel
from scarce.train.finetune import NetworkModel
from scarce.train.linear_probe import ProbeModel
from scarce.train.logmel_network import SoundModel
from scarce.train.model import Model
from scarce.train.prototype import PrototypeModel

WHO: Final = "train.onnx_file"
EXPORTED: Final = ("finetune", "blend", "linear_probe", "prototype", "logmel_network")
MORE: Final = (
    "gradient_boosting, tfidf_linear, minirocket, transformer and anomaly stay folders that scarce predict reads"
)


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input of the graph.

    Attributes:
        name: of the input.
        kind: ``pictures`` (N, S, S, C) uint8, ``log_mel`` (N, bands, frames, 1) uint8 or ``features`` (N, D) float32.
        shape: of one sample.
        mean, std: (C,) that the graph subtracts and divides by, on the scale 0 to 255; empty for features.
        encoder: what makes the features, and ``params`` its settings; empty for all else.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    mean: Sequence[float] = ()
    std: Sequence[float] = ()
    encoder: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)

    def blank(self, n: int) -> Tensor:
        """Return n samples of zeros."""
        return torch.zeros((n, *self.shape), dtype=torch.float32 if self.kind == "features" else torch.uint8)


class Normalized(nn.Module):
    """(N, S, S, C) uint8 to (N, C, S, S) float32."""

    mean: Tensor
    std: Tensor

    def __init__(self, given: Input) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(given.mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(given.std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalize."""
        return (pixels.permute(0, 3, 1, 2).float() - self.mean) / self.std


class Lower(nn.Module):
    """Puts the logits of classes that nothing was learnt of far below all others."""

    absent: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        absent = [name in model.card["absent_classes"] for name in model.classes]
        self.some = any(absent)
        self.register_buffer("absent", torch.tensor(absent))

    def forward(self, logits: Tensor) -> Tensor:
        """Return the logits."""
        if not self.some:
            return logits
        return torch.where(self.absent, logits.amin(1, keepdim=True).clamp_max(0.0) - BELOW, logits)


class PixelGraph(nn.Module):
    """The network of ``finetune``: logits, and the mean of each stage's maps with what the head is given."""

    def __init__(self, model: NetworkModel) -> None:
        super().__init__()
        card = model.card
        shape = (card["size"], card["size"], card["channels"])
        self.inputs = (Input(name="pixels", kind="pictures", shape=shape, **_scaled(card)),)
        self.ready, self.mirror = Normalized(self.inputs[0]), bool(card["mirror"])
        self.net, self.lower = _plain(model.net), Lower(model)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return (N, K) logits and (N, D) features."""
        images = self.ready(pixels)
        logits, features = self._seen(images)
        if self.mirror:
            others = self._seen(images.flip(3))
            logits, features = 0.5 * (logits + others[0]), 0.5 * (features + others[1])
        return self.lower(logits), features

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


class SoundGraph(nn.Module):
    """The network of ``logmel_network`` on pictures of sounds; it has no features of its own."""

    def __init__(self, model: SoundModel) -> None:
        super().__init__()
        shape = (int(model.card["bands"]), int(model.card["frames"]), 1)
        self.inputs = (Input(name="sounds", kind="log_mel", shape=shape, **_scaled(model.card)),)
        self.ready, self.net, self.lower = Normalized(self.inputs[0]), _plain(model.net), Lower(model)

    def forward(self, sounds: Tensor) -> tuple[Tensor, None]:
        """Return (N, K) logits."""
        return self.lower(self.net(self.ready(sounds))), None


class Encoded(nn.Module):
    """Features of an encoder: made in the graph where it is a network, else its input; rounded as they are cached."""

    def __init__(self, card: Mapping[str, Any], name: str = "pixels") -> None:
        super().__init__()
        plugin = _encoder(card)
        self.network: Any = None
        self.rounds = plugin.stored == "float16"
        if not hasattr(plugin, "network"):
            given = Input(
                name="encoded", kind="features", shape=(int(card["dimensions"]),), encoder=str(card["encoder"]),
                params=dict(card["encoder_params"]),
            )  # fmt: skip
            self.inputs = (given,)
            return
        network = plugin.network()
        side = int(card["encoder_params"]["size"])
        mean, std = network.mean.tolist(), network.std.tolist()
        self.inputs = (Input(name=name, kind="pictures", shape=(side, side, 3), mean=mean, std=std),)
        self.network = replace(network, model=_plain(network.model))
        self.ready, self.net = Normalized(self.inputs[0]), self.network.model

    def forward(self, given: Tensor) -> Tensor:
        """Return (N, D) features."""
        if self.network is None:
            return given
        features: Tensor = self.network.pooled(self.ready(given))
        return features.half().float() if self.rounds else features


class HeadGraph(nn.Module):
    """Encoder and linear head of ``linear_probe``."""

    mean: Tensor
    inverse: Tensor
    basis: Tensor
    coef: Tensor
    bias: Tensor

    def __init__(self, model: ProbeModel, name: str = "pixels") -> None:
        super().__init__()
        self.encoded = Encoded(model.card, name)
        self.inputs = self.encoded.inputs
        projection, head = model.fitted.projection, model.fitted
        _hold(
            self, mean=projection.mean, inverse=1.0 / projection.scale, basis=projection.basis, coef=head.coef,
            bias=head.bias,
        )  # fmt: skip

    def forward(self, given: Tensor) -> tuple[Tensor, Tensor]:
        """Return (N, K) logits and (N, D) features."""
        features = self.encoded(given)
        return ((features - self.mean) * self.inverse) @ self.basis @ self.coef + self.bias, features


class MeansGraph(nn.Module):
    """Encoder and class means of ``prototype``."""

    middle: Tensor
    inverse: Tensor
    means: Tensor

    def __init__(self, model: PrototypeModel) -> None:
        super().__init__()
        self.encoded, self.lower = Encoded(model.card), Lower(model)
        self.inputs, self.scale = self.encoded.inputs, float(model.card["params"]["scale"])
        means = model.means
        _hold(self, middle=means.middle, inverse=1.0 / means.spread, means=np.nan_to_num(means.means))

    def forward(self, given: Tensor) -> tuple[Tensor, Tensor]:
        """Return (N, K) logits and (N, D) features."""
        features = self.encoded(given)
        rows = (features - self.middle) * self.inverse
        cosines = nn.functional.normalize(rows, dim=1, eps=1e-12) @ self.means.T
        return self.lower(self.scale * cosines), features


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
        self.decides = bool(normal)
        self.outputs = (
            "logits", "probabilities", *(("features",) if not isinstance(graph, SoundGraph) else ()),
            *(("defect_score", "reject") if normal else ()),
        )  # fmt: skip

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Return ``outputs``: (N, K), (N, K), (N, D), and with a normal class (N,) float32 and (N,) bool."""
        logits, features = self.inner(*given)
        probs = (logits / self.temperature).softmax(1)
        found = (logits, probs) if features is None else (logits, probs, features)
        if not self.decides:
            return found
        score = 1.0 - probs.index_select(1, self.normal).sum(1)
        return *found, score, score >= self.threshold


def graph_of(model: Model) -> Decided:
    """Return a model as one module, on the CPU.

    Raises:
        ConfigError: a trainer that is no network and no head on features, or an encoder that cannot be written.
    """
    kinds: dict[type[Model], Any] = {
        NetworkModel: PixelGraph, BlendModel: BlendGraph, ProbeModel: HeadGraph, PrototypeModel: MeansGraph,
        SoundModel: SoundGraph,
    }  # fmt: skip
    made = kinds.get(type(model))
    if made is None:
        raise ConfigError(WHO, f"a model of {model.card.get('trainer')} is no graph of tensors: it cannot be ONNX",
                          f"those of {', '.join(EXPORTED)} can; {MORE}",
                          "train one of them: scarce train --model NAME")  # fmt: skip
    graph: Decided = Decided(made(model), model.card).eval().requires_grad_(False)
    return graph


def _encoder(card: Mapping[str, Any]) -> Any:
    """Return the encoder that a card names, in float32.

    Raises:
        ConfigError: it is neither a network that can be written nor does without torch.
    """
    from scarce import encode

    def kind(name: str) -> Any:
        return registry.load("encode", name, encode.AbstractEncoder)

    found, params = kind(str(card["encoder"])), dict(card["encoder_params"])
    network = hasattr(found, "network")
    if (not network and found.extra) or (network and not params.get("size")):
        usable = [name for name in registry.names("encode") if hasattr(kind(name), "network")]
        raise ConfigError(WHO, f"the encoder {card['encoder']!r} cannot be written as ONNX",
                          f"{', '.join(usable)} can, and those that need no extra",
                          "encode with one of them (--encoder) and train again, or take finetune")  # fmt: skip
    if network and "precision" in {one.name for one in fields(found)}:
        params["precision"] = "float32"
    return found.from_params(params)


def _plain(net: Any) -> Any:
    return copy.deepcopy(net).cpu().to(memory_format=torch.contiguous_format).float().eval()


def _scaled(card: Mapping[str, Any]) -> dict[str, Any]:
    return {name: [255 * value for value in card[name]] for name in ("mean", "std")}


def _hold(module: nn.Module, **arrays: Any) -> None:
    for name, array in arrays.items():
        module.register_buffer(name, torch.from_numpy(np.array(array, np.float32)))


def _pooled(value: Tensor) -> Tensor:
    return value.mean((2, 3)) if value.ndim == 4 else value
