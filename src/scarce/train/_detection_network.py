"""FCOS of torchvision behind any network of ours or of timm, with our losses on its classes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import FeaturePyramidNetwork

from scarce.dataset import Floats
from scarce.errors import TrainError
from scarce.train._named_loss import SCALE
from scarce.train._network import cosine_head

STRIDES: Final = (4, 8, 16, 32)
"""Of the levels that a pyramid may have."""
CELLS: Final = 3
"""A level is used where boxes have so many cells."""
WIDTH, LAYERS = 64, 2
REACH: Final = 2.0
"""Cells from the middle of a box to its sides that training begins with: from none, a box overlaps its object so little
that hardly anything is learned."""
RARE: Final = 0.01
"""Share of cells with an object that training begins with."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """What a detector is built from, besides its backbone.

    Args:
        n_classes: K, without the background.
        strides: of the levels that are searched, finest first.
        mean, std: of the pixels on the scale 0 to 1.
        score: boxes below it are not given out.
        overlap: of two boxes of a class that overlap more, the surer one is kept.
        most: boxes a picture.
        cosines: the class head gives cosines with its weights, as ldam needs.
    """

    n_classes: int
    strides: tuple[int, ...]
    mean: Sequence[float]
    std: Sequence[float]
    score: float = 0.02
    overlap: float = 0.5
    most: int = 100
    cosines: bool = False


class Pyramid(nn.Module):
    """The maps of a network at some strides, brought to one width, each with what the next coarser one sees around.

    The finest also gets the map twice as fine, folded into it: there the edges are that say where a box ends.

    Args:
        body: a network of timm; its layers behind the last map that is used are not computed.
        strides: of the maps that are given, finest first.
        pretrained: batch norm keeps its statistics, as small batches need it.
        frozen: the body keeps its weights.
    """

    def __init__(self, body: Any, strides: Sequence[int], *, pretrained: bool, frozen: bool) -> None:
        super().__init__()
        self.body, self.pretrained, self.frozen, self.out_channels = body, pretrained, frozen, WIDTH
        body.requires_grad_(not frozen)
        maps, self.levels = maps_of(body), len(strides)
        used = [*strides, *[stride for stride in STRIDES if stride in maps and stride > strides[-1]][:2]]
        finer = strides[0] // 2
        self.places = [maps[stride][0] for stride in used]
        self.edges = None
        if finer in maps:
            self.places.insert(0, maps[finer][0])
            self.edges = nn.Sequential(nn.Conv2d(maps[finer][1], WIDTH, 3, 2, 1, bias=False), _norm(WIDTH))
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
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            maps = self.body.forward_intermediates(
                images.contiguous(memory_format=torch.channels_last), indices=self.places, stop_early=True,
                intermediates_only=True,
            )  # fmt: skip
        coarse = maps if self.edges is None else maps[1:]
        found: OrderedDict[str, Tensor] = self.neck(OrderedDict((str(k), one) for k, one in enumerate(coarse)))
        if self.edges is not None:
            found["0"] = found["0"] + self.edges(maps[0])
        return OrderedDict(list(found.items())[: self.levels])


def _norm(width: int) -> nn.Module:
    return nn.GroupNorm(8, width)


def maps_of(body: Any) -> dict[int, tuple[int, int]]:
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


def strides_of(body: Any) -> tuple[int, ...]:
    """Return the strides that the pyramid of a network can have.

    Raises:
        TrainError: none.
    """
    there = maps_of(body)
    found = tuple(stride for stride in STRIDES if stride in there)
    if not found:
        raise TrainError("train.detector", f"{type(body).__name__} has no maps of stride 4, 8, 16 or 32",
                         f"its strides are {sorted(there)}", "take another network")  # fmt: skip
    return found


def strides_for(sides: Floats, strides: Sequence[int]) -> tuple[int, ...]:
    """Return the levels that boxes of these sides (B,) need, finest first.

    The finest shows nearly every box by ``CELLS`` cells and more; the coarsest still gives a box of 16 cells whole.
    """
    if not len(sides):
        return tuple(strides)
    small, large = np.quantile(sides, (0.05, 0.98))
    first = max((at for at, stride in enumerate(strides) if small >= CELLS * stride), default=0)
    last = next((at for at, stride in enumerate(strides) if large <= 4 * CELLS * stride), len(strides) - 1)
    return tuple(strides[first : max(first, last) + 1])


class Classes(nn.Module):
    """Whether there is an object at a cell, and of which class it would be: code 0, and K more of any loss of ours.

    Both are answered from one tower. Apart, the many cells without an object do not drown the rare classes.
    """

    def __init__(self, n_classes: int, *, cosines: bool) -> None:
        super().__init__()
        self.tower = nn.Sequential(*[part for _ in range(LAYERS) for part in _layer()])
        self.objects = nn.Linear(WIDTH, 1)
        nn.init.normal_(self.objects.weight, std=0.01)
        nn.init.constant_(self.objects.bias, float(np.log(RARE / (1 - RARE))))
        self.classes: Any = cosine_head(WIDTH, n_classes, SCALE) if cosines else nn.Linear(WIDTH, n_classes)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Return (B, cells, 1 + K) logits; not in training (B, cells, K) logits of object and class at once."""
        features = torch.cat([self.tower(level).flatten(2).mT for level in levels], 1)
        there, classes = self.objects(features).float(), self.classes(features).float()
        return torch.cat([there, classes], -1) if self.training else joint(there, classes)


def joint(there: Tensor, classes: Tensor) -> Tensor:
    """Return (..., K) logits of object and class at once from (..., 1) of the object and (..., K) of its class."""
    both = (functional.logsigmoid(there) + classes.log_softmax(-1)).clamp(max=-1e-6)
    out: Tensor = both - torch.log(-torch.expm1(both))
    return out


class Head(FCOSHead):  # type: ignore[misc]
    """The head of FCOS whose classes learn by a loss of ours at the cells with an object."""

    def __init__(self, n_classes: int, *, cosines: bool) -> None:
        super().__init__(WIDTH, 1, 1, LAYERS)
        self.classification_head = Classes(n_classes, cosines=cosines)
        nn.init.constant_(self.regression_head.bbox_reg.bias, REACH)
        self.judge: Any = None

    def compute_loss(self, targets: Any, head_outputs: Any, anchors: Any, matched_idxs: Any) -> dict[str, Tensor]:
        """Return the parts of the loss."""
        said = head_outputs["cls_logits"]
        objects = [{**target, "labels": torch.zeros_like(target["labels"])} for target in targets]
        parts: dict[str, Tensor] = super().compute_loss(
            objects, {**head_outputs, "cls_logits": said[..., :1]}, anchors, matched_idxs
        )
        parts["objects"] = parts.pop("classification")
        there = torch.stack(matched_idxs) >= 0
        labels = [target["labels"][index[index >= 0]] for target, index in zip(targets, matched_idxs, strict=True)]
        parts["classes"] = self.judge(said[there][:, 1:], torch.cat(labels)) if bool(there.any()) else 0 * said.sum()
        return parts


class AsGiven(GeneralizedRCNNTransform):  # type: ignore[misc]
    """Pictures are normalized and keep their size; torchvision enlarges those that it does not train on."""

    def resize(self, image: Tensor, target: Any = None) -> tuple[Tensor, Any]:
        """Return both as they are."""
        return image, target


class Network(nn.Module):
    """FCOS whose classes learn by a loss of ours.

    Source: Tian et al. 2019 (FCOS); Lin et al. 2017 (feature pyramid).
    """

    def __init__(self, body: Any, design: Design, *, pretrained: bool, frozen: bool) -> None:
        super().__init__()
        strides = design.strides
        self.whole = FCOS(
            Pyramid(body, strides, pretrained=pretrained, frozen=frozen), design.n_classes,
            image_mean=list(design.mean), image_std=list(design.std),
            anchor_generator=AnchorGenerator(tuple((stride,) for stride in strides), ((1.0,),) * len(strides)),
            head=Head(design.n_classes, cosines=design.cosines), score_thresh=design.score, nms_thresh=design.overlap,
            detections_per_img=design.most, topk_candidates=4 * design.most,
        )  # fmt: skip
        own = self.whole.transform
        self.whole.transform = AsGiven(own.min_size, own.max_size, own.image_mean, own.image_std)

    @property
    def body(self) -> Any:
        """The network behind the pyramid."""
        return self.whole.backbone.body

    def losses(self, images: list[Tensor], targets: list[dict[str, Tensor]], loss: nn.Module) -> dict[str, Tensor]:
        """Return the parts of the loss; ``loss`` judges the classes."""
        self.whole.head.judge = loss.__call__
        found: dict[str, Tensor] = self.whole(images, targets)
        return found

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        """Return boxes, labels and scores of each picture."""
        found: list[dict[str, Tensor]] = self.whole(images)
        return found


def _layer() -> tuple[nn.Module, ...]:
    return nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False), _norm(WIDTH), nn.ReLU()
