"""A small network on log-mel pictures of sounds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, final

import numpy as np

from scarce.dataset import Array, Dataset, Floats, FoldView, Ints
from scarce.encode.logmel import log_mel
from scarce.extras import need
from scarce.loss_spec import LossSpec
from scarce.modality import open_samples
from scarce.train import _network as networks
from scarce.train._base import AbstractTrainer, Setup, refuse_out_of_range
from scarce.train._folds import absent, far_below
from scarce.train._learn import Work, course_card, epochs_for
from scarce.train._named_loss import LossName
from scarce.train._pixels import batches_of, moments
from scarce.train.model import Model, base_card

WHO = "train.logmel_network"
RANGE: Final = 14.0
"""Natural logarithms below the loudest place of a sound that are told apart; 14 is 61 dB."""
PER_SECOND: Final = 100
"""Columns of a picture for each second of sound."""


@final
@dataclass(frozen=True, kw_only=True)
class LogmelNetwork(AbstractTrainer):
    """Train a small network on log-mel pictures of sounds.

    Use for short sounds from some twenty samples a class on: words, machines, animals. Do not use where loudness itself
    decides, which the pictures leave out, or for the first look: take linear_probe.

    Needs: sounds (T,) float32 at 16 kHz. Soft labels and ``weight`` are used where present.
    Writes: a model. Rows of split ``val`` on the training side, or else ``validation`` of its groups, are held back for
    early stopping, the temperature and the threshold. Same seed, data and machine give the same weights; training goes
    on after an interruption.
    Source: Davis and Mermelstein 1980 (mel scale); Park et al. 2019 (SpecAugment); He et al. 2016 (the network).

    Args:
        network: ``small_resnet``, ``small_convnext`` or a name of timm, which is trained from scratch.
        bands: mel bands.
        seconds: of each sound that are seen, around its loudest part; None = what nine in ten of the sounds have.
        epochs: None = about 1,000 steps, 10 to 100 epochs.
        minutes: time budget; None = none.
        batch: samples a step.
        learning_rate: of AdamW.
        weight_decay: >= 0.
        loss: a name or a specification; ``tau``: strength of balanced softmax.
        sampling: see finetune.
        label_smoothing: in [0, 1).
        mixup: Beta parameter; 0 = off.
        shift: share of the length that a sound is moved by while training; ``mask``: share of bands and of columns that
            are blanked.
        ema: decay of the weights' moving average per step; 0 = off.
        validation: share that is held back where no row has split ``val``.
        patience: epochs without a better score before the second half of the schedule is cut short.
        device: auto, cpu, cuda, cuda:1, mps.
    """

    extra: ClassVar[str | None] = "train"
    modalities: ClassVar[tuple[str, ...]] = ("audio",)

    network: str = "small_resnet"
    bands: int = 64
    seconds: float | None = None
    epochs: int | None = None
    minutes: float | None = None
    batch: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    loss: LossSpec | LossName = "balanced_softmax"
    tau: float = 1.0
    sampling: float = 0.5
    label_smoothing: float = 0.0
    mixup: float = 0.0
    shift: float = 0.1
    mask: float = 0.15
    ema: float = 0.99
    validation: float = 0.1
    patience: int = 10
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        limits = {
            "bands": (8, 256), "seconds": (0.05, 600.0), "epochs": (1, 100_000), "minutes": (1e-9, 1e6),
            "batch": (1, 65536), "learning_rate": (1e-9, 100.0), "weight_decay": (0.0, 10.0), "tau": (0.0, 10.0),
            "sampling": (0.0, 1.0), "label_smoothing": (0.0, 0.999), "mixup": (0.0, 10.0), "shift": (0.0, 0.5),
            "mask": (0.0, 0.9), "ema": (0.0, 0.99999), "validation": (0.0, 0.5), "patience": (1, 100_000),
        }  # fmt: skip
        refuse_out_of_range(WHO, self, limits)

    def fit(self, view: FoldView, *, seed: int = 0, setup: Setup | None = None) -> Model:
        """Train on the training side of the fold."""
        need("torch", extra="train")
        from scarce.train import _device, _loop

        started, train = time.perf_counter(), view.train
        device = _device.choose_device(self.device)
        work = Work.of(WHO, train, setup or Setup(), validation=self.validation, seed=seed)
        work = work.with_loss(self.loss, tau=self.tau, sampling=self.sampling)
        card = base_card(view, "logmel_network", self.params(), seed=seed)
        name = networks.resolve(self.network, networks.SMALL, "no")
        frames = self._frames(train, work.used.rows)
        with _device.reproducible(seed, device):
            net = networks.build(name, n_classes=len(card["classes"]), channels=1, size=networks.SMALL, pretrained="no")
            task = work.task(
                train, lambda ds, rows: pictures_of(ds, rows, self.bands, frames), self._change,
                smoothing=self.label_smoothing,
            )  # fmt: skip
            mean, std = moments(task.samples)
            task = replace(task, batch=batches_of(mean, std))
            plan = self._schedule(len(work.used.rows), time.perf_counter() - started)
            keep = work.checkpoint(train, self.params(), card, None)
            course = _loop.run(
                net.module, replace(task, follow=work.follow(card)), plan, seed=seed, device=device, checkpoint=keep
            )
        card |= {
            "network": name, "bands": self.bands, "frames": frames, "mean": mean, "std": std, "device": device,
            "absent_classes": absent(card["classes"], work.used), **course_card(course, plan, work, task, view.train),
        }  # fmt: skip
        model = SoundModel(card=card, net=course.average)
        return work.judged(model, model.logits_of, task, view)

    def _frames(self, train: Dataset, rows: Ints) -> int:
        if self.seconds is None:
            some = np.unique(rows)[:: max(1, len(rows) // 256)]
            longest = np.quantile([len(sound) / 16_000 for sound in open_samples(train, some)], 0.9)
        else:
            longest = self.seconds
        return int(np.clip(round(longest * PER_SECOND / 8) * 8, 16, 4096))

    def _change(
        self, images: Array, soft: Floats, _ids: Array, _epoch: int, rng: np.random.Generator
    ) -> tuple[Array, Floats]:
        return masked(shifted(images, self.shift, rng), self.mask, rng), soft

    def _schedule(self, n: int, spent: float) -> Any:
        from scarce.train._loop import Schedule

        return Schedule(
            epochs=self.epochs or epochs_for(n, self.batch, most=100, steps=1000), batch=min(self.batch, n),
            learning_rate=self.learning_rate, weight_decay=self.weight_decay, optimizer="adamw", ema=self.ema,
            mixup=self.mixup, patience=self.patience,
            seconds=None if self.minutes is None else max(1.0, 60 * self.minutes - spent),
        )  # fmt: skip

    @classmethod
    def restore(cls, card: Mapping[str, Any], tensors: Mapping[str, Array]) -> Model:
        """Rebuild the network and put the weights in."""
        torch = need("torch", extra="train")
        net = networks.bare(
            str(card["network"]), n_classes=len(card["classes"]), channels=1, size=networks.SMALL, weights="scratch"
        )
        net.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in tensors.items()})
        net = net.requires_grad_(False).eval().to(memory_format=torch.channels_last)
        return SoundModel(card={**card, "device": "cpu"}, net=net)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class SoundModel(Model):
    """A network on log-mel pictures."""

    net: Any

    def logits(self, ds: Dataset) -> Floats:
        """Return (N, K) logits; sounds are opened in blocks, set-aside rows are NaN."""
        out = np.full((len(ds), len(self.classes)), np.nan)
        rows = np.flatnonzero(ds["keep"].astype(bool))
        for start in range(0, len(rows), 256):
            block = rows[start : start + 256]
            out[block] = self.logits_of(pictures_of(ds, block, int(self.card["bands"]), int(self.card["frames"])))
        return out

    def logits_of(self, pictures: Array) -> Floats:
        """Return (n, K) logits of (n, bands, frames, 1) uint8 pictures."""
        from scarce.train._loop import infer

        batch = batches_of(self.card["mean"], self.card["std"])
        logits = infer(self.net, pictures, batch, device=str(self.card["device"]))
        return far_below(logits, self.absent_codes)

    def tensors(self) -> dict[str, Array]:
        """Return the network's weights."""
        return {name: value.detach().cpu().numpy() for name, value in self.net.state_dict().items()}


def pictures_of(ds: Dataset, rows: Ints, bands: int, frames: int) -> Array:
    """Return (n, bands, frames, 1) uint8 pictures of some rows."""
    out = np.zeros((len(rows), bands, frames, 1), np.uint8)
    for start in range(0, len(rows), 64):
        block = rows[start : start + 64]
        for place, sound in enumerate(open_samples(ds, block), start):
            out[place, :, :, 0] = picture(np.asarray(sound, np.float32), bands, frames)
    return out


def picture(sound: Floats, bands: int, frames: int) -> Array:
    """Return the (bands, frames) uint8 log-mel picture of a (T,) sound, its loudest place at 255, silence at 0.

    A longer sound is cut to the stretch with the most energy, a shorter one stands in the middle.
    """
    levels = log_mel(sound, bands)
    levels = np.clip((levels - levels.max()) / RANGE + 1, 0, 1)
    if len(levels) > frames:
        total = np.concatenate([[0.0], np.cumsum(levels.sum(1))])
        start = int((total[frames:] - total[:-frames]).argmax())
        levels = levels[start : start + frames]
    before = (frames - len(levels)) // 2
    out = np.zeros((bands, frames), np.uint8)
    out[:, before : before + len(levels)] = np.rint(255 * levels.T)
    return out


def shifted(images: Array, share: float, rng: np.random.Generator) -> Array:
    """Return (n, bands, frames, 1) pictures moved in time by at most a share of their length; silence moves in."""
    frames = images.shape[2]
    most = round(share * frames)
    by = rng.integers(-most, most + 1, len(images))
    place = np.arange(frames)[None] - by[:, None]
    moved = np.take_along_axis(images, place.clip(0, frames - 1)[:, None, :, None], axis=2)
    return np.asarray(moved * ((place >= 0) & (place < frames))[:, None, :, None].astype(np.uint8))


def masked(images: Array, share: float, rng: np.random.Generator) -> Array:
    """Return pictures of which one stretch of bands and one of columns, each up to a share, are blanked."""
    out = images.copy()
    for axis in (1, 2):
        size = images.shape[axis]
        width = rng.integers(0, max(1, round(share * size)) + 1, len(images))
        start = (rng.random(len(images)) * (size - width + 1)).astype(np.int64)
        line = np.arange(size)[None]
        blank = (line >= start[:, None]) & (line < (start + width)[:, None])
        out *= ~(blank[:, :, None, None] if axis == 1 else blank[:, None, :, None])
    return out
