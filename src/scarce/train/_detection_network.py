"""Faster R-CNN of torchvision behind any network of ours or of timm, or whole, with our losses on its class head."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

from scarce.dataset import Floats
from scarce.errors import TrainError
from scarce.train._named_loss import SCALE
from scarce.train._network import cosine_head

STRIDES: Final = (8, 16, 32)
"""Of the levels that a pyramid may have."""
CELLS: Final = 4
"""A box of so many cells of a level is looked for there, and boxes up to twice as large."""
WIDTH, HIDDEN = 96, 256
RATIOS: Final = (0.5, 1.0, 2.0)
Anchors = tuple[tuple[int, tuple[float, ...]], ...]
"""The levels that are searched: stride, and sides in pixels."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """What a detector is built from, besides its backbone.

    Args:
        n_classes: K, without the background.
        anchors: the levels that are searched, finest first, with the same number of sides each.
        mean, std: of the pixels on the scale 0 to 1.
        score: boxes below it are not given out.
        overlap: of two boxes of a class that overlap more, the surer one is kept.
        most: boxes a picture.
        cosines: the class head gives cosines with its weights, as ldam needs.
    """

    n_classes: int
    anchors: Anchors
    mean: Sequence[float]
    std: Sequence[float]
    score: float = 0.02
    overlap: float = 0.5
    most: int = 100
    cosines: bool = False


class Pyramid(nn.Module):
    """The maps of a network at some strides, brought to one width, each with what the next coarser one sees around.

    Args:
        body: a network of timm; its layers behind the last map that is used are not computed.
        strides: of the maps that are given, finest first.
        pretrained: batch norm keeps its statistics, as small batches need it, and the layers up to stride 4, whose
            edges and colors serve any picture, keep their weights: they are half the cost of a step.
    """

    def __init__(self, body: Any, strides: Sequence[int], *, pretrained: bool) -> None:
        super().__init__()
        self.body, self.pretrained, self.out_channels = body, pretrained, WIDTH
        body.requires_grad_(True)
        maps, self.levels = _maps(body), len(strides)
        used = [*strides, *[stride for stride in STRIDES if stride in maps and stride > strides[-1]][:1]]
        self.places = [maps[stride][0] for stride in used]
        if pretrained:
            _freeze(body, used[0])
        self.neck = FeaturePyramidNetwork([maps[stride][1] for stride in used], WIDTH, norm_layer=_norm)

    def train(self, mode: bool = True) -> Pyramid:  # noqa: FBT001, FBT002  as torch has it
        """Set the mode; batch norm behind pretrained weights stays as it is."""
        super().train(mode)
        if self.pretrained:
            for part in self.body.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    part.eval()
        return self

    def forward(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the levels, finest first."""
        maps = self.body.forward_intermediates(images, indices=self.places, stop_early=True, intermediates_only=True)
        found: Mapping[str, Tensor] = self.neck(OrderedDict((str(k), one) for k, one in enumerate(maps)))
        return OrderedDict(list(found.items())[: self.levels])


def _norm(width: int) -> nn.Module:
    return nn.GroupNorm(8, width)


def _maps(body: Any) -> dict[int, tuple[int, int]]:
    """Return stride to (place among the network's maps, its width)."""
    if not hasattr(body, "forward_intermediates"):
        raise TrainError("train.detector", f"{type(body).__name__} does not give its maps", do="take another network")
    mode, side = body.training, 64
    body.eval()
    with torch.no_grad():
        maps = body.forward_intermediates(torch.zeros(1, 3, side, side), intermediates_only=True)
    body.train(mode)
    return {
        side // one.shape[2]: (at, int(one.shape[1]))
        for at, one in enumerate(maps) if one.ndim == 4 and side % one.shape[2] == 0
    }  # fmt: skip


def _freeze(body: Any, finest: int) -> None:
    """Take the layers before the first map that is used out of the training."""
    info = getattr(getattr(body, "feature_info", None), "info", None) or []
    early = [str(entry["module"]) for entry in info if entry["reduction"] < finest]
    if not early:
        return
    named = list(body.named_parameters())
    last = max((at for at, (name, _) in enumerate(named) if name.startswith(f"{early[-1]}.")), default=-1)
    for _, value in named[: last + 1]:
        value.requires_grad_(False)


def strides_of(body: Any) -> tuple[int, ...]:
    """Return the strides that the pyramid of a network can have.

    Raises:
        TrainError: none.
    """
    there = _maps(body)
    found = tuple(stride for stride in STRIDES if stride in there)
    if not found:
        raise TrainError("train.detector", f"{type(body).__name__} has no maps of stride 8, 16 or 32",
                         f"its strides are {sorted(there)}", "take another network")  # fmt: skip
    return found


def anchors_for(sides: Floats, strides: Sequence[int]) -> Anchors:
    """Return the levels that boxes of these sides (B,) need, and two anchors for each: quantiles of its own boxes.

    A level takes boxes of 4 to 8 cells, the finest also smaller ones and the coarsest larger ones.
    """
    sides = sides if len(sides) else np.array([CELLS * stride * 1.4 for stride in strides])
    level = np.clip(np.log2(sides / (CELLS * strides[0])), 0, len(strides) - 1).astype(np.int64)
    last = int(np.quantile(level, 0.98))
    found = []
    for at, stride in enumerate(strides[: last + 1]):
        own = sides[np.minimum(level, last) == at]
        own = own if len(own) else np.array([CELLS, 2 * CELLS]) * stride
        found.append((stride, tuple(round(float(side), 2) for side in np.quantile(own, (0.25, 0.75)).clip(4.0))))
    return tuple(found)


class Heads(RoIHeads):  # type: ignore[misc]
    """The second stage; it remembers which classes the chosen regions have, so that any loss can judge them."""

    chosen: list[Tensor]

    def select_training_samples(self, proposals: Any, targets: Any) -> Any:
        """Choose regions as torchvision does."""
        found = super().select_training_samples(proposals, targets)
        self.chosen = found[2]
        return found


class Network(nn.Module):
    """Faster R-CNN whose class head learns by a loss of ours over K classes and the background (code 0).

    Source: Ren et al. 2015; Lin et al. 2017 (feature pyramid).
    """

    def __init__(self, body: Any, design: Design, *, pretrained: bool) -> None:
        super().__init__()
        strides = [stride for stride, _ in design.anchors]
        pyramid = Pyramid(body, strides, pretrained=pretrained)
        anchors = AnchorGenerator(tuple(sides for _, sides in design.anchors), (RATIOS,) * len(strides))
        pool = MultiScaleRoIAlign(
            [str(k) for k in range(len(strides))], output_size=5, sampling_ratio=2, canonical_level=3,
            canonical_scale=8 * CELLS,
        )  # fmt: skip
        head = nn.Sequential(nn.Flatten(), *_layer(WIDTH * 25, HIDDEN), *_layer(HIDDEN, HIDDEN))
        predictor = _Predictor(HIDDEN, design.n_classes + 1, cosines=design.cosines)
        self.whole = FasterRCNN(
            pyramid, image_mean=list(design.mean), image_std=list(design.std), _skip_resize=True,
            rpn_anchor_generator=anchors, box_roi_pool=pool, box_head=head, box_predictor=predictor,
            rpn_head=RPNHead(WIDTH, anchors.num_anchors_per_location()[0]),
            rpn_pre_nms_top_n_train=400, rpn_post_nms_top_n_train=200, rpn_pre_nms_top_n_test=400,
            rpn_post_nms_top_n_test=200, rpn_batch_size_per_image=128, rpn_fg_iou_thresh=0.6,
        )  # fmt: skip
        self.whole.roi_heads = Heads(
            pool, head, predictor, 0.5, 0.5, 64, 0.5, None, design.score, design.overlap, design.most
        )

    def losses(self, images: list[Tensor], targets: list[dict[str, Tensor]], loss: nn.Module) -> dict[str, Tensor]:
        """Return the parts of the loss; ``loss`` judges the classes of the chosen regions."""
        found: dict[str, Tensor] = self.whole(images, targets)
        heads: Any = self.whole.roi_heads
        found["loss_classifier"] = loss(heads.box_predictor.said, torch.cat(heads.chosen))
        return found

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        """Return boxes, labels and scores of each picture."""
        found: list[dict[str, Tensor]] = self.whole(images)
        return found


def _layer(before: int, width: int) -> tuple[nn.Module, ...]:
    """Return a layer that stays alive: without the norm, a few steps on background alone silence every unit."""
    return nn.Linear(before, width), nn.LayerNorm(width), nn.ReLU()


class _Predictor(nn.Module):
    """Classes and corners of regions, in single precision."""

    def __init__(self, width: int, n_classes: int, *, cosines: bool) -> None:
        super().__init__()
        self.classes: Any = cosine_head(width, n_classes, SCALE) if cosines else nn.Linear(width, n_classes)
        self.corners = nn.Linear(width, 4 * n_classes)
        if not cosines:
            nn.init.normal_(self.classes.weight, std=0.01)
            nn.init.zeros_(self.classes.bias)
            self.classes.bias.data[0] = float(np.log(3 * (n_classes - 1)))  # three of four regions are background
        nn.init.normal_(self.corners.weight, std=0.001)
        nn.init.zeros_(self.corners.bias)
        self.said = torch.zeros(0)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        self.said = self.classes(features).float()
        return self.said, self.corners(features).float()
