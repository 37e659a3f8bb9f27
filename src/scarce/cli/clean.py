"""``scarce clean``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scarce.cli._cleaning import Done, show_history
from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, folder_of
from scarce.cli._screen import relative, safe, screen

if TYPE_CHECKING:
    from scarce.clean import Action
    from scarce.dataset import Dataset
    from scarce.project import Project


def clean(
    project: ProjectFolder = None,
    named: InProject = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ACTION", help="set-aside, merge-duplicates, resplit or relabel; repeat.", show_default="all"
        ),
    ] = None,
    relabel: Annotated[bool, typer.Option("--apply", help="Carry out what is only proposed, too: relabel.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    save: Annotated[
        Path | None, typer.Option("--save", "--plan-out", metavar="FILE", help="Write the plan as JSON, to edit it.")
    ] = None,
    plan: Annotated[Path | None, typer.Option(metavar="FILE", help="Carry out a plan that was written.")] = None,
    revert: Annotated[Path | None, typer.Option(metavar="FILE", help="Undo a plan that was carried out.")] = None,
    undo: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Undo one action, whatever came later; repeat for more.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List what was carried out so far, with ids.")] = False,
    ask: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the questions that wait as CSV, for a person to answer.")
    ] = None,
    answers: Annotated[Path | None, typer.Option(metavar="FILE", help="Carry out that CSV with answers.")] = None,
    voter: Annotated[str, typer.Option(metavar="NAME", help="Who answered.")] = "a person",
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="List so many actions.")] = 20,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Set broken and duplicate rows aside; propose better labels.

    Works on the findings of scarce audit. Rows are set aside with a reason, never deleted; labels change only with
    --apply, and in val or test only where a person decided. Questions go to the review queue; --ask writes them as a
    table, --answers takes it back. The result is a new version; each action has an id, by which it alone can be undone
    later.

    Example:
        scarce clean photos-scarce --dry-run --save plan.json
        scarce clean photos-scarce --plan plan.json
        scarce clean photos-scarce --ask questions.csv
        scarce clean photos-scarce --list
    """
    with screen(as_json, quiet, debug) as out:
        from scarce import clean as stage
        from scarce.cli._findings import Names
        from scarce.loop import asking, cleaning
        from scarce.project import Project

        _refuse_both({"--plan": plan, "--revert": revert, "--undo": undo, "--list": listed, "--ask": ask,
                      "--answers": answers})  # fmt: skip
        with Project.open(folder_of(project, named)) as opened:
            ds, done = opened.dataset(), Done()
            if listed:
                show_history(out, stage.history(ds), Names(ds), limit)
                return
            if ask is not None:
                count = asking.write_questions(opened, ds, ask)
                proposed = 0 if count else cleaning.proposed_questions(opened, ds)
                said = f"{count} questions written to {safe(relative(ask))}; scarce clean --answers takes them back"
                if proposed:
                    said += f"\n{proposed} questions are only proposed yet: scarce clean puts them into the queue first"
                body = {"questions": count, "proposed": proposed, "file": str(ask)}
                out.show(body, lambda console: console.print(said))
                return
            if undo and not dry_run:
                done.actions, done.version = cleaning.take_back(opened, ds, undo)
            elif answers is not None:
                heard = asking.read_answers(opened, ds, answers, voter=voter)
                done.actions, done.waiting = list(heard.actions), heard.waiting
                if not dry_run:
                    done.version = asking.take(opened, heard).version
            else:
                done.actions, made_for = _planned(opened, ds, plan or revert, undo, only, relabel)
                if revert and not dry_run and done.wanted:
                    done.version = opened.commit(stage.revert(ds, done.actions), "clean: revert", owner=cleaning.OWNERS)
                elif not dry_run and not revert:
                    done.version = cleaning.carry_out(opened, ds, done.actions, made_for=made_for)
                    done.asked = asking.ask_people(opened, done.actions, done.version or opened.head)
            if save is not None:
                told = Names(ds).told(item for action in done.actions for item in action.samples)
                stage.save(done.actions, save, version=opened.head, told=told)
        done.verb = "undone" if undo or revert else "carried out"
        names = Names(ds)
        out.show(done.to_json(names), lambda console: done.draw(console, names, limit, dry_run=dry_run))


def _refuse_both(given: dict[str, Any]) -> None:
    """Refuse two options that exclude each other."""
    from scarce.errors import ConfigError

    chosen = [name for name, value in given.items() if value]
    if len(chosen) > 1:
        raise ConfigError("clean", f"{' and '.join(chosen)} were given", do="give one of them")


def _planned(
    project: Project, ds: Dataset, file: Path | None, undo: list[str] | None, only: list[str] | None, relabel: bool
) -> tuple[list[Action], str | None]:
    """Return the plan that is asked for, and the version that it was made for."""
    from scarce import clean as stage
    from scarce.loop.cleaning import cleaning_plan

    if file is not None:
        text = stage.read_text(file)
        return stage.from_json(text), stage.version_of(text)
    if undo:
        return stage.actions_of(stage.undo(ds, undo).steps[-1]), None
    return cleaning_plan(project, ds, only, relabel=relabel), project.head
