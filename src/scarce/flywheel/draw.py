"""The draw of a period: what is asked about goes into the data and into the queue, what it cost into the ledger.

The ledger's row comes first. Whoever is killed behind it, the next call brings the rest: a question is spent once.
Drawn samples are test samples from then on, before anybody has named their label, so that nothing can train on them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.dataset import Dataset
from scarce.errors import ConflictError, ContractError, DataError
from scarce.flywheel._blind import WITHDRAWN, draws
from scarce.flywheel._served import INSTEAD, unserved_champion
from scarce.flywheel.pool import UNKNOWN, Pool, beside, folder_of, pool_of
from scarce.flywheel.promote import CHAMPION
from scarce.flywheel.queue import AUDIT, MONTH, PICK, WEEK, Budget, Choice, budget_of, choose
from scarce.io.production import drawn
from scarce.label import query
from scarce.label.query import AbstractQuery
from scarce.loop.answering import with_answers
from scarce.loop.asking import BLIND, LABEL, kind_of, put
from scarce.loop.picking import Picked, reasons
from scarce.state import DRAWS

if TYPE_CHECKING:
    from scarce.project import Project

WHO: Final = "flywheel.queue"
HEAD: Final = "production"
"""So begin the reasons of questions about production samples, behind ``label: ``."""
TRIES: Final = 5
STATUSES: Final = ("open", "done", "overtaken")
OWNERS: Final = ("io", "audit", "split", "clean")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a draw did.

    Attributes:
        budget: of the period, this draw included unless it was dry.
        rows: ``id``, ``sample`` (hash; None = no served model saw it), ``kind``, ``inclusion``, ``utility``, ``reason``
            of each, in the order in which they are asked.
        frame: samples that the audit was drawn from.
        strategy: who picked.
        version: the newest version now.
        waiting: questions for a label that wait in the queue.
        lost: production samples whose bytes were not kept.
        notes: what a person should know.
    """

    budget: Budget
    rows: tuple[dict[str, Any], ...]
    frame: int
    strategy: str
    version: str | None
    waiting: int
    lost: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        kinds = {kind: sum(row["kind"] == kind for row in self.rows) for kind in (AUDIT, PICK)}
        return {**asdict(self), "budget": {**asdict(self.budget), "left": self.budget.left}, **kinds,
                "asked": len(self.rows), "rows": list(self.rows),
                "notes": list(self.notes)}  # fmt: skip


def ask(  # noqa: PLR0913 - one knob each
    project: Project, *, budget: int | None = None, period: str = "", strategy: str = "", dry_run: bool = False,
    now: datetime | None = None, workers: int | None = None, seed: int = 0,
) -> Asked:  # fmt: skip
    """Ask people about the production samples that are worth most, within what the period may still cost.

    Args:
        project: with a log of predictions, or with samples that nobody has labelled.
        budget: labels of the period, what was spent in it included; None = that of the settings.
        period: ``week`` or ``month``; empty = that of the settings.
        strategy: see :mod:`scarce.label.query`; empty = that of the settings.
        dry_run: leave data, queue and ledger as they are.
        now: the time; None = the clock's.
        workers: threads at most; None = all cores.
        seed: of the draw.

    Raises:
        DataError: there is nothing that could be asked about.
        ConfigError: budget, period or strategy make no sense.
        ConflictError: others drew again and again meanwhile.
    """
    settings = project.config.flywheel
    kind = period or _period(project)
    total = budget if budget is not None else settings.labels_per_month if kind == MONTH else settings.labels_per_week
    chosen = _strategy(project, strategy or settings.strategy, total)
    if project.head is None:
        raise DataError(WHO, "the project has no data", do="scarce add a source first")
    if not dry_run:
        settle(project)
    for _ in range(TRIES):
        before = draws(project)
        at = now or datetime.now(UTC)
        money = budget_of(before, kind, total, at)
        if not money.left:
            return _nothing(project, money, chosen)
        pool = pool_of(project, mark=max((int(row["mark"]) for row in before), default=0), workers=workers, seed=seed)
        if not len(pool.candidates):
            raise _empty(project, pool)
        choice = choose(pool.candidates, money.left, strategy=chosen, audit=settings.audit, seed=(seed, len(before)))
        rows = _rows(pool, choice, money.period)
        if dry_run or not rows:
            return _asked(project, money, rows, (pool, choice))
        with project.store.locked():
            if len(draws(project)) != len(before):  # somebody else drew meanwhile
                continue
            old = project.dataset()
            _record(project, before, rows, (pool, choice), at)
            settle(project)
            found = _asked(project, budget_of(draws(project), kind, total, at), rows, (pool, choice))
            gone = moved(old, project.dataset(), "train", "pool")
            told = f"{gone:,} training samples wait in the pool from now on: they show what a drawn sample shows"
            return replace(found, notes=(*found.notes, told)) if gone else found
    raise ConflictError(WHO, f"others drew {TRIES} times meanwhile", do="do it again")


def settle(project: Project) -> bool:
    """Bring what is missing of the draws: samples into the data, questions of the last one into the queue.

    A killed process leaves such, and so does a rollback: samples whose question waits come back, and what was drawn
    stays test, whatever older data comes back.

    Returns:
        Whether anything was missing.

    Raises:
        ContractError: the contract refuses the drawn samples; the draw is taken back, and costs nothing.
    """
    told = draws(project)
    if not told:
        return False
    with project.store.locked():
        last, every = told[-1], [row for one in told for row in one["rows"]]
        rows = last["rows"]
        open_, *over = ({(row["sample"], row["reason"]) for row in project.state.queue(one)} for one in STATUSES)
        asked = open_.union(*over)
        missing = [row for row in rows if (row["id"], row["reason"]) not in asked]
        ds = project.dataset()
        known = set(ds.ids.astype(str).tolist())
        new = [row for row in every if row["sample"] and row["id"] not in known
               and ((row["id"], row["reason"]) in open_ or (missing and row in rows))]  # fmt: skip
        if new or _undrawn(ds, every):
            try:
                project.commit(_with(project, ds, every, new), f"queue: {last['decision']}", owner=("label", *OWNERS))
            except ContractError as error:
                if missing:  # nobody was asked yet, and nothing of it is in the data
                    row = {"decision": f"take back: {last['decision']}", "verdict": WITHDRAWN, "draw": last["draw"],
                           "why": str(error)}  # fmt: skip
                    project.state.add_ledger_rows([row], run=DRAWS)
                raise
        n = max(len(rows), 1)
        order = {(row["id"], row["reason"]): 1 - place / n for place, row in enumerate(rows)}
        if missing:
            _overtaken(project, missing)
            put(project, [
                {"sample": row["id"], "reason": row["reason"], "priority": order[row["id"], row["reason"]],
                 "version": project.head} for row in missing
            ])  # fmt: skip
        return bool(missing or new)


def _overtaken(project: Project, rows: list[dict[str, Any]]) -> None:
    """Take other questions for a label of these samples off the queue: somebody is asked blind, and once."""
    mine = {row["id"] for row in rows if row["kind"] == AUDIT}
    over = [row["number"] for row in project.state.queue() if row["sample"] in mine and kind_of(row["reason"]) == LABEL]
    if over:
        project.state.settle(over, "overtaken")


def moved(before: Dataset, after: Dataset, source: str, target: str) -> int:
    """Return how many samples went from one split to another."""
    if "split" not in before or "split" not in after:
        return 0
    here = set(before.ids[before["split"] == source].tolist())
    return sum(name in here for name in after.ids[after["split"] == target].tolist())


def _period(project: Project) -> str:
    """Return what the budget is for; ``auto`` asks the plan whether production is stable."""
    from scarce.flywheel.kpi import measure
    from scarce.flywheel.plan import plan

    wanted = project.config.flywheel.period
    return plan(project, measure(project)).budget.every if wanted == "auto" else wanted


def _strategy(project: Project, name: str, budget: int) -> AbstractQuery:
    """Return the strategy with its settings; those of [flywheel] are the weights of priority."""
    settings = project.config.flywheel
    weights = {"uncertainty": settings.uncertainty, "rarity": settings.rarity, "diversity": settings.diversity}
    tables = {**project.config.label.query.plugins}
    tables["priority"] = {**tables.get("priority", {}), **weights}
    found = query.check("priority" if name == "auto" else name, budget, settings=tables)
    assert found is not None
    return found


def _rows(pool: Pool, choice: Choice, period: str) -> list[dict[str, Any]]:
    """Return what the ledger keeps of each chosen sample."""
    places = np.array([one.row for one in choice.rows], np.int64)
    probs = pool.candidates.probs
    said = Picked(places, choice.strategy, tuple(one.why for one in choice.rows),
                  probs=None if probs is None else probs[places])  # fmt: skip
    told = reasons(f"{HEAD}, {choice.strategy}", said, None, pool.candidates.classes)
    rows = []
    for one, reason in zip(choice.rows, told, strict=True):
        log = pool.logged[one.row]
        blind = f"{BLIND} of {period}, {one.why}"  # a suggestion would lead whoever answers
        if log is not None and log.verdict == UNKNOWN:
            reason = f"{LABEL}: {HEAD}, {choice.strategy}: like none of the classes (unknown)"
        rows.append({
            "id": pool.ids[one.row], "sample": log.sample if log else None, "request": log.request if log else None,
            "at": log.at if log else None, "kind": one.kind, "inclusion": one.inclusion,
            "utility": one.utility, "reason": blind if one.kind == AUDIT else reason,
        })  # fmt: skip
    return rows


def _record(
    project: Project, before: list[dict[str, Any]], rows: list[dict[str, Any]], found: tuple[Pool, Choice], at: datetime
) -> None:
    pool, choice = found
    periods = {kind: budget_of(before, kind, 0, at).period for kind in (WEEK, MONTH)}
    many = len(rows)
    body = {
        "decision": f"ask about {many} samples of {periods[WEEK]}", "verdict": "asked", "kept": True, **periods,
        "draw": len(project.state.ledger(DRAWS)), "asked": many, "audit": sum(row["kind"] == AUDIT for row in rows),
        "frame": choice.frame, "mark": pool.mark,
        "strategy": choice.strategy, "version_before": project.head, "rows": rows,
        "notes": [*pool.notes, *choice.notes],
    }  # fmt: skip
    project.state.add_ledger_rows([body], run=DRAWS)


def _undrawn(ds: Dataset, rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return id to probability of drawn samples of the data that do not have it yet."""
    shares = {row["id"]: float(row["inclusion"]) for row in rows if row["kind"] == AUDIT and row["inclusion"]}
    here = {str(name): row for row, name in enumerate(ds.ids)}
    known = ds.table["meta.inclusion"].to_pylist() if "meta.inclusion" in ds.table.column_names else [None] * len(ds)
    return {name: share for name, share in shares.items() if name in here and known[here[name]] is None}


def _with(project: Project, ds: Dataset, rows: list[dict[str, Any]], new: list[dict[str, Any]]) -> Dataset:
    """Return the data with the new samples in it, drawn ones as test samples that nobody has named."""
    if new:
        listed = [{"sample": row["sample"], "at": row["at"], "inclusion": row["inclusion"],
                   "split": "test" if row["kind"] == AUDIT else None} for row in new]  # fmt: skip
        ds = beside(project, ds, listed, written=True)
    shares = _undrawn(ds, rows)
    if shares:  # whoever gave them a label by himself had seen what the model says
        named = [name for name, row in zip(shares, ds.rows_of(list(shares)), strict=True) if ds["label"][row] >= 0]
        ds = drawn(with_answers(ds, dict.fromkeys(named)) if named else ds, shares)
    return admitted(project, ds)


def admitted(project: Project, ds: Dataset, *, workers: int | None = None, seed: int = 0) -> Dataset:
    """Return the data measured, compared and split again: copies of test samples never stay in train.

    Where the project was never split, its samples wait for the first split.
    """
    from scarce import modality, split
    from scarce.loop.measure import with_copies

    before = project.dataset()
    ds = modality.scan(ds, workers=workers, cache=project.features / "scan")
    if "split" not in before:
        return ds
    ds = with_copies(project, ds, workers=workers, seed=seed)
    return split.run(ds, ratios=project.config.split.ratios, seed=seed)


def _asked(
    project: Project, money: Budget, rows: list[dict[str, Any]], found: tuple[Pool, Choice]
) -> Asked:  # fmt: skip
    pool, choice = found
    return Asked(
        budget=money, rows=tuple(rows), frame=choice.frame, strategy=choice.strategy, version=project.head,
        waiting=_waiting(project), lost=pool.lost, notes=(*_clock(money), *pool.notes, *choice.notes),
    )  # fmt: skip


def _nothing(project: Project, money: Budget, chosen: AbstractQuery) -> Asked:
    spent = f"the budget of {money.period} is spent: {money.spent} of {money.total} labels"
    return Asked(budget=money, rows=(), frame=0, strategy=chosen.plugin_name(), version=project.head,
                 waiting=_waiting(project), lost=0, notes=(*_clock(money), spent))  # fmt: skip


def _waiting(project: Project) -> int:
    return sum(row["reason"].startswith(f"{LABEL}: ") for row in project.state.queue())


def _clock(money: Budget) -> list[str]:
    told = f"an earlier draw was made in {money.period}, which by this clock is yet to come: one clock is wrong"
    return [told] * money.ahead


def _empty(project: Project, pool: Pool) -> DataError:
    if pool.lost:
        return DataError(WHO, f"of {pool.lost} production samples not one was kept", f"{folder_of(project)} has none",
                         "set keep_images = true below [serve] in scarce.toml")  # fmt: skip
    if what := unserved_champion(project, project.state.aliases().get(CHAMPION)):
        there = f"@champion {what}, which is not answered over HTTP, and no data waits for a label"
        return DataError(WHO, "there is nothing to ask about", there, INSTEAD)
    return DataError(WHO, "there is nothing to ask about", "no production sample is new, and none of the data waits",
                     "serve some predictions first, or add unlabelled samples: scarce add")  # fmt: skip
