"""Training of RT-DETR: boxes without a search for the surest of many."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, final

from scarce.dataset import Array, FoldView
from scarce.errors import UnknownNameError
from scarce.extras import need
from scarce.loss_spec import LossSpec
from scarce.train._base import AbstractTrainer, Setup, refuse_out_of_range
from scarce.train._detection_work import LIMITS, Work, restored
from scarce.train._named_loss import ClassWeights, LossName
from scarce.train.model import Model

WHO: Final = "train.rt_detr"
FRESH, TRAINED = 5e-4, 1e-4
"""Learning rates of a transformer that starts anew, and of a checkpoint."""


@final
@dataclass(frozen=True, kw_only=True)
class RtDetr(AbstractTrainer):
    """Train RT-DETR: a transformer that asks for boxes, behind any network of ours or of timm, or a whole checkpoint.

    Use when an accelerator is at hand and a checkpoint of RT-DETR, or when objects overlap so much that ``detector``
    drops some. Do not use for a first look on a processor: ``detector`` learns from fewer pictures in less time.

    Needs: pictures with ``meta.boxes``; ``[]`` means somebody looked and found nothing; where nobody looked, pictures
    are left out. Rows of split ``val`` on the training side are not trained on: they say when to stop, and the average
    precision on them goes into the card.
    Writes: a model that draws boxes. Same seed, data, machine and number of threads give the same weights, unless
    ``minutes`` cuts in.
    Source: Zhao et al. 2024 (RT-DETR); Lv et al. 2024 (RT-DETRv2), from Transformers. RT-DETR asks each class apart
    whether it is there; here one answer says whether an object is there, by its varifocal loss, and a softmax of which
    class, by any loss of :mod:`scarce.train.loss`.

    Args:
        network: ``auto``, ``small_resnet`` or a name of timm, behind which the transformer starts anew; or an RT-DETR
            of the hub (``PekingU/rtdetr_v2_r18vd``) or of a folder.
        pretrained: ``auto`` (weights if they can be had), ``yes``, ``no`` or a weight file; our small ones have none.
        tune: whether a pretrained network learns too, and not the transformer alone: a step takes longer.
        size: pixels that the longer side is brought to; None = the pictures' own, at most 640.
        epochs: None = about 600 steps.
        minutes: time budget; the schedule then ends on time. None = none.
        batch: pictures a step.
        learning_rate: of the transformer; a pretrained network that learns too does at a tenth of it. None = .0005, or
            .0001 for a checkpoint.
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

    extra: ClassVar[str | None] = "detr"
    modalities: ClassVar[tuple[str, ...]] = ("image",)
    task: ClassVar[str] = "boxes"

    network: str = "auto"
    pretrained: str = "auto"
    tune: bool = False
    size: int | None = None
    epochs: int | None = None
    minutes: float | None = None
    batch: int = 4
    learning_rate: float | None = None
    weight_decay: float = 1e-4
    loss: LossSpec | LossName = "cross_entropy"
    class_weights: ClassWeights | None = None
    augment: Literal["light", "none"] = "light"
    policy: str | None = None
    ema: float = 0.995
    patience: int = 3
    score: float = 0.02
    overlap: float = 0.7
    most: int = 100
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        refuse_out_of_range(WHO, self, LIMITS)

    def fit(self, view: FoldView, *, seed: int = 0, setup: Setup | None = None) -> Model:
        """Train on the training side of the fold."""
        need("transformers", extra="detr")
        need("torchvision", extra="detr")
        from scarce.train import _rt_detr_network as networks
        from scarce.train._detection_loop import Plan
        from scarce.train._device import choose_device, reproducible

        started, device = time.perf_counter(), choose_device(self.device)
        work = Work.of(self, view, setup, seed)
        with reproducible(seed, device):
            whole, told, (mean, std) = self._built(len(work.card["classes"]))
            look = networks.Look(
                side=-(-work.size // networks.GRID) * networks.GRID, mean=mean, std=std, score=self.score,
                overlap=self.overlap, most=self.most, cosines=work.spec.kind == "ldam",
            )  # fmt: skip
            trained = told["trained"] != "nothing"
            net = networks.Network(whole, look, trained=told["trained"], frozen=trained and not self.tune)
            usual = TRAINED if told["trained"] == "whole" else FRESH
            plan = Plan(
                epochs=work.epochs(), batch=self.batch, learning_rate=self.learning_rate or usual,
                weight_decay=self.weight_decay, ema=self.ema, patience=self.patience,
                seconds=None if self.minutes is None else max(1.0, 60 * self.minutes - time.perf_counter() + started),
                pretrained=trained,
            )  # fmt: skip
            course = work.learn(net, work.pictures(crop=0), plan, device)
        return work.model(course, {**told, "look": asdict(look), "config": networks.described(whole)}, device)

    @classmethod
    def restore(cls, card: Mapping[str, Any], tensors: Mapping[str, Array]) -> Model:
        """Rebuild the network and put the weights in; nothing is fetched."""
        need("transformers", extra="detr")
        need("torchvision", extra="detr")
        from scarce.train import _rt_detr_network as networks

        whole, n_classes = networks.bare(card["config"]), len(card["classes"])
        if not card["checkpoint"]:
            from scarce.train._detection_body import bare

            body = bare(str(card["network"]), n_classes, str(card["weights_from"]))
            whole.backbone = networks.Maps(body, card["config"]["feat_strides"])
        net = networks.Network(whole, networks.Look(**card["look"]), trained=card["trained"], frozen=True)
        return restored(card, tensors, net)

    def _built(self, n_classes: int) -> tuple[Any, dict[str, Any], Any]:
        """Return the module, what the card says of it, and mean and deviation of the pixels that it expects."""
        from scarce.train import _detection_body as bodies
        from scarce.train import _rt_detr_network as networks

        name, plain = self.network, ([0.5] * 3, [0.25] * 3)
        if "/" in name or Path(name).is_dir():
            weights = self.pretrained != "no"
            whole = networks.whole_of(name, n_classes, weights=weights)
            told = {"network": name, "checkpoint": True, "weights_from": name if weights else "scratch"}
            return whole, {**told, "trained": "whole" if weights else "nothing"}, ([0.0] * 3, [1.0] * 3)
        try:
            name = bodies.resolve(name, self.pretrained)
        except UnknownNameError as error:
            do = f"{error.do}; a checkpoint is a folder, or a name of the hub, which has a slash"
            raise UnknownNameError(WHO, error.what, error.there, do) from None
        built = bodies.build(name, n_classes, self.pretrained)
        told = {"network": name, "checkpoint": False, "weights_from": built.weights,
                "trained": "nothing" if built.weights == "scratch" else "body"}  # fmt: skip
        whole = networks.fresh(built.module, n_classes)
        return whole, told, (built.mean or plain[0], built.std or plain[1])
