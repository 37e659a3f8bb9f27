"""Many fixed patterns with fitted levels, and a linear head: series in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce import probe as probes
from scarce.dataset import Array, Dataset, Floats, FoldView, Ints
from scarce.encode.series import resampled
from scarce.errors import TrainError
from scarce.loss_spec import LossSpec
from scarce.modality import open_samples
from scarce.train._base import AbstractTrainer, Setup, TrainRows, refuse_out_of_range, training_rows
from scarce.train._folds import absent, calibrated
from scarce.train._named_loss import LossName, loss_of
from scarce.train._rocket import levels_of, plan, transform
from scarce.train.model import Model, base_card

WHO = "train.minirocket"
LONGEST = 1024
"""Longer series are brought to so many points."""


@final
@dataclass(frozen=True, kw_only=True)
class Minirocket(AbstractTrainer):
    """How often each of 84 patterns occurs at many scales and levels, with a linear head.

    Use for measured curves: sensors, heart beats, power. Do not use where single points decide: take linear_probe.

    Needs: series (T,) or (C, T), the same C everywhere. Lengths may differ, they are brought to the median one by
    stretching; where all training series had one length, ``scarce predict`` sets series of another aside.
    Writes: a model; its temperature and threshold come from out-of-fold answers of whole groups.
    Source: Dempster, Schmidt and Webb 2021 (MiniRocket). Mean, spread, lowest, highest and length of each channel are
    added, since series are z-scored here; the head is a softmax regression, theirs a ridge classifier.

    Args:
        features: patterns times scales times levels.
        l2: weight decay of the head's mean loss.
        components: principal components that the head sees.
        loss: a name, or a specification.
        folds: of the cross-validation that calibrates; 0 = do not calibrate.
    """

    modalities: ClassVar[tuple[str, ...]] = ("time_series",)

    features: int = 9996
    l2: float = 3e-3
    components: int = 512
    loss: LossSpec | LossName = "cross_entropy"
    folds: int = 5

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        limits = {"features": (84, 1_000_000), "l2": (0.0, 1e6), "components": (1, 65536), "folds": (0, 100)}
        refuse_out_of_range(WHO, self, limits)

    def fit(self, view: FoldView, *, seed: int = 0, setup: Setup | None = None) -> Model:
        """Fit levels and head on the training side of the fold."""
        setup = setup or Setup()
        train = view.train
        used = training_rows(train, setup, who=WHO)
        spec = loss_of(setup.loss or self.loss, used.counts)
        needed, place = np.unique(used.rows, return_inverse=True)
        series = _series(train, needed)
        lengths = [curve.shape[1] for curve in series]
        length = int(np.clip(np.median(lengths), 16, LONGEST))
        patterns = Patterns.fit(brought_to(series, length)[0], self.features, seed=seed)
        features = patterns(*brought_to(series, length))
        card = base_card(view, "minirocket", self.params(), seed=seed) | {
            "length": length, "lengths": [min(lengths), max(lengths)],
            "channels": series[0].shape[0], "loss": asdict(spec),
            "absent_classes": absent(train.schema.classes, used), **used.told(train),
        }  # fmt: skip
        model = RocketModel(card=card, patterns=patterns, head=self._fit(features[place], used, spec))
        where = np.full(len(train), -1)
        where[needed] = np.arange(len(needed))

        def judge(inside: TrainRows, judged: Ints) -> Floats:
            return self._fit(features[where[inside.rows]], inside, spec).logits(features[where[judged]])

        return calibrated(model, view, used, judge, folds=self.folds, seed=seed)

    def _fit(self, features: Floats, used: TrainRows, spec: LossSpec) -> probes.FittedProbe:
        head = probes.LinearProbe(l2=self.l2, iterations=80, components=self.components)
        return head.fit(features, used.soft, used.soft.shape[1], weights=used.weights, loss=spec)

    @classmethod
    def restore(cls, card: Mapping[str, Any], tensors: Mapping[str, Array]) -> Model:
        """Rebuild the model."""
        patterns = Patterns(*(tensors[name] for name in ("dilations", "counts", "subsets", "levels")))
        projection = probes.Projection(tensors["mean"], tensors["scale"], tensors["basis"])
        head = probes.FittedProbe(projection, tensors["coef"], tensors["bias"])
        if head.coef.shape[1] != len(card["classes"]):
            raise KeyError(f"{head.coef.shape[1]} classes in the weights, {len(card['classes'])} in the card")
        return RocketModel(card=dict(card), patterns=patterns, head=head)


@dataclass(frozen=True, eq=False)
class Patterns:
    """Which patterns are sought, and above which levels.

    Attributes:
        dilations, counts: (S,), see :func:`scarce.train._rocket.plan`.
        subsets: (S, 84, C) bool, the channels that a pattern adds up.
        levels: (F,).
    """

    dilations: Array
    counts: Array
    subsets: Array
    levels: Array

    @classmethod
    def fit(cls, curves: Floats, features: int, *, seed: int) -> Patterns:
        """Draw channels and levels from (N, C, L) training series."""
        shape = plan(curves.shape[2], features)
        width = curves.shape[1]
        rng = np.random.default_rng([seed, 0x63686E])
        subsets = np.ones((len(shape[0]), 84, width), bool)
        if width > 1:
            sizes = (2 ** rng.uniform(0, np.log2(min(width, 9) + 1), subsets.shape[:2])).astype(np.int64)
            rank = np.argsort(np.argsort(rng.random(subsets.shape), axis=2), axis=2)
            subsets = rank < sizes[..., None]
        return cls(*shape, subsets, levels_of(curves, shape, subsets, seed=seed))

    def __call__(self, curves: Floats, sizes: Floats) -> Floats:
        """Return (N, F + 5 C) float32 features."""
        found = transform(curves, (self.dilations, self.counts), self.subsets, self.levels)
        return np.concatenate([found, sizes.reshape(len(sizes), -1)], axis=1).astype(np.float32)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class RocketModel(Model):
    """Patterns and a linear head."""

    patterns: Patterns
    head: probes.FittedProbe

    def logits(self, ds: Dataset) -> Floats:
        """Return (N, K); set-aside rows are NaN.

        Raises:
            TrainError: the series have another number of channels than those of the training.
        """
        out = np.full((len(ds), len(self.classes)), np.nan)
        rows = np.flatnonzero(ds["keep"].astype(bool))
        for start in range(0, len(rows), 512):
            block = rows[start : start + 512]
            curves, sizes = brought_to(_series(ds, block), int(self.card["length"]))
            if curves.shape[1] != self.card["channels"]:
                raise TrainError(WHO, f"the series have {curves.shape[1]} channels",
                                 f"the model knows {self.card['channels']}", "give the same channels")  # fmt: skip
            out[block] = self.head.logits(self.patterns(curves, sizes))
        return out

    def refusals(self, ds: Dataset) -> list[str | None]:
        """Name the series of another length, where all that training saw had one."""
        shortest, longest = self.card["lengths"]
        if shortest != longest:
            return [None] * len(ds)
        rows = np.flatnonzero(ds["keep"].astype(bool))
        found: list[str | None] = [None] * len(ds)
        if "scan.length" in ds.wide:
            lengths = [int(length) for length in ds["scan.length"][rows]]
        else:
            lengths = [curve.shape[1] for curve in _series(ds, rows)]
        for row, length in zip(rows.tolist(), lengths, strict=True):
            if length != longest:
                found[row] = f"length: {length} points, all training series had {longest}"
        return found

    def tensors(self) -> dict[str, Array]:
        """Return patterns, projection and head."""
        projection = self.head.projection
        return asdict(self.patterns) | {
            "mean": projection.mean, "scale": projection.scale, "basis": projection.basis, "coef": self.head.coef,
            "bias": self.head.bias,
        }  # fmt: skip


def brought_to(series: list[Floats], length: int) -> tuple[Floats, Floats]:
    """Return (N, C, length) z-scored curves with holes bridged, and (N, C, 5) what z-scoring took away.

    Raises:
        TrainError: the series do not all have the same number of channels.
    """
    widths = {curve.shape[0] for curve in series}
    if len(widths) > 1:
        raise TrainError(WHO, f"the series have {' or '.join(map(str, sorted(widths)))} channels",
                         do="give the same channels everywhere")  # fmt: skip
    pairs = [resampled(curve, length) for curve in series]
    return np.stack([curve for curve, _ in pairs]), np.stack([size for _, size in pairs])


def _series(ds: Dataset, rows: Ints) -> list[Floats]:
    return [np.atleast_2d(np.asarray(sample, np.float32)) for sample in open_samples(ds, rows)]
