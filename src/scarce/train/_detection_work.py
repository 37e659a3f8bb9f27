"""What our detectors have in common: the pictures that they learn from, when to stop, and the model that comes out."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, final

import numpy as np

from scarce.dataset import Array, Dataset, FoldView
from scarce.errors import ConfigError
from scarce.extras import need
from scarce.lineage import canonical_json, digest
from scarce.loss_spec import LossSpec
from scarce.modality import open_samples
from scarce.train._base import AbstractTrainer, Setup
from scarce.train._boxes import BoxModel, Drawn, card_of, chosen_rows, held_out, tell_absent
from scarce.train._named_loss import loss_of
from scarce.train._tracking import follower
from scarce.train.model import Model

STEPS: Final = 600
"""Of a training whose epochs nobody chose."""
LIMITS: Final = {
    "size": (32, 8192), "epochs": (1, 100_000), "minutes": (1e-9, 1e6), "batch": (1, 1024),
    "learning_rate": (1e-9, 10.0), "weight_decay": (0.0, 10.0), "ema": (0.0, 0.99999), "patience": (1, 100_000),
    "score": (0.0, 1.0), "overlap": (0.0, 1.0), "most": (1, 10_000),
}  # fmt: skip
"""Least and most of the settings that all of them have."""
SEEN: Final = 64
"""Held-back pictures that are looked at while training goes on; in the end all are."""


@final
@dataclass(frozen=True, eq=False)
class Work:
    """A training of a detector.

    Attributes:
        who: for messages.
        trainer: with its settings, of which it has those in :data:`LIMITS`, ``loss``, ``class_weights``, ``augment``
            and ``policy``.
        train: the training side.
        setup: what the trainer is told.
        seed: of everything random.
        sets: (N,) boxes of all rows.
        used, held: rows to train on, and those that are held back.
        card: of the model, with what is known before training.
        spec: the loss of the classes.
        size: pixels of the longer side.
        policy: an augmentation of :mod:`scarce.augment`, or None.
    """

    who: str
    trainer: Any
    train: Dataset
    setup: Setup
    seed: int
    sets: Sequence[Drawn | None]
    used: Array
    held: Array
    card: dict[str, Any]
    spec: LossSpec
    size: int
    policy: Any

    @classmethod
    def of(cls, trainer: AbstractTrainer, view: FoldView, setup: Setup | None, seed: int) -> Work:
        """Look at the data.

        Raises:
            TrainError: there is nothing to train on.
            ConfigError: an augmentation that does not move boxes.
        """
        own: Any = trainer
        name, train, setup = trainer.plugin_name(), view.train, setup or Setup()
        who = f"train.{name}"
        sets, used, held = chosen_rows(train, setup, who)
        card = card_of(view, name, trainer.params(), [sets[row] for row in used], seed=seed)
        tell_absent(card)
        counts = np.array([card["data"]["counts"][name]["boxes"] for name in card["classes"]], np.float64)
        spec = loss_of(setup.loss or own.loss, counts, class_weights=own.class_weights)
        size = own.size or min(640, _longest(train, used))
        return cls(
            who, own, train, setup, seed, sets, used, held, card, spec, size, _policy(setup, own.policy, who)
        )  # fmt: skip

    def pictures(self, *, crop: int) -> Any:
        """Return what is learnt: pictures at the network's scale; parts of them where ``crop`` is not 0."""
        from scarce.train._detection_loop import Pictures

        return Pictures(len(self.used), self.open, lambda pair, k, epoch, rng: self._changed(pair, k, epoch, rng, crop))

    def open(self, k: int) -> tuple[Array, Drawn]:
        """Return one of the pictures that are learnt, with its boxes."""
        row = int(self.used[k])
        return opened(self.train, row, self.sets[row], self.size)

    def epochs(self) -> int:
        """Return the passes over the pictures."""
        return int(self.trainer.epochs or max(1, round(STEPS * self.trainer.batch / len(self.used))))

    def learn(self, net: Any, pictures: Any, plan: Any, device: str) -> Any:
        """Train, and stop where the held-back pictures say so; see :func:`scarce.train._detection_loop.run`."""
        from scarce.train import _detection_loop as loop
        from scarce.train.loss import ImbalanceLoss

        kept, follow = self.setup.checkpoint, follower(self.setup.tracking, self.setup.checkpoint, self.card)
        return loop.run(
            net, pictures, plan, ImbalanceLoss.from_spec(self.spec), seed=self.seed, device=device,
            checkpoint=None if kept is None else self._checkpoint(), follow=follow, look=self._look(device),
        )  # fmt: skip

    def model(self, course: Any, told: Mapping[str, Any], device: str) -> Model:
        """Return the model with its figures on all held-back pictures.

        Args:
            course: of the training.
            told: what the card says of the network.
            device: it was trained on.
        """
        card = self.card | {
            "size": self.size, "device": device, "augment": getattr(self.policy, "name", self.trainer.augment),
            "loss": asdict(self.spec), "history": course.history, "epochs": course.epoch, "steps": course.step,
            "best_epoch": course.best_epoch, **told,
        }  # fmt: skip
        model = DetectorModel(card=card, net=course.average)
        return model.stamped(metrics=held_out(model, self.train, self.held, self.sets))

    def _look(self, device: str) -> Callable[[Any], float] | None:
        if not any(len(self.sets[row] or ()) for row in self.held):
            return None
        spread = np.unique(np.linspace(0, len(self.held) - 1, min(SEEN, len(self.held))).round().astype(int))
        rows = self.held[spread]

        def look(net: Any) -> float:
            model = DetectorModel(card={**self.card, "size": self.size, "device": device}, net=net)
            told = held_out(model, self.train, rows, self.sets)
            return float(told["held_out"]["mean_average_precision"]) if told else 0.0

        return look

    def _changed(self, pair: Any, k: int, epoch: int, rng: np.random.Generator, side: int) -> Any:
        from scarce.train import _detection_loop as loop

        if side:
            pair = loop.crop(pair, side, rng)
        if self.policy is None:
            return loop.mirrored(pair, rng) if self.trainer.augment == "light" else pair
        image, boxes = pair
        key = int(digest(f"{self.train.ids[self.used[k]]}:{self.seed}:{epoch}")[:12], 16)
        rng = np.random.default_rng(key)
        image, corners = self.policy.apply(np.ascontiguousarray(image), rng, None, boxes.corners)
        moved = Drawn(np.asarray(corners, np.float64), boxes.codes, boxes.scores, boxes.crowd)
        return image, moved.inside(image.shape[1], image.shape[0])

    def _checkpoint(self) -> Any:
        from scarce.train._checkpoint import Checkpoint

        card, setup = self.card, self.setup
        what = {
            "params": {name: value for name, value in self.trainer.params().items() if name != "minutes"},
            "seed": self.seed, "content": card["data"]["content_id"], "classes": card["classes"],
            "versions": card["versions"], "online": getattr(setup.online, "name", None),
            "loss": None if setup.loss is None else asdict(setup.loss),
        }  # fmt: skip
        drawn = [self.sets[row] for row in np.concatenate([self.used, self.held]).tolist()]
        parts = [part.tobytes() for one in drawn if one is not None for part in (one.corners, one.codes)]
        ids = "".join(self.train.ids[self.used])
        assert setup.checkpoint is not None
        return Checkpoint(setup.checkpoint, digest(canonical_json(what), ids, *parts))


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


def restored(card: Mapping[str, Any], tensors: Mapping[str, Array], net: Any) -> DetectorModel:
    """Return a model whose weights are put into an untrained network."""
    torch = need("torch", extra="train")
    net.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in tensors.items()})
    return DetectorModel(card={**card, "device": "cpu"}, net=net.requires_grad_(False).eval())


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


def _policy(setup: Setup, named: str | None, who: str) -> Any:
    found: Any = setup.online
    if found is None and named:
        found = importlib.import_module("scarce.augment.policy").policy(named)  # a sibling stage
    if found is not None and not hasattr(found, "draw_for"):
        raise ConfigError(who, f"{type(found).__name__} does not move boxes", do="give a policy of scarce.augment")
    return found.without_mixes() if found is not None else None


def _longest(ds: Dataset, rows: Array) -> int:
    sides = [np.asarray(open_samples(ds, [int(row)])[0]).shape[:2] for row in rows[:50]]
    return int(max(max(side) for side in sides))
