"""Training of a detector: boxes with classes and scores."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final, Literal, final

import numpy as np

from scarce.dataset import Array, FoldView
from scarce.errors import ConfigError
from scarce.extras import need
from scarce.loss_spec import LossSpec
from scarce.train._base import AbstractTrainer, Setup, refuse_out_of_range
from scarce.train._detection_work import LIMITS, Work, restored
from scarce.train._named_loss import ClassWeights, LossName
from scarce.train.model import Model

WHO: Final = "train.detector"


@final
@dataclass(frozen=True, kw_only=True)
class Detector(AbstractTrainer):
    """Train a detector of objects or defects: FCOS of torchvision behind any network of ours or of timm.

    Use when objects or defects are marked by boxes. Do not use for classes of whole pictures, or masks without boxes.

    Needs: pictures with ``meta.boxes`` (COCO, YOLO, VOC, a column of boxes). ``[]`` means somebody looked and found
    nothing: such pictures are background; where nobody looked, pictures are left out. Rows of split ``val`` on the
    training side are not trained on; the average precision on them goes into the card.
    Writes: a model that draws boxes. Same seed, data, machine and number of threads give the same weights, unless
    ``minutes`` cuts in.
    Source: Tian et al. 2019 (FCOS); Lin et al. 2017 (feature pyramid), of which the training boxes choose the levels.
    FCOS asks each class apart whether it is there; here one answer says whether an object is there, by its focal loss,
    and a softmax of which class, by any loss of :mod:`scarce.train.loss`.

    Args:
        network: ``auto``, ``small_resnet``, ``small_convnext``, a name of timm, or a detector of torchvision, of which
            the backbone and pyramid are taken (``fcos_resnet50_fpn``, ``retinanet_resnet50_fpn_v2``,
            ``fasterrcnn_resnet50_fpn`` ...).
        pretrained: ``auto`` (weights if they can be had), ``yes``, ``no`` or a weight file; our small ones have none.
        tune: whether a pretrained network learns too, and not its head alone: a step takes three times as long.
        size: pixels that the longer side is brought to; None = the pictures' own, at most 640.
        crop: side in pixels of the parts that are trained on; 0 = whole pictures. A smaller part is a faster step.
        epochs: None = about 600 steps.
        minutes: time budget; the schedule then ends on time. None = none.
        batch: pictures a step.
        learning_rate: of the head; a pretrained network that learns too does at a tenth of it.
        weight_decay: >= 0.
        loss: of the classes, by name.
        class_weights: ``auto`` or one weight a class.
        augment: ``light`` (mirrored pictures) or ``none``.
        policy: preset or file of :mod:`scarce.augment` in place of ``augment``; its mixes are left out.
        ema: decay of the weights' moving average per step; 0 = off.
        patience: looks at the held-back pictures, of at most eight, without a better average precision before training
            stops; the best weights are kept.
        score: boxes below it are not given out.
        overlap: of two boxes of one class that overlap more, the surer one is kept.
        most: boxes a picture.
        device: auto, cpu, cuda, cuda:1, mps.
    """

    extra: ClassVar[str | None] = "train"
    modalities: ClassVar[tuple[str, ...]] = ("image",)
    task: ClassVar[str] = "boxes"

    network: str = "auto"
    pretrained: str = "auto"
    tune: bool = False
    size: int | None = None
    crop: int = 320
    epochs: int | None = None
    minutes: float | None = None
    batch: int = 4
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    loss: LossSpec | LossName = "cross_entropy"
    class_weights: ClassWeights | None = None
    augment: Literal["light", "none"] = "light"
    policy: str | None = None
    ema: float = 0.995
    patience: int = 3
    score: float = 0.02
    overlap: float = 0.5
    most: int = 100
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        refuse_out_of_range(WHO, self, {**LIMITS, "crop": (0, 8192)})
        if 0 < self.crop < 32:
            raise ConfigError(WHO, f"crop = {self.crop} is too small", do="give 0 for whole pictures, or 32 and more")

    def fit(self, view: FoldView, *, seed: int = 0, setup: Setup | None = None) -> Model:
        """Train on the training side of the fold."""
        need("torchvision", extra="train")
        from scarce.train import _detection_body as bodies
        from scarce.train._detection_loop import Plan
        from scarce.train._detection_network import Network
        from scarce.train._device import choose_device, reproducible

        started, device = time.perf_counter(), choose_device(self.device)
        work = Work.of(self, view, setup, seed)
        name, n_classes = bodies.resolve(self.network, self.pretrained), len(work.card["classes"])
        with reproducible(seed, device):
            built = bodies.build(name, n_classes, self.pretrained)
            design = self._design(built, work, n_classes)
            plan = Plan(
                epochs=work.epochs(), batch=self.batch, learning_rate=self.learning_rate,
                weight_decay=self.weight_decay, ema=self.ema, patience=self.patience,
                seconds=None if self.minutes is None else max(1.0, 60 * self.minutes - time.perf_counter() + started),
                pretrained=built.weights != "scratch",
            )  # fmt: skip
            net = Network(built.module, design, pretrained=plan.pretrained, frozen=plan.pretrained and not self.tune)
            course = work.learn(net, work.pictures(crop=self.crop), plan, device)
        return work.model(course, {"network": name, "weights_from": built.weights, "design": asdict(design)}, device)

    @classmethod
    def restore(cls, card: Mapping[str, Any], tensors: Mapping[str, Array]) -> Model:
        """Rebuild the network and put the weights in."""
        need("torchvision", extra="train")
        from scarce.train._detection_body import bare
        from scarce.train._detection_network import Design, Network

        body = bare(str(card["network"]), len(card["classes"]), str(card["weights_from"]))
        design = Design(**{**card["design"], "strides": tuple(card["design"]["strides"])})
        return restored(card, tensors, Network(body, design, pretrained=card["weights_from"] != "scratch", frozen=True))

    def _design(self, built: Any, work: Work, n_classes: int) -> Any:
        from scarce.train._detection_network import Design, strides_for, strides_of

        corners = np.concatenate([work.open(k)[1].corners for k in range(len(work.used))])
        sides = np.sqrt(np.prod(corners[:, 2:] - corners[:, :2], axis=1))
        return Design(
            n_classes=n_classes, strides=strides_for(sides, strides_of(built.module)), mean=built.mean or [0.5] * 3,
            std=built.std or [0.25] * 3, score=self.score, overlap=self.overlap, most=self.most,
            cosines=work.spec.kind == "ldam",
        )  # fmt: skip
