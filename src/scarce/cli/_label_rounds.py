"""``scarce label session`` and ``scarce label history``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Workers, folder_of
from scarce.cli._screen import console, safe, screen, table

if TYPE_CHECKING:
    from rich.console import Console

Budget: TypeAlias = Annotated[
    int | None, typer.Option("--budget", min=1, help="Samples to ask about in one round.", show_default="50")
]
Initial: TypeAlias = Annotated[
    int | None, typer.Option("--initial", min=1, help="Samples to ask about in the first round.", show_default="100")
]
Strategy: TypeAlias = Annotated[
    str | None, typer.Option("--strategy", help="How samples are chosen.", show_default="auto")
]
Judge: TypeAlias = Annotated[
    str,
    typer.Option("--judge", help="Where progress is judged: val, folds (out of fold on drawn labels), test (a counted "
                 "look each round), or auto: val if it has labels, else folds."),
]  # fmt: skip
Truth: TypeAlias = Annotated[
    str, typer.Option("--truth", help="Which of several answers counts: newest, or vote (all people together).")
]
Voter: TypeAlias = Annotated[str, typer.Option("--voter", metavar="NAME", help="Who answers.")]


def session(
    project: ProjectFolder = None,
    named: InProject = None,
    rounds: Annotated[int, typer.Option("--rounds", min=0, help="Stop after so many rounds; 0 = no limit.")] = 0,
    budget: Budget = None,
    initial: Initial = None,
    target: Annotated[
        float | None,
        typer.Option("--target", min=0.0, max=1.0, help="Stop when the project's metric reaches this.",
                     show_default="0.95"),
    ] = None,
    strategy: Strategy = None,
    judge: Judge = "auto",
    truth: Truth = "newest",
    voter: Voter = "a person",
    seed: Seed = 0,
    workers: Workers = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Ask a person about the samples that help most, in rounds.

    Each answer is kept at once with who, when and how long; none overwrites an earlier one. Quitting or Ctrl-C loses
    nothing: the same command goes on. After each round a linear probe is judged, and the history says what it gained.
    Without a terminal, answers are read line by line: a class, u, x or -.

    Example:
        scarce label photos-scarce
        scarce label session photos-scarce --rounds 5 --budget 50 --target 0.95 --voter anna
    """
    import sys

    with screen(as_json, quiet, debug) as out:
        from scarce.cli._sitting import sit
        from scarce.loop.answering import freeze
        from scarce.loop.asking import LABEL
        from scarce.loop.rounds import Loop, Plan
        from scarce.loop.rounds import history as told
        from scarce.loop.sitting import Sitting
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            plan = Plan.of(opened, budget=budget, initial=initial, target=target, strategy=strategy, rounds=rounds,
                           judge=judge, truth=truth, seed=seed, workers=workers)  # fmt: skip
            loop = Loop(opened, plan)
            now = loop.go_on()
            while now.waiting:
                sitting = Sitting(opened, voter, (LABEL,), now.round and now.round["samples"])
                out.rest()
                try:
                    whole = sit(sitting, console(sys.stderr))
                finally:
                    freeze(opened, truth=truth)
                if not whole:
                    break
                now = loop.go_on()
            _finish(out, now.stopped, loop.waiting(), told(opened))


def history(
    project: ProjectFolder = None,
    named: InProject = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """List the rounds: what was asked and why, what it cost, and how good a model was before and after.

    Example:
        scarce label history photos-scarce
        scarce label history photos-scarce --json
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.loop.asking import LABEL, kind_of
        from scarce.loop.rounds import history as told
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            waiting = sum(kind_of(row["reason"]) == LABEL for row in opened.state.queue())
            _finish(out, "", waiting, told(opened))


def _finish(out: Any, stopped: str, waiting: int, rounds: Sequence[Mapping[str, Any]]) -> None:
    body = {"stopped": stopped, "waiting": waiting, "rounds": rounds}
    out.show(body, lambda screen: draw_rounds(screen, stopped, waiting, rounds))


def _people(item: Mapping[str, Any]) -> str:
    """Return who answered how much, with the seconds it took where they are known."""
    return safe(", ".join(
        f"{name} {count}" + f" ({item['seconds_by'][name]:.0f} s)" * bool(item["seconds_by"].get(name))
        for name, count in item["by"].items()
    ))  # fmt: skip


def draw_rounds(screen: Console, stopped: str, waiting: int, rounds: Sequence[Mapping[str, Any]]) -> None:
    """Show the history of the rounds, and why they stopped."""
    rows = [
        (item["round"], item["strategy"], f"{item['answered']}/{item['asked']}", item["unsure"],
         f"{item['seconds']:.0f}", _score(item["before"]), _score(item["after"]), _people(item))
        for item in rounds
    ]  # fmt: skip
    names = ("round", "strategy", "answered", "unsure", "seconds", "before", "after", "by")
    if rows:
        screen.print(table(names, rows, right=("round", "answered", "unsure", "seconds")))
        last = rounds[-1]["after"] or rounds[-1]["before"]
        note = f"; {last['note']}" * bool(last["note"])
        if last["value"] is not None:
            screen.print(f"{last['metric']} of a linear probe, judged on {last['judged_on']} (n = {last['n']}){note}")
    else:
        screen.print("No round was begun yet.")
    for item in rounds[-1:]:
        if item["note"]:
            screen.print(safe(item["note"]))
    if stopped:
        screen.print(f"Stopped: {safe(stopped)}.")
    if waiting:
        screen.print(f"{waiting} questions wait; the same command goes on.")


def _score(standing: Mapping[str, Any] | None) -> str:
    if standing is None or standing["value"] is None:
        return "-"
    return f"{standing['value']:.3f} ({standing['low']:.3f} to {standing['high']:.3f})"
