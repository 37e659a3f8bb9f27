"""Training of a network on the pixels."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast, final

import numpy as np

from scarce.dataset import Array, Dataset, Floats, FoldView, Ints, Mask
from scarce.errors import ConfigError, TrainError
from scarce.extras import need
from scarce.lineage import canonical_json, digest
from scarce.loss_spec import LossSpec
from scarce.recipe import Scene, fit_mask, mask_opener
from scarce.train import _network as networks
from scarce.train._base import AbstractTrainer, Mixing, Online, Setup, TrainRows, training_rows
from scarce.train._named_loss import SCALE, ClassWeights, LossName, loss_of
from scarce.train._online import Light
from scarce.train._pixels import Shape, load_pixels, moments, shape_for
from scarce.train._validation import free_of, group_names, held_back, verdict
from scarce.train.model import Model, base_card

if TYPE_CHECKING:
    from scarce.train._loop import Change

WHO = "train.finetune"
STEPS = 4000
"""Steps that ``epochs = None`` aims at."""


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
    """

    extra: ClassVar[str | None] = "train"

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

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        limits = {
            "batch": (1, 65536), "epochs": (1, 100_000), "minutes": (1e-9, 1e6), "learning_rate": (1e-9, 100.0),
            "weight_decay": (0.0, 10.0), "label_smoothing": (0.0, 0.999), "mixup": (0.0, 10.0), "cutmix": (0.0, 10.0),
            "ema": (0.0, 0.99999), "validation": (0.0, 0.5), "patience": (1, 100_000), "tau": (0.0, 10.0),
            "sampling": (0.0, 1.0),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ConfigError(WHO, f"{name} = {value} is out of range", f"it takes {low:g} to {high:g}")

    def fit(self, view: FoldView, *, seed: int = 0, setup: Setup | None = None) -> Model:
        """Train on the training side of the fold."""
        need("torch", extra="train")
        from scarce.train import _loop

        started = time.perf_counter()
        device = _loop.choose_device(self.device)
        work = self._prepare(view, setup or Setup(), seed)
        name = networks.resolve(self.network, work.shape.size, self.pretrained)
        card = base_card(view, "finetune", self.params(), seed=seed)
        with _loop.reproducible(seed, device):
            built = networks.build(
                name, n_classes=len(view.dataset.schema.classes), channels=work.shape.channels, size=work.shape.size,
                pretrained=self.pretrained,
            )  # fmt: skip
            if work.spec.kind == "ldam":
                networks.put_cosine_head(built.module, SCALE)
            task = _task(view, work, built, smoothing=self.label_smoothing, seed=seed)
            plan = self._schedule(len(work.used.rows), built, time.perf_counter() - started)
            keep = self._checkpoint(view.train, work, card)
            course = _loop.run(built.module, task, plan, seed=seed, device=device, checkpoint=keep)
        mirror = self.mirror == "yes" or (self.mirror == "auto" and mirrors(work.online))
        absent = [name for name, count in zip(card["classes"], work.used.soft.sum(0), strict=True) if not count]
        card |= {
            "network": name, "weights_from": built.weights, "size": work.shape.size, "channels": work.shape.channels,
            "mean": task.mean, "std": task.std, "mirror": mirror, "device": device, "loss": asdict(work.spec),
            "augment": getattr(work.online, "name", None), "absent_classes": absent,
            "cosine_scale": SCALE if work.spec.kind == "ldam" else None,
            "fitted_rows": len(task.ids), "held_back_rows": len(task.held_labels),
            **_course_card(course, plan),
        }  # fmt: skip
        model = NetworkModel(card=card, net=course.average)
        if not len(task.held_labels):
            return model
        logits = model.logits_of(task.held_pixels)
        groups = group_names(view.train)[work.held]
        found, told = verdict(logits, task.held_labels, card, balanced=work.spec.prior is not None, groups=groups)
        return NetworkModel(card={**card, **found}, net=course.average, held_out=told)

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

    def _prepare(self, view: FoldView, setup: Setup, seed: int) -> _Work:
        train = view.train
        held = held_back(train, share=self.validation, seed=seed)
        used = _usable(train, training_rows(train, setup, who=WHO), held)
        rows = view.dataset.rows_of(train.ids[np.unique(used.rows)])
        shape = shape_for(view.dataset, rows, size=self.size, largest=192)
        spec = setup.loss or loss_of(self.loss, used.counts, tau=self.tau, class_weights=self.class_weights)
        draw, spec = _sampled(used, spec, self.sampling)
        return _Work(used, held, shape, spec, draw, self._online(setup), setup, seed)

    def _online(self, setup: Setup) -> Online | Light | None:
        if setup.online is not None:
            return setup.online
        if self.policy:
            policies = importlib.import_module("scarce.augment.policy")  # a sibling stage: looked up on demand
            return cast("Online", policies.policy(self.policy))
        return None if self.augment == "none" else Light(mirror=self.augment == "light")

    def _schedule(self, n: int, built: networks.Network, spent: float) -> Any:
        from scarce.train._loop import Schedule

        batch = min(self.batch, n)
        steps = max(1, round(n / batch))
        rate = self.learning_rate
        if rate is None:
            rate = 0.05 if self.optimizer == "sgd" else 4e-3 if built.name in networks.OWN else 1e-3
            rate *= 1.0 if built.weights == "scratch" else 0.3
        return Schedule(
            epochs=self.epochs or int(np.clip(math.ceil(STEPS / steps), 10, 200)), batch=batch, learning_rate=rate,
            weight_decay=self.weight_decay, optimizer=self.optimizer, ema=self.ema, mixup=self.mixup,
            cutmix=self.cutmix, patience=self.patience,
            seconds=None if self.minutes is None else max(1.0, 60 * self.minutes - spent),
        )  # fmt: skip

    def _checkpoint(self, train: Dataset, work: _Work, card: Mapping[str, Any]) -> Any:
        from scarce.train._checkpoint import Checkpoint

        if work.setup.checkpoint is None:
            return None  # the minutes are left out below: a run that goes on has others left
        params = {name: value for name, value in self.params().items() if name != "minutes"}
        what = {
            "params": params, "seed": work.seed, "content": card["data"]["content_id"],
            "classes": card["classes"], "online": getattr(work.online, "name", None), "versions": card["versions"],
            "loss": asdict(work.spec),
        }  # fmt: skip
        used = work.used
        rows = (used.soft.tobytes(), used.weights.tobytes(), "".join(train.ids[used.rows]))
        return Checkpoint(work.setup.checkpoint, digest(canonical_json(what), *rows))


@dataclass(frozen=True, eq=False)
class _Work:
    used: TrainRows
    held: Mask
    shape: Shape
    spec: LossSpec
    draw: Floats | None
    online: Online | Light | None
    setup: Setup
    seed: int


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

    def logits_of(self, pixels: Array) -> Floats:
        """Return (n, K) logits of (n, S, S, C) uint8 pictures; a class without training samples is far below all."""
        from scarce.train._loop import infer

        device, mean, std = str(self.card["device"]), list(self.card["mean"]), list(self.card["std"])
        logits = infer(self.net, pixels, mean, std, device=device, mirror=bool(self.card["mirror"]))
        absent = [self.classes.index(name) for name in self.card["absent_classes"]]
        logits[:, absent] = logits.min(1, keepdims=True, initial=0.0) - 30.0
        return logits

    def tensors(self) -> dict[str, Array]:
        """Return the network's weights."""
        return {name: value.detach().cpu().numpy() for name, value in self.net.state_dict().items()}


def _task(view: FoldView, work: _Work, built: networks.Network, *, smoothing: float, seed: int) -> Any:
    """Open the pictures and gather what is learnt."""
    from scarce.train._loop import Task
    from scarce.train.loss import ImbalanceLoss

    train, whole, used = view.train, view.dataset, work.used
    unique, place = np.unique(used.rows, return_inverse=True)
    pixels = load_pixels(whole, whole.rows_of(train.ids[unique]), work.shape)
    held_rows = np.flatnonzero(work.held)
    mean, std = (built.mean, built.std) if built.mean and built.std else moments(pixels)
    return Task(
        pixels=pixels, place=place, ids=train.ids[used.rows], soft=used.soft, weights=used.weights,
        change=_change(work.online, seed, lambda online: _partners(online, train, unique, pixels)),
        held_pixels=load_pixels(whole, whole.rows_of(train.ids[held_rows]), work.shape),
        held_labels=train["label"][held_rows], mean=list(mean), std=list(std),
        loss=ImbalanceLoss.from_spec(work.spec, label_smoothing=smoothing), draw=work.draw,
    )  # fmt: skip


def _course_card(course: Any, plan: Any) -> dict[str, Any]:
    import torch

    return {
        "schedule": asdict(plan), "epochs": course.epoch, "best_epoch": course.best_epoch, "history": course.history,
        "threads": torch.get_num_threads(),
        "parameters": sum(value.numel() for value in course.average.parameters()),
    }  # fmt: skip


def _usable(train: Dataset, used: TrainRows, held: Mask) -> TrainRows:
    free = free_of(train, held)
    left = used.only(free[used.rows])
    if (left.soft.sum(0) > 0).sum() < 2:
        raise TrainError(WHO, "fewer than two classes have training samples beside the validation samples",
                         f"{len(left.rows)} rows are left", "label more, or set validation = 0")  # fmt: skip
    return TrainRows(left.rows, left.soft, left.weights / left.weights.mean())


def _sampled(used: TrainRows, spec: LossSpec, power: float) -> tuple[Floats | None, LossSpec]:
    """Return the probabilities that rows are drawn with, and the loss with its prior corrected for them."""
    if not power or spec.prior is None:
        return None, spec
    before = used.counts
    factor = np.maximum(before, 0.5) ** -power
    draw = used.soft @ factor
    draw /= draw.sum()
    after = (used.soft * (used.weights * draw)[:, None]).sum(0)
    shares = np.maximum(after, 1e-12) / after.sum(), np.maximum(before, 1e-12) / before.sum()
    shift = np.where(before > 0, np.log(shares[0]) - np.log(shares[1]), 0.0)
    prior = tuple(float(value + change) for value, change in zip(spec.prior, shift, strict=True))
    return np.asarray(draw, np.float64), replace(spec, prior=prior)


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
