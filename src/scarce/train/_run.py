"""The driver: from a fold and a trainer to a model."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from scarce import registry
from scarce.between import Between
from scarce.dataset import Array, FoldView
from scarce.errors import TrainError
from scarce.loss_spec import LossSpec
from scarce.train._base import AbstractTrainer, Online, Setup
from scarce.train._tracking import Tracking
from scarce.train.model import Model


class Given(Protocol):
    """What decisions made of a fold's training side, for example :class:`scarce.decision.TrainSet`."""

    @property
    def rows(self) -> Array:
        """(n,) row numbers of ``view.train``; a row may occur more than once."""

    @property
    def weights(self) -> Array:
        """(n,) sample weights."""

    @property
    def loss(self) -> LossSpec:
        """The loss."""

    @property
    def between(self) -> Between:
        """Virtual rows between rows of ``view.train``."""


def fit(  # noqa: PLR0913  one knob each
    view: FoldView, trainer: AbstractTrainer | str = "linear_probe", *, seed: int = 0, given: Given | None = None,
    online: Online | None = None, checkpoint: str | Path | None = None,
    tracking: Tracking = "files",
) -> Model:  # fmt: skip
    """Fit a model on the training side of a fold.

    Args:
        view: the fold; its evaluation side is never looked at.
        trainer: a trainer, or the name of one with its default parameters.
        seed: of everything random: same data, seed and machine give the same weights.
        given: rows, weights and loss that decisions chose; None = all labelled rows, the trainer's own loss.
        online: an augmentation drawn anew each epoch (a policy of :mod:`scarce.augment`), for networks.
        checkpoint: folder to resume from after an interruption, for networks.
        tracking: of networks: ``files`` writes ``history.csv`` beside the checkpoint, ``mlflow`` logs a run.

    Raises:
        TrainError: no usable model can be made of this data.
        UnknownNameError: there is no such trainer.
    """
    if isinstance(trainer, str):
        trainer = registry.load("train", trainer, AbstractTrainer)()  # type: ignore[type-abstract]
    if not len(view.train):
        raise TrainError("train", "the training side is empty", f"{len(view.dataset)} rows in all",
                         "label some rows and split them: scarce split")  # fmt: skip
    folder = None if checkpoint is None else Path(checkpoint)
    setup = Setup(online=online, checkpoint=folder, tracking=tracking)
    if given is not None:
        setup = replace(setup, rows=given.rows, weights=given.weights, loss=given.loss, between=given.between)
    started = time.perf_counter()
    model = trainer.fit(view, seed=seed, setup=setup)
    return model.stamped(seconds=round(time.perf_counter() - started, 2))
