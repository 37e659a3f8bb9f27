"""Training of a network on the pixels."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast, final

import numpy as np

from scarce.dataset import Array, Dataset, Floats, FoldView, Ints
from scarce.errors import TrainError
from scarce.extras import need
from scarce.loss_spec import LossSpec
from scarce.recipe import Scene, fit_mask, mask_opener
from scarce.train import _network as networks
from scarce.train._base import AbstractTrainer, Mixing, Online, Setup, refuse_out_of_range
from scarce.train._folds import absent, far_below
from scarce.train._learn import Work, course_card, epochs_for, unchanged, unlabelled_rows
from scarce.train._named_loss import SCALE, ClassWeights, LossName
from scarce.train._online import Light
from scarce.train._pixels import Shape, batches_of, load_pixels, moments, shape_for
from scarce.train._start import Start, named_start
from scarce.train.model import Model, base_card

if TYPE_CHECKING:
    from scarce.train._loop import Change

WHO = "train.finetune"


@final
@dataclass(frozen=True, kw_only=True)
class Finetune(AbstractTrainer):
    """Train a network on the pixels: a small ResNet or ConvNeXt for small pictures, any model of timm otherwise.

    Use when features of a general encoder do not see what matters, or the pictures are small. Do not use for the first
    look, or below some twenty samples a class without pretrained weights: take linear_probe.

    Needs: pictures. Soft labels (``label_probs``) and ``weight`` are used where present; grown rows are rendered.
    Writes: a model. Rows of split ``val`` on the training side, or else ``validation`` of its groups, are held back for
    early stopping, the temperature and the threshold. Same seed, data, machine and number of threads give the same
    weights, unless ``minutes`` cuts in.
    Source: Liu et al. 2022 (ConvNeXt); He et al. 2016 (ResNet); Ren et al. 2020 (balanced softmax, the default loss).

    Args:
        network: ``auto``, ``small_resnet``, ``small_convnext`` or a name of timm.
        pretrained: ``auto`` (weights if they can be had), ``yes``, ``no`` or a weight file; our small ones have none.
        size: pixels; None = the pictures' own up to 64, else at most 192.
        epochs: None = about 4,000 steps, 10 to 200 epochs.
        minutes: time budget; the schedule then ends on time. None = none.
        batch: samples a step.
        learning_rate: None = by optimizer and weights.
        weight_decay: >= 0.
        optimizer: adamw or sgd.
        loss: a name or a specification.
        class_weights: replace those of the loss: ``auto`` (inverse frequency) or one for each class.
        tau: strength of balanced softmax and logit adjustment.
        sampling: with a loss that knows the prior (balanced softmax), samples of a class are drawn in proportion to
            1 / count ** sampling: 0 = as they come, 1 = classes alike; the prior is corrected for it.
        label_smoothing: in [0, 1).
        mixup, cutmix: Beta parameters; 0 = off.
        augment: ``light`` (shift, mirror, erase), ``upright`` (no mirror) or ``none``.
        policy: preset of :mod:`scarce.augment` in place of ``augment``.
        ema: decay of the weights' moving average per step; 0 = off.
        validation: share that is held back where no row has split ``val``; 0 = none: no early stopping, no temperature.
        patience: epochs without a better score before the second half of the schedule is cut short.
        mirror: ``auto`` averages each prediction with the mirrored picture where training mirrors too.
        device: auto, cpu, cuda, cuda:1, mps.
        accumulate: parts that a step's samples pass through the network in, where memory is short.
        unlabelled: weight of the loss on unlabelled samples (FixMatch): where the averaged network is sure of a weakly
            changed one, the network must say the same of a strongly changed one; 0 = off, 1 is usual.
        confidence: from which probability it is sure.
        start: folder of a model of finetune or blend whose weights training begins with, in place of pretrained ones;
            network, size and the mean of the pixels are then its own, classes may have been added. Empty = none.
    """

    extra: ClassVar[str | None] = "train"
    modalities: ClassVar[tuple[str, ...]] = ("image",)

    network: str = "auto"
    pretrained: str = "auto"
    size: int | None = None
    epochs: int | None = None
    minutes: float | None = None
    batch: int = 64
    learning_rate: float | None = None
    weight_decay: float = 0.05
    optimizer: Literal["adamw", "sgd"] = "adamw"
    loss: LossSpec | LossName = "balanced_softmax"
    class_weights: ClassWeights | None = None
    tau: float = 1.0
    sampling: float = 0.5
    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    augment: Literal["light", "upright", "none"] = "light"
    policy: str | None = None
    ema: float = 0.995
    validation: float = 0.1
    patience: int = 10
    mirror: Literal["auto", "yes", "no"] = "auto"
    device: str = "auto"
    accumulate: int = 1
    unlabelled: float = 0.0
    confidence: float = 0.95
    start: str = ""

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        limits = {
            "batch": (1, 65536), "epochs": (1, 100_000), "minutes": (1e-9, 1e6), "learning_rate": (1e-9, 100.0),
            "weight_decay": (0.0, 10.0), "label_smoothing": (0.0, 0.999), "mixup": (0.0, 10.0), "cutmix": (0.0, 10.0),
            "ema": (0.0, 0.99999), "validation": (0.0, 0.5), "patience": (1, 100_000), "tau": (0.0, 10.0),
            "sampling": (0.0, 1.0), "accumulate": (1, 65536), "unlabelled": (0.0, 100.0), "confidence": (0.0, 1.0),
        }  # fmt: skip
        refuse_out_of_range(WHO, self, limits)

    def fit(self, view: FoldView, *, seed: int = 0, setup: Setup | None = None) -> Model:
        """Train on the training side of the fold."""
        need("torch", extra="train")
        from scarce.train import _device, _loop

        started = time.perf_counter()
        device = _device.choose_device(self.device)
        train, setup = view.train, setup or Setup()
        work = Work.of(WHO, train, setup, validation=self.validation, seed=seed)
        work = work.with_loss(
            self.loss, tau=self.tau, sampling=self.sampling, class_weights=self.class_weights, cosines=True
        )
        rows = view.dataset.rows_of(train.ids[np.unique(work.used.rows)])
        shape, online = shape_for(view.dataset, rows, size=self.size, largest=192), self._online(setup)
        begun = Start.of(WHO, self.start) if self.start else None
        shape = shape if begun is None else begun.shape(shape, self.size)
        card = base_card(view, "finetune", named_start(self.params()), seed=seed)
        with _device.reproducible(seed, device):
            built = self._built(begun, shape, view.dataset.schema.classes, cosine=work.spec.kind == "ldam")
            task, (mean, std) = self._task(view, work, (shape, online), built)
            plan = self._schedule(len(work.used.rows), built, time.perf_counter() - started)
            told = self.params() | ({} if begun is None else {"start": begun.weights})
            keep = work.checkpoint(train, told, card, online)
            course = _loop.run(
                built.module, replace(task, follow=work.follow(card)), plan, seed=seed, device=device, checkpoint=keep
            )
        mirror = self.mirror == "yes" or (self.mirror == "auto" and mirrors(online))
        card |= {
            "network": built.name, "weights_from": built.weights, "size": shape.size, "channels": shape.channels,
            "mean": mean, "std": std, "mirror": mirror, "device": device, "augment": getattr(online, "name", None),
            "cosine_scale": SCALE if work.spec.kind == "ldam" else None,
            "absent_classes": absent(card["classes"], work.used),
            "unlabelled_rows": 0 if task.pool is None else len(task.pool),
            **course_card(course, plan, work, task, view.train),
        }  # fmt: skip
        card |= {} if begun is None else {"started_from": begun.told()}
        model = NetworkModel(card=card, net=course.average)
        return work.judged(model, model.logits_of, task, view)

    @classmethod
    def restore(cls, card: Mapping[str, Any], tensors: Mapping[str, Array]) -> Model:
        """Rebuild the network and put the weights in."""
        torch = need("torch", extra="train")
        net = networks.bare(
            str(card["network"]), n_classes=len(card["classes"]), channels=int(card["channels"]),
            size=int(card["size"]), weights=str(card["weights_from"]),
        )  # fmt: skip
        if card.get("cosine_scale"):
            networks.put_cosine_head(net, float(card["cosine_scale"]))
        net.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in tensors.items()})
        net = net.requires_grad_(False).eval().to(memory_format=torch.channels_last)
        return NetworkModel(card={**card, "device": "cpu"}, net=net)

    def _built(self, begun: Start | None, shape: Shape, classes: Sequence[str], *, cosine: bool) -> networks.Network:
        if begun is not None:
            begun.network(self.network)
            return begun.built(classes, size=shape.size, cosine=SCALE if cosine else None)
        built = networks.build(
            networks.resolve(self.network, shape.size, self.pretrained), n_classes=len(classes),
            channels=shape.channels, size=shape.size, pretrained=self.pretrained,
        )  # fmt: skip
        if cosine:
            networks.put_cosine_head(built.module, SCALE)
        return built

    def _task(
        self, view: FoldView, work: Work, given: tuple[Shape, Online | Light | None], built: networks.Network
    ) -> tuple[Any, tuple[list[float], list[float]]]:
        """Open the pictures; return what is learnt, and mean and deviation of the pixels."""
        (shape, online), whole = given, view.dataset

        def load(train: Dataset, rows: Ints) -> Array:  # grown rows are rendered from parents, which the whole holds
            return load_pixels(whole, whole.rows_of(train.ids[rows]), shape)

        task = work.task(view.train, load, unchanged, smoothing=self.label_smoothing)
        pixels, unique = task.samples, np.unique(work.used.rows)
        change = _change(online, work.seed, lambda mixing: _partners(mixing, view.train, unique, pixels))
        mean, std = (built.mean, built.std) if built.mean and built.std else moments(task.samples)
        pool = unlabelled_rows(view, view.train.ids[work.held]) if self.unlabelled else np.zeros(0, np.int64)
        if self.unlabelled and not len(pool):
            raise TrainError(WHO, f"unlabelled = {self.unlabelled:g}, and there is no unlabelled sample",
                             do="add some without a label, or set unlabelled = 0")  # fmt: skip
        mirror = mirrors(online)
        task = replace(
            task, change=change, batch=batches_of(mean, std),
            pool=load_pixels(whole, pool, shape) if len(pool) else None, weak=Light(mirror=mirror, erase=0.0),
            strong=Light(shift=0.15, mirror=mirror, erase=1.0),
        )  # fmt: skip
        return task, (list(mean), list(std))

    def _online(self, setup: Setup) -> Online | Light | None:
        if setup.online is not None:
            return setup.online
        if self.policy:
            policies = importlib.import_module("scarce.augment.policy")  # a sibling stage: looked up on demand
            return cast("Online", policies.policy(self.policy))
        return None if self.augment == "none" else Light(mirror=self.augment == "light")

    def _schedule(self, n: int, built: networks.Network, spent: float) -> Any:
        from scarce.train._loop import Schedule

        rate = self.learning_rate
        if rate is None:
            rate = 0.05 if self.optimizer == "sgd" else 4e-3 if built.name in networks.OWN else 1e-3
            rate *= 1.0 if built.weights == "scratch" and not self.start else 0.3
        return Schedule(
            epochs=self.epochs or epochs_for(n, self.batch), batch=min(self.batch, n), learning_rate=rate,
            weight_decay=self.weight_decay, optimizer=self.optimizer, ema=self.ema, mixup=self.mixup,
            cutmix=self.cutmix, patience=self.patience, accumulate=self.accumulate, unlabelled=self.unlabelled,
            confidence=self.confidence,
            seconds=None if self.minutes is None else max(1.0, 60 * self.minutes - spent),
        )  # fmt: skip


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class NetworkModel(Model):
    """A network on pixels."""

    net: Any

    def logits(self, ds: Dataset) -> Floats:
        """Return (N, K) logits; pictures are opened in blocks, set-aside rows are NaN."""
        out = np.full((len(ds), len(self.classes)), np.nan)
        shape = Shape(int(self.card["size"]), int(self.card["channels"]))
        rows = np.flatnonzero(ds["keep"].astype(bool))
        for start in range(0, len(rows), 512):
            block = rows[start : start + 512]
            out[block] = self.logits_of(load_pixels(ds, block, shape))
        return out

    def answers(self, ds: Dataset) -> tuple[Floats, Floats | None]:
        """Return logits and (N, D) features: the mean of each stage's maps, and what the head is given."""
        from scarce.train._features import answers

        logits, features = np.full((len(ds), len(self.classes)), np.nan), None
        shape = Shape(int(self.card["size"]), int(self.card["channels"]))
        rows = np.flatnonzero(ds["keep"].astype(bool))
        for start in range(0, len(rows), 512):
            block = rows[start : start + 512]
            own, seen = answers(
                self.net, load_pixels(ds, block, shape), batches_of(self.card["mean"], self.card["std"]),
                device=str(self.card["device"]), mirror=bool(self.card["mirror"]),
            )  # fmt: skip
            logits[block] = far_below(own, self.absent_codes)
            features = np.full((len(ds), seen.shape[1]), np.nan) if features is None else features
            features[block] = seen
        return logits, features

    def logits_of(self, pixels: Array) -> Floats:
        """Return (n, K) logits of (n, S, S, C) uint8 pictures; a class without training samples is far below all."""
        from scarce.train._loop import infer

        batch = batches_of(self.card["mean"], self.card["std"])
        logits = infer(self.net, pixels, batch, device=str(self.card["device"]), mirror=bool(self.card["mirror"]))
        return far_below(logits, self.absent_codes)

    def tensors(self) -> dict[str, Array]:
        """Return the network's weights."""
        return {name: value.detach().cpu().numpy() for name, value in self.net.state_dict().items()}


def _change(online: Online | Light | None, seed: int, pool_for: Callable[[Mixing], Any]) -> Change:
    if online is None:
        return lambda images, soft, _ids, _epoch, _rng: (images, soft)
    if isinstance(online, Light):
        return lambda images, soft, _ids, _epoch, rng: (online(images, rng), soft)
    if getattr(online, "mixes", None):
        mixing = cast("Mixing", online)
        pool = pool_for(mixing)
        return lambda images, soft, ids, epoch, _rng: mixing.apply_mixed(
            images, soft, ids, pool, seed=seed, epoch=epoch
        )

    def changed(images: Array, soft: Floats, ids: Array, epoch: int, _rng: np.random.Generator) -> tuple[Array, Floats]:
        gray = images.shape[3] == 1
        out = online.apply_batch(images[..., 0] if gray else images, ids, seed=seed, epoch=epoch)
        return (out[..., None] if gray else out), soft

    return changed


def _partners(online: Mixing, train: Dataset, rows: Ints, pixels: Array) -> Any:
    """Return the training samples that may be partners, with their pixels and masks; they need a class."""
    usable = np.flatnonzero(train["label"][rows] >= 0)
    ids = [str(name) for name in train.ids[rows]]
    place = {name: index for index, name in enumerate(ids)}
    masks = train.table["mask_uri"].to_pylist() if "mask_uri" in train.table.column_names else [None] * len(train)
    marked = np.array([bool(masks[row]) for row in rows.tolist()], bool)
    opened = mask_opener(train)

    def scene(name: str) -> Scene:
        image = pixels[place[name]]
        mask = opened(name) if marked[place[name]] else None
        held = None if mask is None else fit_mask(mask, image.shape[0], image.shape[1])
        return Scene(image[..., 0] if image.shape[2] == 1 else image, held)

    chosen = [ids[index] for index in usable.tolist()]
    return online.pool(chosen, train["label"][rows][usable], marked[usable], scene)


def mirrors(online: object) -> bool:
    """Return whether an augmentation mirrors left and right, so that the mirrored picture is as good a sample."""
    if isinstance(online, Light):
        return online.mirror
    flips = [item for item in getattr(online, "operations", ()) if type(item).__name__ == "Flip"]
    return any(float(getattr(item, "horizontal", 0.0)) > 0 for item in flips)
