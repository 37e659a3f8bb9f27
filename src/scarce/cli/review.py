"""``scarce review``."""

from __future__ import annotations

from collections import Counter
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
        typer.Option("--kind", metavar="KIND", show_default="all but unsure",
                     help="label_error, label_conflict, zero_shot, synthetic, or unsure (samples without a label that "
                     "zero-shot was unsure about); repeat."),
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
            place, version, left = "", None, 0
            if answers is not None:
                heard = asking.read_answers(opened, opened.dataset(), answers, voter=voter)
                version = asking.take(opened, heard).version
            elif not results:
                new = stage.ask(opened, opened.dataset(), kinds, per_class=per_class, seed=seed)
                place, left = _sent(opened, kinds, {"page": page, "csv": csv})
                if label_studio is not None:
                    from scarce.label_studio import push

                    server = server_of(label_studio, token_env, timeout)
                    place = push(opened, server, title=title, kinds=kinds).place
                if not ask and not place:
                    out.rest()
                    version = _sat(opened, kinds, voter).version
            told = stage.results(opened)
            every = Counter(item.kind for item in asking.questions(opened, opened.dataset()))
        body = {"version": version, "new": new, "waiting": sum(every[kind] for kind in set(kinds)), "place": place,
                "left_off_page": left, "unsure": 0 if asking.DOUBTED in kinds else every[asking.DOUBTED],
                "results": told}  # fmt: skip
        out.show(body, lambda screen: _draw(screen, body))


def _sent(project: Project, kinds: tuple[str, ...], files: dict[str, Path | None]) -> tuple[str, int]:
    """Write the questions to the files that are named; return the last one, and how many found no place on the page."""
    from scarce.loop.asking import questions, write_questions
    from scarce.review import write_page

    place, left = "", 0
    for name, path in files.items():
        if path is not None:
            ds = project.dataset()
            held = (write_page if name == "page" else write_questions)(project, ds, path, kinds)
            left = len(questions(project, ds, kinds)) - held if name == "page" else left
            place = relative(path)
    return place, left


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
    if body["left_off_page"]:
        screen.print(f"{body['left_off_page']} of them, the least urgent, are not on the page: answer it, then write "
                     "the next one.")  # fmt: skip
    if body["unsure"]:
        screen.print(f"{body['unsure']} more samples have no label because zero-shot was unsure: --kind unsure shows "
                     "them, scarce query picks the useful ones.")  # fmt: skip
