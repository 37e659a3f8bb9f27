"""What the studies share on the command line: a project in, a page and a JSON file out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

Minutes: TypeAlias = Annotated[
    float | None, typer.Option(min=0, help="Time to keep to; run it again to go on.", show_default="scarce.toml, or 60")
]
OutFolder: TypeAlias = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Where results go.", show_default="reports/")
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


def studied(name: str, given: Mapping[str, Any], common: Common, *, fashion: Path | None = None) -> dict[str, Any]:
    """Run a study, write its page and its JSON, and return what it found.

    Args:
        name: of the study.
        given: settings that were asked for; None = those of the project.
        common: what every study is asked with.
        fashion: folder of Fashion-MNIST's files, in place of the project.
    """
    import json

    from scarce import registry
    from scarce.config import Config
    from scarce.loop.measure import with_features
    from scarce.project import Project
    from scarce.study import AbstractStudy

    if fashion is not None:
        from scarce.study._fashion import some_fashion

        place, settings = (common.out or Path("reports")) / name, Config().study
        ds = some_fashion(fashion, place.parent / "fashion.pictures", most=600, judged=200)
    else:
        place = (common.out or common.folder / "reports") / name
        with Project.open(common.folder) as opened:
            settings = opened.config.study
            ds = with_features(opened, opened.dataset(common.version), workers=common.workers, seed=common.seed)
    params = {**settings.plugins.get(name, {})}
    params |= {key: value for key, value in given.items() if value is not None}
    study = registry.load("study", name, AbstractStudy).from_params(params)  # type: ignore[type-abstract]
    minutes = settings.minutes if common.minutes is None else common.minutes
    found = study.run(ds, journal=place.with_suffix(".jsonl"), minutes=minutes, seed=common.seed)
    place.with_suffix(".html").write_text(found.page, "utf-8")
    place.with_suffix(".json").write_text(json.dumps(found.body, indent=1) + "\n", "utf-8")
    return {**found.body, "page": str(place.with_suffix(".html"))}
