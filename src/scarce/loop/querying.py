"""Which samples to ask about next: of a project, whose queue takes the questions, or of bare data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scarce.errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scarce.dataset import Dataset
    from scarce.label.query import Batch, Scope
    from scarce.project import Project


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked for.

    Attributes:
        strategy: see :func:`scarce.label.query.run`; empty = that of the settings.
        budget: None = that of the settings.
        include: evaluated splits that may be asked about after all.
        cost: column with the cost of a label; empty = ``meta.cost``, if there is one.
        model: name of ``pred_probs.<model>``; empty = a linear probe.
        encoder: whose features; empty = that of the settings.
        seed: of strategies that draw.
        workers: threads at most; None = all cores.
    """

    strategy: str = ""
    budget: float | None = None
    include: tuple[str, ...] = ()
    cost: str = ""
    model: str = ""
    encoder: str = ""
    seed: int = 0
    workers: int | None = None

    def scope(self, ds: Dataset) -> Scope:
        """Return what may be asked about.

        Raises:
            UnknownNameError: there is no such column of costs.
        """
        from scarce.label.query import Scope

        made = Scope(include=self.include, model=self.model)
        if not self.cost:
            return made
        names = [name for name in ds.table.column_names if name.startswith("meta.")]
        column = self.cost if self.cost in names else f"meta.{self.cost}"
        if column not in names:
            raise unknown_name("query", "column of costs", self.cost, [name.removeprefix("meta.") for name in names])
        return replace(made, cost=ds[column])


def ask_next(project: Project, wish: Wish, *, dry_run: bool = False) -> tuple[Batch, str, int]:
    """Choose from the head of a project and put the questions into its queue.

    They wait there for ``scarce label``, whose next round begins with them. What waits for a label already, or was
    answered, is not asked about again; labels that only a machine gave are no answers.

    Args:
        project: the project.
        wish: strategy, budget and what may be asked about.
        dry_run: leave the queue as it is.

    Returns:
        The questions, the version that they were chosen from, and how many wait in the queue now.

    Raises:
        DataError: nothing is left to ask about.
    """
    from scarce.label import query
    from scarce.loop.asking import put
    from scarce.loop.measure import with_features, with_scan
    from scarce.loop.picking import as_pool, of_batch, reasons
    from scarce.loop.rounds import askable
    from scarce.loop.standing import probabilities

    ds = project.dataset()
    version = str(project.head)
    settings = project.config.label.query
    strategy, budget = wish.strategy or settings.strategy, settings.budget if wish.budget is None else wish.budget
    query.check(strategy, budget, settings=settings.plugins)
    wish.scope(ds)
    ds = with_scan(project, ds, workers=wish.workers)
    ds = with_features(project, ds, encoder=wish.encoder or None, workers=wish.workers, seed=wish.seed)
    free = askable(project, ds, include=wish.include)
    seen = as_pool(ds, free)
    batch = query.run(
        seen, strategy, budget=budget, scope=wish.scope(ds), settings=settings.plugins, seed=wish.seed,
    )  # fmt: skip
    if not dry_run and batch.samples:
        names = [name for name in ds.wide if name.startswith("embedding.")] if batch.probs is None else []
        probs = probabilities(seen, np.asarray(ds[names[-1]], np.float32)) if names else None
        why = reasons(f"query, {batch.strategy}", of_batch(seen, batch), probs, ds.schema.classes)
        put(project, [{**row, "reason": reason} for row, reason in zip(batch.entries(version), why, strict=True)])
    return batch, version, len(project.state.queue())


def choose_from(path: Path, wish: Wish, *, named: Mapping[str, str | None] | None = None) -> Batch:
    """Read a folder or a manifest and choose from it; nothing is kept.

    Args:
        path: as ``scarce.read`` takes it.
        wish: strategy, budget and what may be asked about.
        named: the columns of the manifest: ``label``, ``group``, ``split``, ``time``, ``text``.

    Raises:
        DataError, ReadError: there is nothing to read, or nothing is left to ask about.
    """
    from scarce import encode, io, modality
    from scarce.config import Config
    from scarce.label import query

    settings = Config().label.query
    strategy, budget = wish.strategy or settings.strategy, settings.budget if wish.budget is None else wish.budget
    query.check(strategy, budget)
    ds: Any = modality.scan(io.read(path, **(named or {})), workers=wish.workers)
    if (ds["label"] < 0).any() and np.any(ds["keep"].astype(bool)):
        ds = encode.run(ds, wish.encoder or "auto", workers=wish.workers, seed=wish.seed)
    return query.run(ds, strategy, budget=budget, scope=wish.scope(ds), seed=wish.seed)
