"""What all networks share, whatever they look at: rows, sampling, schedule, checkpoint, and the card of the course."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.dataset import Array, Dataset, Floats, FoldView, Ints, Mask
from scarce.errors import TrainError
from scarce.kin import related
from scarce.lineage import canonical_json, digest
from scarce.loss_spec import LossSpec
from scarce.train._base import Setup, TrainRows, training_rows
from scarce.train._named_loss import ClassWeights, LossName, loss_of
from scarce.train._team import is_main
from scarce.train._tracking import follower
from scarce.train._validation import free_of, group_names, held_back, learned_shares, verdict
from scarce.train.model import Model

if TYPE_CHECKING:
    from scarce.train._loop import Change

STEPS: Final = 4000
"""Steps that ``epochs = None`` aims at."""


@dataclass(frozen=True, eq=False)
class Work:
    """What one training has to do.

    Attributes:
        who: the trainer that speaks in messages.
        used: rows to fit on; ``held`` (N,) which rows are held back.
        spec: the loss; ``draw`` (n,) probabilities that rows are drawn with, None = each once.
        setup: what the trainer was told; ``seed`` of everything random.
    """

    who: str
    used: TrainRows
    held: Mask
    spec: LossSpec
    draw: Floats | None
    setup: Setup
    seed: int

    @classmethod
    def of(cls, who: str, train: Dataset, setup: Setup, *, validation: float, seed: int) -> Work:
        """Choose the rows: those that are held back for validation, and all that are free of them.

        Raises:
            TrainError: fewer than two classes have training samples.
        """
        held = held_back(train, share=validation, seed=seed)
        used = _usable(who, train, training_rows(train, setup, who=who), held)
        return cls(who, used, held, LossSpec(), None, setup, seed)

    def with_loss(
        self, loss: LossSpec | LossName, *, tau: float, sampling: float, class_weights: ClassWeights | None = None,
        cosines: bool = False,
    ) -> Work:  # fmt: skip
        """Return the work with its loss: the one of the setup, or this one.

        Raises:
            TrainError: LDAM, whose margins are those of ``cosines``, for a network without such a head.
        """
        spec = self.setup.loss or loss_of(loss, self.used.counts, tau=tau, class_weights=class_weights)
        if spec.kind == "ldam" and not cosines:
            raise TrainError(self.who, "LDAM needs a head of cosines, which this network has not",
                             do="take balanced_softmax or deferred")  # fmt: skip
        draw, spec = sampled(self.used, spec, sampling)
        return replace(self, spec=spec, draw=draw)

    def task(
        self, train: Dataset, load: Callable[[Dataset, Ints], Array],
        change: Change, *, smoothing: float,
    ) -> Any:  # fmt: skip
        """Return the task of the loop; samples go to the network as they are until ``batch`` is replaced.

        Args:
            train: the training side.
            load: (dataset, rows) -> samples.
            change: the online augmentation.
            smoothing: of the labels.
        """
        from scarce.train._loop import Task
        from scarce.train.loss import ImbalanceLoss

        unique, place = np.unique(self.used.rows, return_inverse=True)
        held_rows = np.flatnonzero(self.held)
        return Task(
            samples=load(train, unique), place=place, ids=train.ids[self.used.rows], soft=self.used.soft,
            weights=self.used.weights, change=change, held=load(train, held_rows),
            held_labels=train["label"][held_rows], batch=as_tensor, draw=self.draw,
            loss=ImbalanceLoss.from_spec(self.spec, label_smoothing=smoothing), watch=self.setup.watch,
        )  # fmt: skip

    def follow(self, card: Mapping[str, Any]) -> Any:
        """Return what writes the course down; None where there is nowhere to, or another process does."""
        if not is_main():
            return None
        return follower(self.setup.tracking, self.setup.checkpoint, card)

    def checkpoint(self, train: Dataset, params: Mapping[str, Any], card: Mapping[str, Any], online: object) -> Any:
        """Return where training is saved, or None; the fingerprint leaves out what a run that goes on may change."""
        from scarce.train._checkpoint import Checkpoint

        if self.setup.checkpoint is None:
            return None
        what = {
            "params": {name: value for name, value in params.items() if name != "minutes"},
            "seed": self.seed, "content": card["data"]["content_id"], "classes": card["classes"],
            "online": getattr(online, "name", None), "versions": card["versions"], "loss": asdict(self.spec),
        }  # fmt: skip
        rows = (self.used.soft.tobytes(), self.used.weights.tobytes(), "".join(train.ids[self.used.rows]))
        return Checkpoint(self.setup.checkpoint, digest(canonical_json(what), *rows))

    def judged(self, model: Model, logits_of: Callable[[Array], Floats], task: Any, view: FoldView) -> Model:
        """Return the model with temperature, metrics and threshold from the samples that were held back."""
        if not len(task.held_labels):
            return model
        groups, logits = group_names(view.train)[self.held], logits_of(task.held)
        drawn = 1.0 if self.draw is None else self.draw
        learned = learned_shares((self.used.soft * (self.used.weights * drawn)[:, None]).sum(0), self.spec)
        found, told = verdict(logits, task.held_labels, model.card, learned=learned, groups=groups)
        return replace(
            model, card={**model.card, **found}, held_out=told, held_ids=view.train.ids[self.held], held_logits=logits
        )


def unchanged(
    samples: Array, soft: Floats, _ids: Array, _epoch: int, _rng: np.random.Generator
) -> tuple[Array, Floats]:
    """Return samples and targets as they are: no augmentation."""
    return samples, soft


def as_tensor(tokens: Array, device: Any) -> Any:
    """Return an int64 tensor."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(tokens, np.int64)).to(device)


def epochs_for(n: int, batch: int, *, least: int = 10, most: int = 200, steps: int = STEPS) -> int:
    """Return passes over n samples that come to about ``steps`` steps."""
    return int(np.clip(math.ceil(steps / max(1, round(n / min(batch, n)))), least, most))


def course_card(course: Any, plan: Any, work: Work, task: Any, train: Dataset) -> dict[str, Any]:
    """Return what the card says of a training."""
    import torch

    return {
        "schedule": asdict(plan), "epochs": course.epoch, "best_epoch": course.best_epoch, "history": course.history,
        "threads": torch.get_num_threads(), "loss": asdict(work.spec),
        **work.used.told(train),
        "held_back_rows": len(task.held_labels),
        "parameters": sum(value.numel() for value in course.average.parameters()),
    }  # fmt: skip


def sampled(used: TrainRows, spec: LossSpec, power: float) -> tuple[Floats | None, LossSpec]:
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


def unlabelled_rows(view: FoldView, held: Array | None = None) -> Ints:
    """Return rows of the whole dataset that nobody has labelled and that no judged row is related to.

    Judged rows are those of the splits ``test`` and ``val``, of the view's evaluation side, and the held-back ones.

    Args:
        view: a training side, with or without an evaluation side.
        held: (M,) ids of samples that are held back from the training side.
    """
    ds = view.dataset
    judged = np.isin(ds["split"], ("test", "val"))
    judged[ds.rows_of(view.eval_ids)] = True
    if held is not None:
        judged[ds.rows_of(held)] = True
    loose = ds["keep"].astype(bool) & (ds["origin"] == "real") & (ds["label"] < 0)
    return np.flatnonzero(loose & ~related(ds, np.flatnonzero(judged), loose))


def told_by_pool(card: Mapping[str, Any]) -> str | None:
    """Return what the unlabelled samples gave a training; None where none took part.

    Args:
        card: of a network, or of a model with one among its members.
    """
    card = card.get("members", {}).get("finetune", card)
    shares = [row["pseudo_labelled"] for row in card.get("history") or () if "pseudo_labelled" in row]
    if not card.get("unlabelled_rows") or not shares:
        return None
    said = f"{card['unlabelled_rows']:,} unlabelled samples took part; of those that were looked at in the last epoch "
    if not max(shares):
        return said + "and in all before, none was sure enough: they taught nothing. Lower confidence, or train longer."
    return said + f"{100 * shares[-1]:.1f} % were sure enough."


def _usable(who: str, train: Dataset, used: TrainRows, held: Mask) -> TrainRows:
    free = free_of(train, held)
    left = used.only(free[used.rows])
    if (left.soft.sum(0) > 0).sum() < 2:
        raise TrainError(who, "fewer than two classes have training samples beside the validation samples",
                         f"{len(left.rows)} rows are left", "label more, or set validation = 0")  # fmt: skip
    return TrainRows(left.rows, left.soft, left.weights / left.weights.mean())
