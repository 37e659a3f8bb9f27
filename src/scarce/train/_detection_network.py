"""A small Faster R-CNN of torchvision behind any network of ours or of timm, with our losses on its class head."""

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
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

from scarce.dataset import Floats
from scarce.errors import TrainError
from scarce.train._named_loss import SCALE
from scarce.train._network import cosine_head

STRIDES: Final = (8, 16, 32)
"""Of the levels of the pyramid, those of them that a network has."""
WIDTH, HIDDEN = 96, 256
RATIOS: Final = (0.5, 1.0, 2.0)


@dataclass(frozen=True, kw_only=True)
class Design:
    """What a detector is built from, besides its backbone.

    Args:
        n_classes: K, without the background.
        anchors: sides in pixels, one for each level.
        mean, std: of the pixels on the scale 0 to 1.
        score: boxes below it are not given out.
        overlap: of two boxes of a class that overlap more, the surer one is kept.
        most: boxes a picture.
        cosines: the class head gives cosines with its weights, as ldam needs.
    """

    n_classes: int
    anchors: tuple[float, ...]
    mean: Sequence[float]
    std: Sequence[float]
    score: float = 0.02
    overlap: float = 0.5
    most: int = 100
    cosines: bool = False


class Pyramid(nn.Module):
    """The maps of a network at strides 8 to 32, brought to one width.

    Args:
        body: a network of timm; what lies behind its last map is not used.
        frozen: batch norm keeps its statistics, as small batches need it behind pretrained weights.
    """

    def __init__(self, body: Any, *, frozen: bool) -> None:
        super().__init__()
        self.body, self.frozen, self.out_channels = body, frozen, WIDTH
        body.requires_grad_(True)
        self.places, widths, self.strides = _levels(body)
        self.neck = FeaturePyramidNetwork(widths, WIDTH)

    def train(self, mode: bool = True) -> Pyramid:  # noqa: FBT001, FBT002  as torch has it
        """Set the mode; frozen batch norm stays as it is."""
        super().train(mode)
        if self.frozen:
            for part in self.body.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    part.eval()
        return self

    def forward(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the levels, finest first."""
        maps = self.body.forward_intermediates(images, intermediates_only=True)
        found: Mapping[str, Tensor] = self.neck(OrderedDict((str(k), maps[at]) for k, at in enumerate(self.places)))
        return found


def _levels(body: Any) -> tuple[list[int], list[int], list[int]]:
    """Return which of a network's maps have the wanted strides, their widths and strides."""
    if not hasattr(body, "forward_intermediates"):
        raise TrainError("train.detector", f"{type(body).__name__} does not give its maps", do="take another network")
    mode, side = body.training, 64
    body.eval()
    with torch.no_grad():
        maps = body.forward_intermediates(torch.zeros(1, 3, side, side), intermediates_only=True)
    body.train(mode)
    found: dict[int, tuple[int, int]] = {}
    for at, one in enumerate(maps):
        if one.ndim == 4 and side % one.shape[2] == 0:
            found[side // one.shape[2]] = (at, int(one.shape[1]))
    strides = [stride for stride in STRIDES if stride in found]
    if not strides:
        raise TrainError("train.detector", f"{type(body).__name__} has no maps of stride 8, 16 or 32",
                         f"its strides are {sorted(found)}", "take another network")  # fmt: skip
    return [found[s][0] for s in strides], [found[s][1] for s in strides], strides


class Heads(RoIHeads):
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

    def __init__(self, body: Any, design: Design, *, frozen: bool) -> None:
        super().__init__()
        pyramid = Pyramid(body, frozen=frozen)
        anchors = AnchorGenerator(tuple((side,) for side in design.anchors), (RATIOS,) * len(design.anchors))
        pool = MultiScaleRoIAlign([str(k) for k in range(len(design.anchors))], output_size=5, sampling_ratio=2)
        head = nn.Sequential(nn.Flatten(), nn.Linear(WIDTH * 25, HIDDEN), nn.ReLU())
        predictor = _Predictor(HIDDEN, design.n_classes + 1, cosines=design.cosines)
        self.whole = FasterRCNN(
            pyramid, image_mean=list(design.mean), image_std=list(design.std), _skip_resize=True,
            rpn_anchor_generator=anchors, box_roi_pool=pool, box_head=head, box_predictor=predictor,
            rpn_pre_nms_top_n_train=600, rpn_post_nms_top_n_train=200, rpn_pre_nms_top_n_test=600,
            rpn_post_nms_top_n_test=200, rpn_batch_size_per_image=128,
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


class _Predictor(nn.Module):
    """Classes and corners of regions, in single precision."""

    def __init__(self, width: int, n_classes: int, *, cosines: bool) -> None:
        super().__init__()
        self.classes: Any = cosine_head(width, n_classes, SCALE) if cosines else nn.Linear(width, n_classes)
        self.corners = nn.Linear(width, 4 * n_classes)
        self.said = torch.zeros(0)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        self.said = self.classes(features).float()
        return self.said, self.corners(features).float()


def anchors_for(sides: Floats, n_levels: int) -> tuple[float, ...]:
    """Return one side in pixels a level: quantiles of the sides of the training boxes, so that small ones are seen."""
    if not len(sides):
        return tuple(float(8 * 4 * 2**level) for level in range(n_levels))
    shares = (np.arange(n_levels) + 0.5) / n_levels
    found = np.quantile(sides, shares).clip(4.0)
    return tuple(round(float(side), 2) for side in found)


def n_levels(body: Any) -> int:
    """Return how many levels the pyramid of a network has."""
    return len(_levels(body)[0])
