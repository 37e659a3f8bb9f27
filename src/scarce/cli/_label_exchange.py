"""``scarce label export`` and ``scarce label import``: questions out, answers in."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from scarce.cli._label_rounds import Budget, Initial, Judge, Strategy, Truth, Voter, draw_rounds
from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, folder_of
from scarce.cli._screen import relative, safe, screen

if TYPE_CHECKING:
    from scarce.label_studio import Server


class Kind(StrEnum):
    """Which questions."""

    label = "label"
    review = "review"
    all = "all"

    @property
    def kinds(self) -> tuple[str, ...]:
        """What :mod:`scarce.loop.asking` calls them."""
        from scarce.loop.asking import CLEAN, KINDS, LABEL, REVIEWED

        return {"label": (LABEL,), "review": (*REVIEWED, CLEAN), "all": KINDS}[self.value]


Csv: TypeAlias = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="A table of questions.")]
Url: TypeAlias = Annotated[
    str | None, typer.Option("--label-studio", metavar="URL", help="Address of a Label Studio server.")
]
TokenEnv: TypeAlias = Annotated[
    str, typer.Option("--token-env", metavar="NAME", help="Environment variable that holds its token.")
]
Title: TypeAlias = Annotated[
    str, typer.Option("--title", help="Project in Label Studio.", show_default="scarce and the project's name")
]
Timeout: TypeAlias = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds that one request may take.")]


def export(
    project: ProjectFolder = None,
    named: InProject = None,
    csv: Csv = None,
    page: Annotated[
        Path | None, typer.Option("--page", metavar="FILE", help="An HTML page that works without a network.")
    ] = None,
    label_studio: Url = None,
    token_env: TokenEnv = "LABEL_STUDIO_TOKEN",  # noqa: S107 - a variable's name
    title: Title = "",
    pictures: Annotated[
        str, typer.Option("--pictures", metavar="URL", help="Address in front of file names, in place of files inside "
                          "the tasks.")
    ] = "",
    kind: Annotated[Kind, typer.Option("--kind", help="Which questions: label, review or all.")] = Kind.label,
    budget: Budget = None,
    initial: Initial = None,
    strategy: Strategy = None,
    judge: Judge = "auto",
    timeout: Timeout = 30.0,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Send questions out: as CSV, as an HTML page, or as tasks of Label Studio with the model's answers.

    A round is begun if none is open. Nothing is sent to Label Studio twice; where the server fails, the same command
    goes on.

    Example:
        scarce label export photos-scarce --csv questions.csv
        scarce label export photos-scarce --label-studio http://localhost:8080 --token-env LABEL_STUDIO_TOKEN
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.loop import asking
        from scarce.loop.rounds import Loop, Plan
        from scarce.project import Project

        _one_of({"--csv": csv, "--page": page, "--label-studio": label_studio})
        with Project.open(folder_of(project, named)) as opened:
            stopped = ""
            if kind is not Kind.review:
                plan = Plan.of(opened, budget=budget, initial=initial, strategy=strategy, judge=judge, seed=seed)
                stopped = Loop(opened, plan).go_on().stopped
            if label_studio is not None:
                from scarce.label_studio import push

                server = server_of(label_studio, token_env, timeout)
                pushed = push(opened, server, title=title, kinds=kind.kinds, pictures=pictures)
                count, place, there = pushed.sent, pushed.place, pushed.there
            elif page is not None:
                from scarce.review import write_page

                count, place, there = write_page(opened, opened.dataset(), page, kind.kinds), str(page), 0
            else:
                count = asking.write_questions(opened, opened.dataset(), csv or Path(), kind.kinds)
                place, there = str(csv), 0
        body = {"questions": count, "there_already": there, "place": place, "stopped": stopped}
        told = f"{count} questions in {safe(place if label_studio else relative(place))}"
        told += f"; {there} were there already" * bool(there) + f". {safe(stopped)}" * bool(stopped)
        out.show(body, lambda screen: screen.print(told))


def import_(
    project: ProjectFolder = None,
    named: InProject = None,
    csv: Csv = None,
    label_studio: Url = None,
    token_env: TokenEnv = "LABEL_STUDIO_TOKEN",  # noqa: S107 - a variable's name
    title: Title = "",
    judge: Judge = "auto",
    truth: Truth = "newest",
    voter: Voter = "a person",
    new_classes: Annotated[
        bool, typer.Option("--new-classes", help="Make classes of the names in the CSV that are none yet.")
    ] = False,
    timeout: Timeout = 30.0,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Take answers in, from CSV or from Label Studio, with who, when and how long; the round ends when all are there.

    The same file or project may come in several times; what is here already is not taken twice.

    Example:
        scarce label import photos-scarce --csv answers.csv --voter anna
        scarce label import photos-scarce --label-studio http://localhost:8080 --token-env LABEL_STUDIO_TOKEN
    """
    with screen(as_json, quiet, debug) as out:
        from scarce import classes
        from scarce.loop import answering, asking
        from scarce.loop.rounds import Loop, Plan, history
        from scarce.project import Project

        _one_of({"--csv": csv, "--label-studio": label_studio})
        with Project.open(folder_of(project, named)) as opened:
            strange, outside, before = 0, 0, history(opened)
            if label_studio is not None:
                from scarce.label_studio import pull

                server = server_of(label_studio, token_env, timeout)
                pulled = pull(opened, server, title=title, truth=truth)
                count, strange, frozen = pulled.annotations, pulled.strange, pulled.frozen
            else:
                if new_classes and (names := asking.new_classes(opened.dataset(), csv or Path())):
                    opened.commit(classes.add(opened.dataset(), names), f"classes: add {', '.join(names)}")
                heard = asking.read_answers(opened, opened.dataset(), csv or Path(), voter=voter)
                answering.say(opened, heard.said)
                asked = {pair for item in before for pair in item["samples"].items()}
                outside = sum((one.sample, one.reason) not in asked for one in heard.said)
                count, frozen = len(heard.said), answering.freeze(opened, truth=truth)
            loop = Loop(opened, Plan.of(opened, judge=judge, truth=truth, seed=seed))
            now = loop.finish()
            told, waiting = history(opened), loop.waiting()
        body = {"answers": count, "outside_rounds": outside, "strange": strange, "version": frozen.version,
                "labels": frozen.labels, "actions": len(frozen.actions), "waiting": waiting,
                "rounds": told}  # fmt: skip
        said = (
            f"{frozen.version or 'nothing new'}: {count} answers, {frozen.labels} labels, {len(frozen.actions)} actions"
        )
        said += f"; {strange} annotations are about samples or classes that are not here" * bool(strange)

        def draw(screen: Any) -> None:
            screen.print(said)
            if moved := [item for item in told if item not in before]:  # the others were not asked these questions
                draw_rounds(screen, now.stopped, waiting, moved)
                if outside:
                    screen.print(
                        f"{outside:,} of the {count:,} answers are to questions that no round asked (scarce queue)."
                    )
            elif waiting:
                screen.print(f"{waiting:,} questions wait.")

        out.show(body, draw)


def server_of(url: str, token_env: str, timeout: float) -> Server:
    """Return the server, with the token of an environment variable.

    Raises:
        ConfigError: the variable is not set.
    """
    import os

    from scarce.errors import ConfigError
    from scarce.label_studio import Server

    token = os.environ.get(token_env, "")
    if not token:
        do = f"export {token_env}=TOKEN, as Account & Settings of Label Studio shows it"
        raise ConfigError("label studio", f"the environment variable {token_env} is not set", do=do)
    return Server(url=url, token=token, timeout_seconds=timeout)


def _one_of(given: dict[str, object]) -> None:
    """Refuse anything but one of some options."""
    from scarce.errors import ConfigError

    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) != 1:
        what = f"{' and '.join(chosen)} were given" if chosen else "it is not said where to"
        raise ConfigError("label", what, do=f"give one of {', '.join(given)}")
