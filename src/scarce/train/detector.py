"""Training of a detector: boxes with classes and scores."""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final, Literal, final

import numpy as np

from scarce.dataset import Array, Dataset, FoldView
from scarce.errors import ConfigError
from scarce.extras import need
from scarce.lineage import canonical_json, digest
from scarce.loss_spec import LossSpec
from scarce.modality import open_samples
from scarce.train._base import AbstractTrainer, Setup, refuse_out_of_range
from scarce.train._boxes import BoxModel, Drawn, card_of, chosen_rows, held_out, tell_absent
from scarce.train._named_loss import ClassWeights, LossName, loss_of
from scarce.train._tracking import follower
from scarce.train.model import Model

WHO: Final = "train.detector"
STEPS: Final = 600


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
    score: float = 0.02
    overlap: float = 0.5
    most: int = 100
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        refuse_out_of_range(WHO, self, {
            "size": (32, 8192), "crop": (0, 8192), "epochs": (1, 100_000), "minutes": (1e-9, 1e6), "batch": (1, 1024),
            "learning_rate": (1e-9, 10.0), "weight_decay": (0.0, 10.0), "ema": (0.0, 0.99999), "score": (0.0, 1.0),
            "overlap": (0.0, 1.0), "most": (1, 10_000),
        })  # fmt: skip
        if 0 < self.crop < 32:
            raise ConfigError(WHO, f"crop = {self.crop} is too small", do="give 0 for whole pictures, or 32 and more")

    def fit(self, view: FoldView, *, seed: int = 0, setup: Setup | None = None) -> Model:
        """Train on the training side of the fold."""
        need("torchvision", extra="train")
        from scarce.train import _detection_body as bodies
        from scarce.train import _detection_loop as loop
        from scarce.train._detection_network import Network
        from scarce.train._device import choose_device, reproducible
        from scarce.train.loss import ImbalanceLoss

        started = time.perf_counter()
        device, setup = choose_device(self.device), setup or Setup()
        train = view.train
        sets, used, held = chosen_rows(train, setup, WHO)
        card = card_of(view, "detector", self.params(), [sets[row] for row in used], seed=seed)
        tell_absent(card)
        counts = np.array([card["data"]["counts"][name]["boxes"] for name in card["classes"]], np.float64)
        spec = loss_of(setup.loss or self.loss, counts, class_weights=self.class_weights)
        size = self.size or min(640, _longest(train, used))
        policy = self._policy(setup)
        name = bodies.resolve(self.network, self.pretrained)
        with reproducible(seed, device):
            built = bodies.build(name, len(card["classes"]), self.pretrained)
            pictures = loop.Pictures(
                len(used), lambda k: opened(train, int(used[k]), sets[int(used[k])], size),
                lambda pair, k, epoch, rng: self._changed(pair, (policy, train.ids[used[k]], seed, epoch), rng),
            )  # fmt: skip
            design = self._design(built, spec, [pictures.open(k)[1] for k in range(len(used))], len(card["classes"]))
            plan = loop.Plan(
                epochs=self.epochs or max(1, round(STEPS * self.batch / len(used))), batch=self.batch,
                learning_rate=self.learning_rate, weight_decay=self.weight_decay, ema=self.ema,
                seconds=None if self.minutes is None else max(1.0, 60 * self.minutes - time.perf_counter() + started),
                pretrained=built.weights != "scratch",
            )  # fmt: skip
            net = Network(built.module, design, pretrained=plan.pretrained, frozen=plan.pretrained and not self.tune)
            course = loop.run(
                net, pictures, plan, ImbalanceLoss.from_spec(spec), seed=seed, device=device,
                checkpoint=self._checkpoint(setup, card, (train.ids[used], [sets[row] for row in used])),
                follow=follower(setup.tracking, setup.checkpoint, card),
            )  # fmt: skip
        card |= {
            "network": name, "weights_from": built.weights, "size": size, "design": asdict(design), "device": device,
            "augment": getattr(policy, "name", self.augment), "loss": asdict(spec), "history": course.history,
            "epochs": course.epoch, "steps": course.step,
        }  # fmt: skip
        model = DetectorModel(card=card, net=course.average)
        return model.stamped(metrics=held_out(model, train, held, sets))

    @classmethod
    def restore(cls, card: Mapping[str, Any], tensors: Mapping[str, Array]) -> Model:
        """Rebuild the network and put the weights in."""
        torch = need("torch", extra="train")
        from scarce.train._detection_body import bare
        from scarce.train._detection_network import Design, Network

        body = bare(str(card["network"]), len(card["classes"]), str(card["weights_from"]))
        design = Design(**{**card["design"], "strides": tuple(card["design"]["strides"])})
        net = Network(body, design, pretrained=card["weights_from"] != "scratch", frozen=True)
        net.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in tensors.items()})
        return DetectorModel(card={**card, "device": "cpu"}, net=net.requires_grad_(False).eval())

    def _design(self, built: Any, spec: LossSpec, sets: Sequence[Drawn], n_classes: int) -> Any:
        from scarce.train._detection_network import Design, strides_for, strides_of

        corners = np.concatenate([one.corners for one in sets])
        sides = np.sqrt(np.prod(corners[:, 2:] - corners[:, :2], axis=1))
        return Design(
            n_classes=n_classes, strides=strides_for(sides, strides_of(built.module)), mean=built.mean or [0.5] * 3,
            std=built.std or [0.25] * 3, score=self.score, overlap=self.overlap, most=self.most,
            cosines=spec.kind == "ldam",
        )  # fmt: skip

    def _policy(self, setup: Setup) -> Any:
        found: Any = setup.online
        if found is None and self.policy:
            found = importlib.import_module("scarce.augment.policy").policy(self.policy)  # a sibling stage
        if found is not None and not hasattr(found, "draw_for"):
            raise ConfigError(WHO, f"{type(found).__name__} does not move boxes", do="give a policy of scarce.augment")
        return found.without_mixes() if found is not None else None

    def _changed(self, pair: Any, told: tuple[Any, str, int, int], rng: np.random.Generator) -> Any:
        from scarce.train import _detection_loop as loop

        policy, name, seed, epoch = told
        if self.crop:
            pair = loop.crop(pair, self.crop, rng)
        if policy is None:
            return loop.mirrored(pair, rng) if self.augment == "light" else pair
        image, boxes = pair
        key = int(digest(f"{name}:{seed}:{epoch}")[:12], 16)
        image, corners = policy.apply(np.ascontiguousarray(image), np.random.default_rng(key), None, boxes.corners)
        moved = Drawn(np.asarray(corners, np.float64), boxes.codes, boxes.scores, boxes.crowd)
        return image, moved.inside(image.shape[1], image.shape[0])

    def _checkpoint(self, setup: Setup, card: Mapping[str, Any], data: tuple[Array, Sequence[Drawn | None]]) -> Any:
        from scarce.train._checkpoint import Checkpoint

        if setup.checkpoint is None:
            return None
        what = {
            "params": {name: value for name, value in self.params().items() if name != "minutes"},
            "seed": card["seed"], "content": card["data"]["content_id"], "classes": card["classes"],
            "versions": card["versions"], "online": getattr(setup.online, "name", None),
            "loss": None if setup.loss is None else asdict(setup.loss),
        }  # fmt: skip
        parts = [part.tobytes() for one in data[1] if one is not None for part in (one.corners, one.codes)]
        return Checkpoint(setup.checkpoint, digest(canonical_json(what), "".join(data[0]), *parts))


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class DetectorModel(BoxModel):
    """A detector."""

    net: Any

    def detect(self, ds: Dataset) -> list[Drawn | None]:
        """Return N sets of boxes, the surest first; classes without a training box are never answered."""
        torch = need("torch", extra="train")
        from scarce.train._detection_loop import tensor

        out: list[Drawn | None] = [None] * len(ds)
        absent = [self.classes.index(name) for name in self.card["absent_classes"]]
        with torch.no_grad():
            for row in np.flatnonzero(ds["keep"].astype(bool)).tolist():
                image, scale = scaled(ds, row, int(self.card["size"]))
                found = self.net([tensor(image, str(self.card["device"]))])[0]
                parts = {name: value.cpu().numpy() for name, value in found.items()}
                boxes = Drawn.of(parts["boxes"] / scale, parts["labels"], parts["scores"])
                out[row] = boxes.only(~np.isin(boxes.codes, absent))
        return out

    def tensors(self) -> dict[str, Array]:
        """Return the network's weights."""
        return {name: value.detach().cpu().numpy() for name, value in self.net.state_dict().items()}


def scaled(ds: Dataset, row: int, size: int) -> tuple[Array, float]:
    """Return a picture (H, W, 3) uint8 whose longer side has ``size`` pixels, and the factor."""
    import cv2

    image: Any = np.asarray(open_samples(ds, [row])[0])
    image = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image[..., :3]
    scale = size / max(image.shape[:2])
    if scale != 1:
        shape = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
        image = cv2.resize(image, shape, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return image, scale


def opened(ds: Dataset, row: int, boxes: Drawn | None, size: int) -> tuple[Array, Drawn]:
    """Return a picture at the network's scale, and its boxes cut to it; crowds are left out."""
    image, scale = scaled(ds, row, size)
    own = boxes if boxes is not None else Drawn.of([], [])
    moved = Drawn(own.corners * scale, own.codes, own.scores, own.crowd).only(~own.crowd)
    return image, moved.inside(image.shape[1], image.shape[0])


def _longest(ds: Dataset, rows: Array) -> int:
    sides = [np.asarray(open_samples(ds, [int(row)])[0]).shape[:2] for row in rows[:50]]
    return int(max(max(side) for side in sides))
