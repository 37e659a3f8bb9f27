"""What the studies share on the command line: a project in, a page and a JSON file out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeAlias

import typer

from scarce.cli._screen import relative, safe, table

if TYPE_CHECKING:
    from rich.console import Console

    from scarce.dataset import Dataset

Minutes: TypeAlias = Annotated[
    float | None, typer.Option(min=0, help="Time to keep to; run it again to go on.", show_default="scarce.toml, or 60")
]
OutFolder: TypeAlias = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Where results go.", show_default="reports/")
]

Policies: TypeAlias = Annotated[
    list[str] | None, typer.Option(help="Augmentation policy. May be repeated.", show_default="the domain's")
]
Generators: TypeAlias = Annotated[
    list[str] | None, typer.Option(help="Kind of synthesize. May be repeated.", show_default="all that fit")
]
Shows: TypeAlias = Annotated[
    list[str] | None, typer.Option(metavar="KIND:CLASS", help="A class that a drawn defect shows; repeat.")
]


@dataclass(frozen=True)
class Common:
    """What every study is asked with."""

    folder: Path
    version: str | None
    minutes: float | None
    out: Path | None
    workers: int | None
    seed: int


FashionFolder: TypeAlias = Annotated[
    Path | None, typer.Option("--fashion", metavar="DIR", help="Fashion-MNIST's IDX files, in place of a project.")
]
"""Where a study may run on published data."""


def studied(
    name: str, given: Mapping[str, Any], common: Common, *, published: Callable[[Path], Dataset] | None = None,
    encoded: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """Run a study, write its page and its JSON, and return what it found.

    Args:
        name: of the study.
        given: settings that were asked for; None = those of the project.
        common: what every study is asked with.
        published: reads published data in place of the project's; it is given the folder of the results.
        encoded: whether the study needs the project's features.
    """
    import json

    from scarce import registry
    from scarce.config import Config
    from scarce.loop.measure import with_features
    from scarce.project import Project
    from scarce.study import AbstractStudy

    if published is not None:
        place, settings = (common.out or Path("reports")) / name, Config().study
        ds = published(place.parent)
    else:
        place = (common.out or common.folder / "reports") / name
        with Project.open(common.folder) as opened:
            settings, ds = opened.config.study, opened.dataset(common.version)
            if encoded:
                ds = with_features(opened, ds, workers=common.workers, seed=common.seed)
    params = {**settings.plugins.get(name, {})}
    params |= {key: value for key, value in given.items() if value is not None}
    study = registry.load("study", name, AbstractStudy).from_params(params)  # type: ignore[type-abstract]
    minutes = settings.minutes if common.minutes is None else common.minutes
    found = study.run(ds, journal=place.with_suffix(".jsonl"), minutes=minutes, seed=common.seed)
    if published is None and looked(found.body) and not looked(_before(place.with_suffix(".json"))):
        with Project.open(common.folder) as opened:
            opened.state.count_test_look(version=common.version or opened.head or "", why=f"study {name}")
    place.with_suffix(".html").write_text(found.page, "utf-8")
    place.with_suffix(".json").write_text(json.dumps(found.body, indent=1) + "\n", "utf-8")
    return {**found.body, "page": str(place.with_suffix(".html"))}


def _before(path: Path) -> dict[str, Any]:
    """Return what an earlier run wrote; nothing where there is none, or where its file is damaged."""
    import json

    try:
        body = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}


def looked(body: Mapping[str, Any]) -> bool:
    """Return whether a study looked at the test split."""
    return bool(body.get("test") or body.get("tested_once", body.get("tested")))


class Told(Protocol):
    """A study's module that says what was found in a table and a sentence."""

    def table_of(self, body: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
        """Return heads and rows; no rows while nothing is done."""
        ...

    def conclusion(self, body: dict[str, Any]) -> str:
        """Return the finding in words."""
        ...


def so_far(body: dict[str, Any]) -> str:
    """Return how many seeds are done, and what to do where some are not."""
    said = f"{body['seeds_done']} of {body['seeds_wanted']} seeds."
    return said if body["seeds_done"] >= body["seeds_wanted"] else f"{said} The time is over; the same command goes on."


def tell(console: Console, body: dict[str, Any], told: Told) -> None:
    """Print how much is done, the table, the conclusion, and where all of it is."""
    console.print(so_far(body))
    head, rows = told.table_of(body)
    if rows:
        console.print(table(tuple(head), [tuple(row) for row in rows]))
        console.print(safe(told.conclusion(body)))
    console.print(f"All of it: {safe(relative(Path(body['page'])))}")


def on_features(
    name: str, given: Mapping[str, Any], common: Common, fashion: Path | None, *, most: int = 600, encoded: bool = True
) -> dict[str, Any]:
    """Run a study that needs features on a project, or on a part of Fashion-MNIST.

    Args:
        name: of the study.
        given: settings that were asked for.
        common: what every study is asked with.
        fashion: folder of Fashion-MNIST's files; None = the project.
        most: training pictures of a class of garments.
        encoded: whether it needs the project's features after all.
    """
    if fashion is None:
        return studied(name, given, common, encoded=encoded)
    from scarce.study._fashion import some_fashion

    return studied(
        name, given, common,
        published=lambda place: some_fashion(fashion, place / "fashion.pictures", most=most, judged=200),
    )  # fmt: skip


def on_pictures(name: str, given: Mapping[str, Any], common: Common, fashion: Path | None) -> dict[str, Any]:
    """Run a study of networks on a project, or on Fashion-MNIST."""
    if fashion is None:
        return studied(name, given, common, encoded=False)
    from scarce.study._fashion import fashion_mnist

    return studied(
        name, given, common, encoded=False,
        published=lambda place: fashion_mnist(fashion, place / "fashion.pictures", test=True),
    )  # fmt: skip
