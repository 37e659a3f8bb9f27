"""Fit a model after decisions; the same way for the baseline, the final plan and the ledger's confirmation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scarce import registry
from scarce.dataset import Array, Dataset, FoldView
from scarce.decision import fold_of_view, train_set
from scarce.ledger import Design, Folds, Row, out_of_fold, paired_effect, views_of
from scarce.probe import LinearProbe

PROBE = LinearProbe()
CONFIRM_SEEDS = 3
CONFIRM_FOLDS = 3


def training_view(ds: Dataset) -> FoldView:
    """Return train and val as the training side; a trainer holds val back by itself where it needs it."""
    usable = ds["keep"].astype(bool) & (ds["origin"] == "real") & (ds["label"] >= 0)
    return ds.fold(ds.ids[usable & np.isin(ds["split"], ("train", "val"))], ())


def fit_after(  # noqa: PLR0913  one knob each
    view: FoldView, trainer: str, embedding: str, decisions: Sequence[Any], *, seed: int, minutes: float | None = None,
    calibrate: bool = True,
) -> Any:  # fmt: skip
    """Fit on the training side after the decisions.

    A network makes its augmented copies anew in every epoch, so stored copies are replaced by their originals.
    ``minutes`` bounds the training of a network. Without ``calibrate`` the linear probe saves its cross-validation.
    """
    from scarce import train
    from scarce.augment.policy import policy

    fold, _ = fold_of_view(view, embedding, seed, PROBE.components)
    given = train_set(fold, decisions)
    kind = registry.load("train", trainer, train.AbstractTrainer)  # type: ignore[type-abstract]
    if trainer == "linear_probe":
        given = replace(given, rows=view.train.rows_of(fold.train.ids[given.rows]))
        told = {"embedding": embedding, "l2": PROBE.l2, "components": PROBE.components}
        plugin = kind.from_params(told if calibrate else {**told, "folds": 0})
        return train.fit(view, plugin, seed=seed, given=given)
    given = replace(given, rows=originals(view.train, fold.train.ids[given.rows]))
    plugin = kind.from_params({"minutes": minutes} if given.online else {"minutes": minutes, "augment": "none"})
    return train.fit(view, plugin, seed=seed, given=given, online=policy(given.online) if given.online else None)


def originals(ds: Dataset, ids: Array) -> Array:
    """Return row numbers with every augmented row replaced by its original."""
    rows = ds.rows_of(ids)
    copied = np.flatnonzero(ds["origin"][rows] == "augmented")
    parents = ds.table["parents"].take(rows[copied]).to_pylist()
    rows = rows.copy()
    rows[copied] = ds.rows_of([family[0] for family in parents])
    return rows


@dataclass(eq=False)
class NetworkInstrument:
    """Judges decisions with the final trainer itself."""

    trainer: str
    embedding: str
    workers: int | None = 1

    @property
    def name(self) -> str:
        """The trainer's name."""
        return self.trainer

    def probabilities(self, view: FoldView, decisions: Sequence[Any], *, seed: int) -> Array:
        """Return (n, K) probabilities of the evaluation rows."""
        out: Array = fit_after(view, self.trainer, self.embedding, decisions, seed=seed).predict_proba(view.eval)
        return out


def confirm(ds: Dataset, trainer: str, embedding: str, decisions: Sequence[Any], design: Design) -> Row:
    """Judge the kept plan on the final trainer: the same folds with and without it, paired seeds."""
    design = replace(design, folds=CONFIRM_FOLDS, repeats=CONFIRM_SEEDS)
    folds = Folds.of(ds, design)
    views = views_of(ds, folds)
    instrument = NetworkInstrument(trainer, embedding)
    sides = [out_of_fold(views, instrument, plan, design) for plan in ((), tuple(decisions))]
    effect = paired_effect(folds.labels, sides[0], sides[1], folds.groups, design)
    verdict = "no evidence" if effect.p > design.alpha else "helped" if effect.gain > 0 else "hurt"
    named = ", ".join(decision.name for decision in decisions)
    return Row(
        decision=f"confirm_on_{trainer}", gain=effect.gain, low=effect.low, high=effect.high, p=effect.p,
        p_holm=effect.p, verdict=verdict, kept=True, instrument=trainer,
        why=f"the kept plan on the final model itself, {CONFIRM_SEEDS} paired seeds: {named}",
    )  # fmt: skip
