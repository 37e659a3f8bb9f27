"""The network behind a detector: any of ours or of timm, or the backbone and pyramid of a detector of torchvision."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
import torchvision
from torch import Tensor, nn

from scarce.errors import TrainError, UnknownNameError, unknown_name
from scarce.train import _network as networks

WHO: Final = "train.detector"
SIDE: Final = networks.SMALL + 1
"""A size from which networks keep the stem that their weights expect."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PATIENCE: Final = 10.0
"""Seconds that the server of the weights is waited for."""


class Backbone(nn.Module):
    """The backbone and pyramid of a detector of torchvision, which gives its maps as networks of timm do."""

    def __init__(self, whole: nn.Module) -> None:
        super().__init__()
        self.levels: Any = whole.backbone

    def forward_intermediates(self, images: Tensor, indices: Sequence[int] | None = None, **_: Any) -> list[Tensor]:
        """Return all maps, finest first, or some of them."""
        maps = list(self.levels(images).values())
        return maps if indices is None else [maps[at] for at in indices]


def names() -> list[str]:
    """Return the names of torchvision's detectors that have a pyramid."""
    found = torchvision.models.list_models(module=torchvision.models.detection)
    return [name for name in found if name.endswith(("_fpn", "_fpn_v2"))]


def resolve(name: str, pretrained: str) -> str:
    """Return the network of a name, for ``auto`` what is pretrained here.

    Raises:
        UnknownNameError: neither ours nor timm's nor torchvision's; the message names the closest ones.
    """
    if name in names():
        return name
    try:
        return networks.resolve(name, SIDE, pretrained)
    except UnknownNameError:
        raise unknown_name(WHO, "network", name, [*names(), *networks.names()]) from None


def build(name: str, n_classes: int, pretrained: str) -> networks.Network:
    """Return the network of a resolved name with its weights.

    Args:
        name: resolved.
        n_classes: K.
        pretrained: ``auto``, ``yes``, ``no`` or a weight file. A detector of torchvision without its weights would not
            be worth its size, so ``auto`` asks for them too.

    Raises:
        TrainError: the weights cannot be had.
    """
    if name not in names():
        return networks.build(name, n_classes=n_classes, channels=3, size=SIDE, pretrained=pretrained)
    if pretrained == "no":
        return networks.Network(bare(name, n_classes, "scratch"), name, "scratch", list(MEAN), list(STD))
    try:
        if pretrained in ("auto", "yes"):
            with _impatient():
                whole = torchvision.models.get_model(name, weights="DEFAULT", progress=False)
        else:
            whole = torchvision.models.get_model(name, weights=None, weights_backbone=None)
            whole.load_state_dict(torch.load(Path(pretrained), map_location="cpu", weights_only=True))
    except Exception as error:
        raise TrainError(
            WHO, f"the weights of {name} cannot be had ({str(error)[:200]})", f"pretrained = {pretrained!r}",
            f"fetch them elsewhere and give the file as pretrained, or take network = {networks.PACKAGED!r}",
        ) from error  # fmt: skip
    weights = "pretrained" if pretrained in ("auto", "yes") else pretrained
    return networks.Network(Backbone(whole), name, weights, list(MEAN), list(STD))


def bare(name: str, n_classes: int, weights: str) -> Any:
    """Return the untrained module that saved weights fit into."""
    if name in names():
        return Backbone(torchvision.models.get_model(name, weights=None, weights_backbone=None))
    return networks.bare(name, n_classes=n_classes, channels=3, size=SIDE, weights=weights)


@contextmanager
def _impatient() -> Iterator[None]:
    """Let a server that does not answer fail within seconds."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
