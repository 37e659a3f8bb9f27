"""The whole loop: read -> scan -> encode -> audit -> split -> plan -> judge -> commit -> train -> evaluate -> report.

Read this first. ``prepare`` reads, audits, encodes and splits; ``weigh`` fixes the plan and lets the ledger judge it;
``conclude`` commits what is kept, trains and looks at the test set once; ``summary`` writes JSON and report.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scarce.errors import DataError, ScarceError, closest
from scarce.execute.local import calm_threads, single_threaded_algebra
from scarce.loop.options import Clock, Options, from_config

if TYPE_CHECKING:
    from scarce.dataset import Dataset
    from scarce.ledger import Ledger
    from scarce.project import Project

__all__ = ["Clock", "Options", "Run", "default_folder", "new_project", "project_of", "run", "run_beside"]


@dataclass(frozen=True)
class Run:
    """What a run leaves behind.

    Attributes:
        dataset: the final version.
        ledger: what each decision gained.
        model: the trained model.
        report: path of the HTML report.
        result: the JSON object of ``scarce run --json``.
        project: folder of the project.
    """

    dataset: Dataset
    ledger: Ledger
    model: Any
    report: Path
    result: Mapping[str, Any] = field(repr=False)
    project: Path = Path()


def run(path: str | Path, *, seed: int = 0, **options: Any) -> Run:
    """Run the whole loop on a folder, a manifest or a project.

    Args:
        path: class folders, an inspection folder, a CSV, Parquet or JSONL manifest, a table, series, audio or text
            file, or a project that an earlier run made.
        seed: of everything random; the same seed and data give the same result on the same machine.
        **options: see :class:`Options`.

    Raises:
        ScarceError: the data cannot be used; the message says why and what to do.

    Example:
        >>> import scarce
        >>> result = scarce.run("photos/")  # doctest: +SKIP
        >>> print(result.report)  # doctest: +SKIP
    """
    return run_beside({}, path, {**options, "seed": seed})


def run_beside(published: Mapping[str, float], path: str | Path, options: Mapping[str, Any]) -> Run:
    """Run the whole loop; the report shows published figures (name to per cent) beside ours."""
    from scarce.loop import summary
    from scarce.loop.conclude import conclude
    from scarce.loop.fitting import refuse_settings
    from scarce.loop.prepare import prepare
    from scarce.loop.weigh import weigh

    calm_threads()
    settings = Options.of(options)
    with single_threaded_algebra(), project_of(path, settings) as project:
        settings = Options.of({**from_config(project.config), **options})
        refuse_settings(project.config.train, settings.trainer)
        clock = Clock(settings.minutes)
        ready = prepare(project, path, settings, clock)
        weighed = weigh(project, ready, settings, clock)
        outcome = conclude(project, ready, weighed, settings, clock)
        made = summary.Made(path, settings, ready, weighed, outcome, published)
        result, report = summary.write(project, made, clock)
    return Run(outcome.dataset, outcome.ledger, outcome.model, report, result, Path(project.folder))


@contextmanager
def project_of(path: str | Path, options: Options) -> Iterator[Project]:
    """Open the project that belongs to a path, or make it.

    The project is ``options.project``, or the path itself if it is a project, or ``<name>-scarce`` in the working
    directory. The user's own files are never touched. A project that was made here goes again when an error of the
    user's leaves it without a version.
    """
    from scarce.project import Project

    source = Path(path)
    folder = Path(options.project) if options.project else default_folder(source)
    if (folder / "scarce.toml").exists():
        with Project.open(folder) as project:
            yield project
    else:
        with new_project(folder, name=folder.name) as project:
            yield project


@contextmanager
def new_project(folder: Path, *, name: str) -> Iterator[Project]:
    """Make a project; where an error of the user's leaves it without a version, remove it with the folder it made.

    A folder that was there before stays as it is then, with the project in it; so does whatever else was put into a new
    one.
    """
    from scarce._places import HIDDEN
    from scarce.project import SETTINGS, Project

    there = folder.exists()
    with Project.init(folder, name=name) as project:
        try:
            yield project
        except ScarceError:
            project.close()
            if not there and project.head is None:
                shutil.rmtree(folder / HIDDEN, ignore_errors=True)
                (folder / SETTINGS).unlink(missing_ok=True)
                for place in (project.reports, folder):
                    with suppress(OSError):  # somebody put something there
                        place.rmdir()
            raise


def default_folder(path: Path) -> Path:
    """Return where the project of a source lies: the path itself if it is a project, else ``<name>-scarce`` here."""
    if (path / "scarce.toml").exists():
        return path
    if not path.exists():
        near = [item.name for item in path.absolute().parent.glob("*")] if path.absolute().parent.is_dir() else []
        raise DataError("run", f"there is no {str(path)!r}", closest(path.name, near) if near else "")
    stem = path.absolute().stem if path.is_file() else path.absolute().name
    if stem in ("index", "metadata", "manifest", "data", "train"):
        stem = f"{path.absolute().parent.name}-{stem}" if path.is_file() else stem
    return Path(f"{stem or 'data'}-scarce")
