"""``scarce review``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scarce.cli._label_exchange import Timeout, Title, TokenEnv, Url, server_of
from scarce.cli._label_rounds import Voter
from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, folder_of
from scarce.cli._screen import console, relative, safe, screen, table

if TYPE_CHECKING:
    from scarce.loop.answering import Frozen
    from scarce.project import Project


def review(
    project: ProjectFolder = None,
    named: InProject = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KIND", help="label_error, label_conflict, zero_shot or synthetic; repeat.",
                     show_default="all"),
    ] = None,
    per_class: Annotated[
        int, typer.Option("--per-class", min=1, help="Samples of each class, for zero_shot and synthetic.")
    ] = 20,
    ask: Annotated[bool, typer.Option("--ask", help="Only fill the queue.")] = False,
    page: Annotated[
        Path | None, typer.Option("--page", metavar="FILE", help="Write an HTML page that works without a network.")
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the questions as a table.")] = None,
    label_studio: Url = None,
    token_env: TokenEnv = "LABEL_STUDIO_TOKEN",  # noqa: S107 - a variable's name
    title: Title = "",
    timeout: Timeout = 30.0,
    answers: Annotated[
        Path | None, typer.Option("--answers", metavar="FILE", help="Take a table back, or what the page saved.")
    ] = None,
    results: Annotated[bool, typer.Option("--results", help="Only show what was said so far.")] = False,
    voter: Voter = "a person",
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Look through labels that may be wrong, labels of models, and synthetic samples.

    Flagged labels of the audit come all, the worst first; zero-shot labels and synthetic samples as a random sample of
    each class. Each verdict (right, relabel, set aside, unsure) is kept with reviewer and time and becomes an action of
    scarce clean that can be undone. Without a file or server, questions come at the terminal.

    Example:
        scarce review photos-scarce --kind label_error --voter anna
        scarce review photos-scarce --page review.html
        scarce review photos-scarce --answers answers.csv
        scarce review photos-scarce --results
    """
    with screen(as_json, quiet, debug) as out:
        from scarce import review as stage
        from scarce.loop import asking
        from scarce.project import Project

        kinds = tuple(kind or asking.REVIEWED)
        with Project.open(folder_of(project, named)) as opened:
            new: dict[str, int] = {}
            place, version = "", None
            if answers is not None:
                heard = asking.read_answers(opened, opened.dataset(), answers, voter=voter)
                version = asking.take(opened, heard).version
            elif not results:
                new = stage.ask(opened, opened.dataset(), kinds, per_class=per_class, seed=seed)
                place = _sent(opened, kinds, {"page": page, "csv": csv})
                if label_studio is not None:
                    from scarce.label_studio import push

                    server = server_of(label_studio, token_env, timeout)
                    place = push(opened, server, title=title, kinds=kinds).place
                if not ask and not place:
                    out.rest()
                    version = _sat(opened, kinds, voter).version
            told = stage.results(opened)
            waiting = len(asking.questions(opened, opened.dataset(), kinds))
        body = {"version": version, "new": new, "waiting": waiting, "place": place, "results": told}
        out.show(body, lambda screen: _draw(screen, body))


def _sent(project: Project, kinds: tuple[str, ...], files: dict[str, Path | None]) -> str:
    """Write the questions to the files that are named; return the last one."""
    from scarce.loop.asking import write_questions
    from scarce.review import write_page

    place = ""
    for name, path in files.items():
        if path is not None:
            (write_page if name == "page" else write_questions)(project, project.dataset(), path, kinds)
            place = relative(path)
    return place


def _sat(project: Project, kinds: tuple[str, ...], voter: str) -> Frozen:
    """Ask at the terminal, and make a version of what was said, even where the person was interrupted."""
    import sys

    from scarce.cli._sitting import sit
    from scarce.loop.answering import freeze
    from scarce.loop.sitting import Sitting

    try:
        sit(Sitting(project, voter, kinds), console(sys.stderr))
    except KeyboardInterrupt:
        freeze(project)
        raise
    return freeze(project)


def _draw(screen: Any, body: dict[str, Any]) -> None:
    rows = [
        (item.kind, item.name, item.right, item.relabeled, item.set_aside, item.unsure,
         "-" if item.share_right is None else f"{item.share_right:.0%} ({item.low:.0%} to {item.high:.0%})",
         ", ".join(item.reviewers))
        for item in body["results"]
    ]  # fmt: skip
    names = ("kind", "class", "right", "relabeled", "set aside", "unsure", "share right", "by")
    if rows:
        screen.print(table(names, rows, right=names[2:6]))
    parts = [f"{count} {name}" for name, count in body["new"].items() if count]
    if parts:
        screen.print(f"New in the queue: {', '.join(parts)}.")
    screen.print(f"{body['version'] or 'No new version'}; {body['waiting']} questions wait"
                 + f" in {safe(body['place'])}" * bool(body["place"]) + ".")  # fmt: skip
