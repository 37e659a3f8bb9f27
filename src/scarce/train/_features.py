"""What a network saw on its way to the logits: the mean of each stage's maps, and what its head was given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from scarce.dataset import Array, Floats
from scarce.train._loop import infer

MOST = 1024
"""Columns of the stages together; deeper stages come first, earlier ones are left out beyond it."""


def answers(
    net: Any, pixels: Array, batch: Callable[[Array, Any], Any], *, device: str, mirror: bool = False
) -> tuple[Floats, Floats]:
    """Return (n, K) logits and (n, D) features of (n, S, S, C) uint8 pictures in one pass.

    Features are those that the head is given, and before them the spatial mean of every stage's maps: foreign textures
    show in the first stages, foreign forms in the last. Where ``mirror`` averages the logits, it averages them, too.
    """
    caught: list[list[Floats]] = []
    hooks = [layer.register_forward_hook(_catcher(caught, place)) for place, layer in enumerate(stages_of(net))]
    head = net.get_classifier()
    place = len(hooks)
    hooks.append(head.register_forward_pre_hook(lambda _, given: _keep(caught, place, given[0])))
    try:
        logits = infer(net, pixels, batch, device=device, mirror=mirror)
    finally:
        for hook in hooks:
            hook.remove()
    passes = 2 if mirror else 1
    parts = []
    for blocks in caught:
        own = [sum(blocks[at : at + passes]) / passes for at in range(0, len(blocks), passes)]
        parts.append(np.concatenate(own))
    return logits, _joined(parts, len(pixels))


def _joined(parts: list[Floats], n: int) -> Floats:
    """Return the stages side by side, the head's last; as many of the deepest as there is room for."""
    kept = parts[deepest([part.shape[1] for part in parts]) :]
    return np.concatenate(kept, axis=1) if kept else np.zeros((n, 0))


def deepest(widths: Sequence[int]) -> int:
    """Return from which place on the stages have room, given their columns; the last one always has."""
    first, total = len(widths), 0
    while first and (first == len(widths) or total + widths[first - 1] <= MOST):
        first -= 1
        total += widths[first]
    return first


def stages_of(net: Any) -> list[Any]:
    """Return the modules behind each reduction of size that timm names, without the ones that do nothing."""
    if getattr(net, "output_fmt", "NCHW") not in ("NCHW", None):
        return []
    found = []
    layers = dict(net.named_modules())
    for entry in getattr(net, "feature_info", None) or ():
        layer = layers.get(entry.get("module", "") if isinstance(entry, dict) else "")
        if layer is not None and not isinstance(layer, torch.nn.Identity):
            found.append(layer)
    return found


def _catcher(caught: list[list[Floats]], place: int) -> Callable[[Any, Any, Any], None]:
    return lambda _module, _given, out: _keep(caught, place, out)


def _keep(caught: list[list[Floats]], place: int, value: Any) -> None:
    while len(caught) <= place:
        caught.append([])
    if value.ndim == 4:
        value = value.mean((2, 3))
    caught[place].append(value.float().double().cpu().numpy())
