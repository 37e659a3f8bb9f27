"""``scarce classes add``, ``rename``, ``split`` and ``merge``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._group import register
from scarce.cli._options import AsJson, Debug, InProject, folder_of, pairs
from scarce.cli._screen import safe, screen

if TYPE_CHECKING:
    from scarce.dataset import Dataset

ABOUT = "Add, rename, split or merge classes as a new version."
app = typer.Typer(help=ABOUT, no_args_is_help=True, add_completion=False)


def add(
    names: Annotated[list[str], typer.Argument(metavar="CLASS...", help="New classes; no sample has them yet.")],
    project: InProject = None,
    normal: Annotated[bool, typer.Option("--normal", help="They are classes of sound parts.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Add classes behind the present ones.

    Example:
        scarce classes add scratch dent
    """
    from scarce import classes

    _commit(
        project, lambda ds: classes.add(ds, names, normal=normal), f"add classes {', '.join(names)}", as_json, debug
    )


def rename(
    names: Annotated[list[str], typer.Argument(metavar="OLD=NEW...", help="What is renamed.")],
    project: InProject = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Call classes otherwise, in the same order.

    Example:
        scarce classes rename scrach=scratch hole=hole_large
    """
    from scarce import classes

    mapping = pairs(names, option="OLD=NEW")
    _commit(project, lambda ds: classes.rename(ds, mapping), f"rename classes {', '.join(names)}", as_json, debug)


def merge(
    names: Annotated[list[str], typer.Argument(metavar="CLASS...", help="At least two classes.")],
    into: Annotated[str, typer.Option(metavar="NAME", help="What they become; one of them, or a new name.")],
    project: InProject = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make several classes one.

    Example:
        scarce classes merge scratch dent --into damaged
    """
    from scarce import classes

    said = f"merge classes {', '.join(names)} into {into}"
    _commit(project, lambda ds: classes.merge(ds, names, into), said, as_json, debug)


def split(
    name: Annotated[str, typer.Argument(metavar="CLASS", help="The class to divide.")],
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="A column of the data: each of its values becomes a class.")
    ] = None,
    parts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CSV with the columns id (or path) and class.")
    ] = None,
    project: InProject = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Divide a class, by a column of the data or by a list made by hand.

    Samples that are not named keep the old class; it goes when none is left.

    Example:
        scarce classes split hole --by size
        scarce classes split hole --parts parts.csv
    """
    from scarce import classes

    if (by is None) == (parts is None):
        raise typer.BadParameter("give either --by or --parts", param_hint="--by")

    def change(ds: Dataset) -> Dataset:
        named = classes.parts_by_column(ds, name, by) if by is not None else classes.parts_in_file(ds, parts or Path())
        return classes.split(ds, name, named)

    _commit(project, change, f"split class {name} by {by or parts}", as_json, debug)


def _commit(
    project: Path | None, change: Callable[[Dataset], Dataset], message: str, as_json: bool, debug: bool
) -> None:
    """Commit a change of classes and say what there is now."""
    with screen(as_json, debug=debug) as out:
        from scarce.project import Project

        with Project.open(folder_of(project)) as opened:
            version = opened.change(change, message)
            found = opened.dataset(version).schema
            stale = [item["name"] for item in opened.status()["models"] if item["stale"]]
        body = {
            "version": version, "classes": found.classes, "normal_classes": found.normal_classes, "stale_models": stale,
        }  # fmt: skip
        old = f" Models that no longer fit: {', '.join(stale)}." * bool(stale)
        text = f"{version}: {safe(', '.join(found.classes))}.{safe(old)}"
        out.show(body, lambda console: console.print(text))


register(app, "add", add)
register(app, "rename", rename)
register(app, "split", split)
register(app, "merge", merge)
