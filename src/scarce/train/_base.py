"""The base class of trainers, what they are told, and the rows that they fit on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from scarce.between import Between
from scarce.dataset import Array, Dataset, Floats, FoldView, Ints
from scarce.errors import ConfigError, DataError, TrainError
from scarce.loss_spec import LossSpec
from scarce.recipe import Scene
from scarce.registry import Plugin
from scarce.train._tracking import Tracking
from scarce.train.model import Model


class Online(Protocol):
    """An augmentation that is drawn anew each epoch, for example a policy of :mod:`scarce.augment`."""

    @property
    def name(self) -> str:
        """What it is called in the model's card."""

    def apply_batch(self, images: Array, ids: Any, *, seed: int = 0, epoch: int = 0) -> Array:
        """Return N changed pictures (N, H, W) or (N, H, W, 3) uint8; a function of id, seed and epoch only."""


class Mixing(Online, Protocol):
    """An augmentation that also mixes samples and their labels."""

    @property
    def mixes(self) -> Mapping[str, Any]:
        """Its operations that take other samples; empty where none does."""

    def pool(self, ids: Sequence[str], codes: Ints, marked: Array, scene: Callable[[str], Scene]) -> Any:
        """Return who may be a partner."""

    def apply_mixed(
        self, images: Array, labels: Floats, ids: Any, pool: Any, *, seed: int = 0, epoch: int = 0
    ) -> tuple[Array, Floats]:
        """Return N changed pictures and their (N, K) labels."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Setup:
    """What a trainer is told beside the fold and its own parameters.

    Args:
        rows: (n,) row numbers of ``view.train``; a row may occur more than once. None = all labelled rows.
        weights: (n,) sample weights; None = the column ``weight``.
        loss: replaces the trainer's own loss.
        online: replaces the trainer's own augmentation.
        between: virtual rows between rows of ``view.train``, for what is fitted on features; others leave them out.
        checkpoint: folder where training is saved after each epoch and resumed from; None = not resumable.
        tracking: ``files``: ``history.csv`` beside the checkpoint; ``mlflow``: a run there.
        watch: of networks: called with the course and the task before the first epoch and after every one.
    """

    rows: Array | None = None
    weights: Array | None = None
    loss: LossSpec | None = None
    online: Online | None = None
    between: Between | None = None
    checkpoint: Path | None = None
    tracking: Tracking = "files"
    watch: Callable[[Any, Any], None] | None = None


@dataclass(frozen=True, kw_only=True)
class AbstractTrainer(Plugin, ABC):
    """Base of trainers: the plugin fills two hooks.

    A field ``loss`` may hold a name or a :class:`~scarce.loss_spec.LossSpec`; as plain values the latter is a mapping.
    """

    modalities: ClassVar[tuple[str, ...]] = ()
    """The kinds of data it takes; none named = all."""
    task: ClassVar[str] = "class"
    """What it learns: ``class`` of a sample, or ``boxes``."""
    encoder: ClassVar[str | None] = None
    """The encoder whose features it needs, where those of the project will not do."""

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """Build the trainer from plain values; a ``loss`` given as a mapping becomes a specification."""
        given = dict(params)
        if isinstance(given.get("loss"), Mapping):
            spec: dict[str, Any] = {str(key): _tuples(value) for key, value in given["loss"].items()}
            given["loss"] = LossSpec(**spec)
        return super().from_params(given)

    @abstractmethod
    def fit(self, view: FoldView, *, seed: int = 0, setup: Setup | None = None) -> Model:
        """Fit on ``view.train`` and return the model; ``view.eval`` must not be looked at."""

    @classmethod
    @abstractmethod
    def restore(cls, card: Mapping[str, Any], tensors: Mapping[str, Array]) -> Model:
        """Rebuild a model from what :meth:`~scarce.train.model.Model.save` wrote."""


@dataclass(frozen=True, eq=False)
class TrainRows:
    """Rows that are fitted on.

    Attributes:
        rows: (n,) row numbers of the training dataset; a row may occur more than once.
        soft: (n, K) float32 targets.
        weights: (n,) float64, mean 1.
    """

    rows: Ints
    soft: Floats
    weights: Floats

    @property
    def codes(self) -> Ints:
        """(n,) likeliest class of the targets."""
        return np.asarray(self.soft.argmax(1), np.int64)

    @property
    def counts(self) -> Floats:
        """(K,) weighted samples of each class."""
        return np.asarray((self.soft * self.weights[:, None]).sum(0), np.float64)

    def told(self, train: Dataset) -> dict[str, Any]:
        """Return what a card says of them: see :func:`fitted_rows`."""
        return fitted_rows(train, self.rows, self.codes)

    def only(self, mask: Array) -> TrainRows:
        """Return the rows where the mask is true."""
        return TrainRows(self.rows[mask], self.soft[mask], self.weights[mask])


def fitted_rows(train: Dataset, rows: Ints, codes: Ints) -> dict[str, Any]:
    """Return what a card says of the rows that were fitted on: how many, and the samples of each class by origin.

    Evaluation, its page and the model card count training samples by it. What is held back to stop, to calibrate or to
    choose a threshold is not among them; a row that is drawn several times is one sample.

    Args:
        train: the training side.
        rows: (n,) row numbers; one may occur more than once.
        codes: (n,) their classes.
    """
    once, first = np.unique(rows, return_index=True)
    named = list(zip(codes[first].tolist(), train["origin"][once].tolist(), strict=True))
    origins = sorted({origin for _, origin in named})
    counted = Counter(named)
    table = {
        name: {origin: counted[code, origin] for origin in origins} for code, name in enumerate(train.schema.classes)
    }
    return {"fitted_rows": len(rows), "fitted": table}


def refuse_out_of_range(who: str, plugin: Plugin, limits: Mapping[str, tuple[float, float]]) -> None:
    """Refuse a setting that is not between its limits; None is left alone.

    Raises:
        ConfigError: the message names the setting and its limits.
    """
    for name, (low, high) in limits.items():
        value = getattr(plugin, name)
        if value is not None and not low <= value <= high:
            raise ConfigError(who, f"{name} = {value} is out of range", f"it takes {low:g} to {high:g}")


def training_rows(train: Dataset, setup: Setup, *, who: str) -> TrainRows:
    """Return the rows to fit on; soft labels (``label_probs``) go before hard ones.

    Raises:
        TrainError: fewer than two classes have a training sample.
    """
    codes = train["label"]
    n_classes = len(train.schema.classes)
    soft_all: Array | None = train["label_probs"] if "label_probs" in train else None  # noqa: SIM401 - no mapping
    has_soft: Any = np.zeros(len(train), bool) if soft_all is None else np.isfinite(soft_all).all(axis=1)
    known = (codes >= 0) | has_soft
    rows = np.flatnonzero(known) if setup.rows is None else np.asarray(setup.rows, np.int64)
    weights = _weights(train, rows, setup)
    wanted = known[rows] & (weights > 0)
    rows, weights = rows[wanted], weights[wanted]
    soft = np.zeros((len(rows), n_classes), np.float32)
    hard = np.flatnonzero(codes[rows] >= 0)
    soft[hard, codes[rows[hard]]] = 1.0
    if soft_all is not None:
        own = has_soft[rows]
        soft[own] = soft_all[rows[own]] / np.maximum(soft_all[rows[own]].sum(1, keepdims=True), 1e-12)
    present = [name for name, count in zip(train.schema.classes, soft.sum(0), strict=True) if count > 0]
    if len(present) < 2:
        there = f"{len(rows)} labelled rows" + (f", all {present[0]!r}" if present else "")
        do = "label more, or split anew"
        if train.schema.modality == "image" and present:
            do += "; from pictures of sound things alone learns --model anomaly"
        raise TrainError(who, "training needs samples of at least two classes", there, do)
    return TrainRows(rows, soft, weights / weights.mean())


def originals(ds: Dataset, ids: Array) -> Ints:
    """Return row numbers with every augmented row replaced by its original."""
    rows = ds.rows_of(ids)
    copied = np.flatnonzero(ds["origin"][rows] == "augmented")
    parents = ds.table["parents"].take(rows[copied]).to_pylist()
    rows = np.asarray(rows, np.int64).copy()
    rows[copied] = ds.rows_of([family[0] for family in parents])
    return rows


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value


def _weights(train: Dataset, rows: Ints, setup: Setup) -> Floats:
    if setup.weights is not None:
        weights = np.asarray(setup.weights, np.float64)
        if len(weights) != len(rows):
            raise DataError("train", f"{len(weights)} weights for {len(rows)} rows")
    else:
        column = train["weight"] if "weight" in train else np.ones(len(train))
        weights = np.nan_to_num(np.asarray(column, np.float64)[rows], nan=1.0)
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise DataError("train", "a sample weight is negative or not finite", do="give weights >= 0")
    return weights
