"""``scarce apply``."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scarce.cli._options import AsJson, Debug, InProject, Quiet, folder_of, pairs
from scarce.cli._screen import safe, screen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scarce.dataset import Dataset


def apply(
    function: Annotated[str, typer.Argument(metavar="FILE.py:NAME", help="A function that takes and gives a dataset.")],
    project: InProject = None,
    param: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="What it is called with; repeat for more.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of what it draws, if it draws.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run a function of your own as a step, recorded like ours.

    The result is a new version. Recorded are the function's place and source, parameters, seed, time, and the hashes of
    what it got, left and wrote. Values are read as JSON where they are JSON, else as text.

    Example:
        scarce apply steps.py:drop_dark --param below=20 --project photos-scarce
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.errors import unknown_name
        from scarce.project import Project
        from scarce.provenance import functions_of

        file, _, name = function.rpartition(":")
        if not file or not name:
            raise typer.BadParameter(f"{function!r} is not of the form FILE.py:NAME", param_hint="FILE.py:NAME")
        known = functions_of(Path(file))
        if name not in known:
            raise unknown_name("apply", "function", name, known)
        params = {key: _value(text) for key, text in pairs(param, option="--param").items()}
        with Project.open(folder_of(project)) as opened:
            version = opened.change(lambda ds: _applied(ds, known[name], seed, params), f"{name} of {file}")
            step = opened.store.open(version).steps[-1]
        body = {"version": version, "step": step.to_json()}
        said = f"{version}: {name} wrote {', '.join(step.wrote) or 'nothing'} in {step.seconds:.2f} s"
        out.show(body, lambda console: console.print(safe(said)))


def _applied(ds: Dataset, function: Callable[..., Dataset], seed: int | None, params: Mapping[str, Any]) -> Dataset:
    """Apply the user's function; an error inside it is told as the user's, with its file and line.

    Raises:
        DataError: the function raised something.
    """
    from scarce.errors import DataError, ScarceError

    try:
        return ds.apply(function, seed=seed, **params)
    except ScarceError:
        raise
    except Exception as error:
        trace, file = traceback.extract_tb(error.__traceback__), function.__code__.co_filename
        at = next((part for part in reversed(trace) if part.filename == file), trace[-1])
        raise DataError(
            "apply", f"{function.__name__} raised {type(error).__name__}: {error}", f"{at.filename}, line {at.lineno}",
            "mend the function; nothing was changed",
        ) from error  # fmt: skip


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
