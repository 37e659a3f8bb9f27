"""The table of commands. A command's file is imported when it is called, so that ``scarce --help`` stays instant."""

from __future__ import annotations

import importlib
import inspect
import re
import shutil
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from scarce.errors import closest

ABOUT: Final = "Good models from scarce, imbalanced, imperfectly labelled data."
PANELS: Final[dict[str, dict[str, str]]] = {
    "Start": {
        "run": "Run the whole loop: audit, split, clean, grow, rebalance, train, evaluate, report.",
        "demo": "Run the loop on the shipped garments and print published figures beside ours.",
        "init": "Make a project, with its settings documented in scarce.toml.",
        "doctor": "Check this installation: versions, extras, encoder weights, disk, device.",
    },
    "Stages": {
        "audit": "Measure what may be wrong with the data; nothing is changed.",
        "clean": "Set broken and duplicate rows aside; propose better labels.",
        "review": "Look through labels that may be wrong, labels of models, and synthetic samples.",
        "split": "Split into train, val and test: groups first, classes second.",
        "label": "Get labels for less work: a label book, rules, votes, models that are sure, rounds of questions.",
        "augment": "Write changed copies of the training samples, or a sheet that shows what a policy does.",
        "encode": "Turn every sample into features, cached by content.",
        "query": "Choose the samples to ask a person about next, and say why.",
        "synthesize": "Make synthetic defects on sound pictures: pictures, masks, COCO, YOLO and class folders.",
        "train": "Train a model on the train split.",
        "evaluate": "Look at the test set once, with intervals; looks are counted.",
        "study": "Answer one question by a whole experiment on your own data; resumable.",
        "predict": "Classify files or folders: class, probability, verdict.",
    },
    "Production": {
        "serve": "Answer predictions over HTTP by the model that @champion means, and take feedback.",
        "round": "Turn the wheel once: collect, audit, contract gate, ask or train, compare, propose. Safe in cron.",
        "feedback": "Confirm or correct predictions; without options, show what came back so far.",
        "queue": "Ask people about the production samples that are worth most, within the budget of the week.",
        "collect": "Take feedback and answered questions into the project, as one new version.",
        "drift": "Compare what the champion met in production with held-out samples of its data.",
        "promote": "Let a challenger answer in production where paired tests prove that no class loses by it.",
        "rebuild": "Make a promoted model and its data again from the ledger alone, and compare the hashes.",
        "rollback": "Put the champion before this one back at once, with the data that it stands on.",
    },
    "Data": {
        "add": "Add a source to a project as a new version; test stays test.",
        "classes": "Add, rename, split or merge classes as a new version.",
        "apply": "Run a function of your own as a step, recorded like ours.",
        "export": "Write samples for other tools, a model as ONNX or as a card, or the lineage as JSON or for DVC.",
        "contract": "Write and check what a project promises about its data.",
        "verify": "List source files that changed or are missing.",
    },
    "Versions": {
        "status": "Show the phase and what comes next, versions, counts, how production does, quality and sizes.",
        "log": "List the versions, newest first.",
        "diff": "Show what changed between two versions: samples, labels, classes, rows that were grown.",
        "blame": "Show which step of which version set each field of a sample, and why.",
        "reproduce": "Make a version again from its sources, step by step, and compare the hashes.",
        "tag": "Give a version a name.",
        "restore": "Make an older version the newest one; nothing is lost.",
        "branch": "Start a second line of versions.",
        "prune": "Delete old versions; the only command that deletes.",
        "backup": "Write what people said and decided as JSON lines.",
        "report": "Show what a run found and where its report lies.",
    },
}
COMMANDS: Final = {name: line for panel in PANELS.values() for name, line in panel.items()}
"""Every command with the first line of its help; a test holds it equal to the docstrings."""


class CommandTable(TyperGroup):
    """The commands of the table above, each imported when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  the shape of the base class
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  the shape of the base class
        """Import one command, or return None."""
        return load(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Name the closest commands where a name does not exist."""
        name = args[0] if args else ""
        if name not in COMMANDS and not name.startswith("-"):
            ctx.fail(f"there is no command {name!r}; {closest(name, COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  the shape of the base class
        """Print the table by itself: no command is imported, and neither is Rich."""
        typer.echo(overview(width=shutil.get_terminal_size((100, 24)).columns))


def load(name: str) -> Any:
    """Import ``scarce.cli.<name>`` and return its command: its ``app`` if it has sub-commands, else its function."""
    module = importlib.import_module(f"scarce.cli.{name}")
    group = getattr(module, "app", None)
    if group is None:
        group = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
        register(group, name, getattr(module, name))
    command = typer.main.get_command(group)
    command.name = name
    for leaf in getattr(command, "commands", {name: command}).values():
        accept_everywhere(leaf)
    return command


def accept_everywhere(command: Any) -> None:
    """Let a command take ``--seed`` and ``--workers`` even where nothing is random or parallel.

    A script may then pass the same options to all; where they change nothing they are not shown.
    """
    known = {name for item in command.params for name in item.opts}
    spare = typer.Typer(add_completion=False)
    spare.command()(_spare)
    for option in typer.main.get_command(spare).params:
        if option.name in {"seed", "workers"} and not known & set(option.opts):
            option.expose_value = False
            command.params.append(option)


def _spare(
    seed: Annotated[int, typer.Option("--seed", min=0, hidden=True, help="Nothing here is random.")] = 0,
    workers: Annotated[int, typer.Option("--workers", min=1, hidden=True, help="Nothing here runs in parallel.")] = 1,
) -> None:
    """Carry two options."""


def register(group: typer.Typer, name: str, function: Any) -> None:
    """Add a command to a group; the ``Example:`` part of its docstring goes below the options."""
    text, _, example = (inspect.getdoc(function) or "").partition("\nExample:\n")
    paragraphs = [" ".join(part.split()) for part in text.strip().split("\n\n")]
    lines = [line.strip() for line in example.splitlines() if line.strip()]
    group.command(
        name, help=_escaped("\n\n".join(paragraphs)), context_settings={"help_option_names": ["-h", "--help"]},
        epilog="\b\n" + "\n".join(["[bold]Example[/bold]", *(_escaped(line) for line in lines)]) if lines else None,
    )(function)  # fmt: skip


def overview(*, width: int = 100) -> str:
    """Return the text of ``scarce --help``."""
    wide = max(len(name) for name in COMMANDS)
    lines = ["", f"{typer.style('Usage:', bold=True)} scarce COMMAND ...", "", ABOUT]
    for panel, commands in PANELS.items():
        lines += ["", typer.style(panel, bold=True)]
        for name, line in commands.items():
            shown = line if len(line) + wide + 4 <= width else line[: max(width - wide - 7, 20)] + "..."
            lines.append(f"  {typer.style(name.ljust(wide), fg='cyan')}  {shown}")
    first = typer.style("First step:", bold=True)
    lines += ["", f"{first} scarce run photos/    (class folders, or a CSV or Parquet file)"]
    lines += [
        "Every command has --help with an example, --json for programs, and --quiet if it takes a while.",
        "",
    ]
    lines += [
        "  --version             print the version",
        "  --install-completion  complete commands in this shell",
        "",
    ]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return re.sub(r"\[(?=[a-z/@#])", r"\\[", text)
