"""Synthetic samples into a folder, from a project or from data that lies anywhere."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scarce.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from scarce.config import Config
    from scarce.dataset import Dataset
    from scarce.loop.gate import Target
    from scarce.project import Project
    from scarce.synthesize import Made
    from scarce.synthesize.screen import Gate


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be made.

    Args:
        kind: kind of defect.
        n: accepted samples; None = what is missing to the target of ``[synthesize]``.
        label: class of the samples; empty = found by its name.
        settings: texts ``name=value`` that set the kind's parameters; they come before those of the project.
        normal: classes of sound parts; empty = those that the data knows.
        seed: of everything random.
        minutes: of wall time; None = no limit.
        per_original: most uses of one sound picture; None = no limit.
        workers: threads.
        screened: samples must pass the screens.
        add: accepted ones become rows of the project.
    """

    kind: str
    n: int | None = None
    label: str = ""
    settings: tuple[str, ...] = ()
    normal: tuple[str, ...] = ()
    seed: int = 0
    minutes: float | None = None
    per_original: int | None = None
    workers: int | None = None
    screened: bool = True
    add: bool = False


@dataclass(frozen=True)
class Done:
    """What came of an order.

    Attributes:
        made: what lies in the folder.
        screen: what ``screen.json`` says, but for the samples; None = they were not screened.
        targets: class to target, real and synthetic counts; None = N was given.
        share: synthetic share of the class among its training samples, with what was made.
        warnings: sentences for people.
        version: of the project with the new rows; None = none were added.
        added: how many rows that were.
    """

    made: Made
    screen: dict[str, Any] | None
    targets: dict[str, Target] | None
    share: float
    warnings: tuple[str, ...]
    version: str | None = None
    added: int = 0


def make_from(path: Path, order: Order, out: Path) -> Done:
    """Make synthetic samples from a project's newest version, or from a folder or manifest.

    Screens are fitted on real training samples. With ``add`` the accepted samples become rows of the project, in a new
    version; else neither project nor data is changed.

    Args:
        path: a project, or data as ``scarce.read`` takes it.
        order: what is to be made.
        out: the folder.

    Raises:
        UnknownNameError: there is no such kind, neither drawn nor of a model.
        ConfigError: a setting is wrong, or rows are to be added to what is no project.
        DataError, ReadError, UnknownNameError: see ``scarce.synthesize.make``.
    """
    from scarce import io
    from scarce.config import Config
    from scarce.project import Project, is_project

    if is_project(path):
        with Project.open(path) as project:
            return _made(project.dataset(), project.config, order, out, project)
    if order.add:
        raise ConfigError("synthesize", f"rows can be added to a project, and {path} is none",
                          do="make one: scarce init, scarce add")  # fmt: skip
    return _made(io.read(path), Config(), order, out, None)


def _made(ds: Dataset, config: Config, order: Order, out: Path, project: Project | None) -> Done:
    from scarce import io
    from scarce.loop import gate
    from scarce.loop.generating import Generating
    from scarce.recipe import refuse_ungrown
    from scarce.registry import canonical, names

    refuse_ungrown(ds, who="synthesize")
    if order.normal:
        ds = io.with_normal(ds, order.normal)
    drawn, models = names("synthesize"), names("synthesize.generate")
    if canonical(order.kind) not in (*drawn, *models):
        raise unknown_name("synthesize", "kind", order.kind, [name.replace("_", "-") for name in (*drawn, *models)])
    generated = canonical(order.kind) in models
    work = Generating(ds, config, order) if generated else Drawing(ds, config, order)
    goals = None
    n = order.n
    if n is None and isinstance(work, Generating) and work.plugin.per_combination:
        n = work.plugin.per_combination * len(work.plugin.combinations(work.label))
    if n is None:
        goals = gate.targets(ds, config)
        n = wanted(goals, work.label)
    door = None
    if order.screened:
        door = gate.gate_for(work.ds, work.label, config, project=project, seed=order.seed, workers=order.workers)
    made = work.make(n, out, door, planned=order.n is None)
    lines = work.lines(made)
    told = None if door is None else gate.write_page(
        work.ds, made.out, door.measured(config.synthesize.screen.most_share), lines
    )  # fmt: skip
    share = gate.share_of(ds, work.label, made.accepted)
    warnings = tuple(told["warnings"]) if told is not None else gate.share_warning(work.label, share, config)
    version, added = None, 0
    if order.add and project is not None and made.accepted:
        grown = work.added(made)
        added = len(grown) - len(ds)
        if added:
            message = f"synthesize {made.accepted} {work.label} by {made.kind}"
            version = project.commit(grown, message, owner=("synthesize", "io") if order.normal else "synthesize")
    return Done(made, told, goals, share, warnings, version, added)


def wanted(goals: Mapping[str, Target], label: str) -> int:
    """Return how many samples of a class its target lacks.

    Raises:
        ConfigError: the class has no target, or reached it.
    """
    goal = goals.get(label)
    if goal is None or not goal.real:
        raise ConfigError("synthesize", f"{label!r} has no real training sample to plan by",
                          f"classes are {', '.join(goals)}", "say how many: --n")  # fmt: skip
    if not goal.wanted:
        there = f"{goal.real} real and {goal.synthetic} synthetic ones, target {goal.target}"
        raise ConfigError("synthesize", f"class {label!r} lacks no samples", there, "say how many: --n")
    return goal.wanted


class Drawing:
    """Drawn and pasted defects.

    Args:
        ds: the data.
        config: settings of the project, or defaults.
        order: what is to be made.
    """

    def __init__(self, ds: Dataset, config: Config, order: Order) -> None:
        from scarce import synthesize
        from scarce.registry import canonical, load

        kind = load("synthesize", order.kind, synthesize.AbstractDefect)  # type: ignore[type-abstract]
        given = dict(config.synthesize.plugins.get(canonical(order.kind), {}))
        self.ds, self.order, self.copies = ds, order, config.synthesize.copies
        self.plugin = kind.from_params(given | settings_of(order.settings))
        self.label = order.label or synthesize.class_of(ds, self.plugin)

    def make(self, n: int, out: Path, door: Gate | None, *, planned: bool) -> Made:
        """Make n samples; a planned number keeps to the cap on uses of one picture."""
        from scarce import synthesize

        order = self.order
        limits = synthesize.Limits(
            seconds=None if order.minutes is None else 60 * order.minutes,
            per_original=order.per_original or (self.copies if planned else None),
        )
        return synthesize.make(
            self.ds, self.plugin, n=n, out=out, label=self.label, seed=order.seed, screen=door, limits=limits,
            workers=order.workers,
        )  # fmt: skip

    def lines(self, made: Made) -> list[dict[str, Any]]:
        """Return every try in the shape of the gallery."""
        rows = [json.loads(line) for line in (made.out / "tries.jsonl").read_text("utf-8").splitlines()[1:]]
        return [
            {"name": row["file"] or f"try {row['index']}", "class": row["class"], "reason": row["reason"],
             "file": row["file"] and f"images/train/{row['file']}", "recipe": row["recipe"], "number": row["index"]}
            for row in rows
        ]  # fmt: skip

    def added(self, made: Made) -> Dataset:
        """Return the data with a row for each accepted try."""
        from scarce import synthesize

        numbers = [row["number"] for row in self.lines(made) if not row["reason"]]
        return synthesize.adopt(self.ds, self.plugin, numbers, label=self.label, seed=self.order.seed)


def settings_of(texts: Sequence[str]) -> dict[str, Any]:
    """Read ``name=value``; values are written as in TOML, plain words need no quotes.

    Raises:
        ConfigError: a text has no name or no value.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise ConfigError("synthesize", f"the setting {text!r} is not of the form NAME=VALUE",
                              do="for example --set severity=0.8")  # fmt: skip
        try:
            found[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[name.strip()] = value.strip()
    return found
