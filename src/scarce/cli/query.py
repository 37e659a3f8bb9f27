"""``scarce query``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import (
    AsJson,
    Debug,
    GroupColumn,
    InProject,
    LabelColumn,
    Quiet,
    Seed,
    SplitColumn,
    TextColumn,
    TimeColumn,
    Workers,
    folder_of,
)  # fmt: skip
from scarce.cli._screen import relative, safe, screen, table

if TYPE_CHECKING:
    from rich.console import Console


def query(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PATH]", help="A project, or a folder or manifest of data.", show_default="the working directory"
        ),
    ] = None,
    named: InProject = None,
    budget: Annotated[
        float | None,
        typer.Option("--budget", "-b", help="So many labels; with costs, what they may cost.", show_default="50"),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option("--strategy", "-s", help="Strategy, or shares: margin:2+core-set:1.", show_default="auto"),
    ] = None,
    include: Annotated[
        list[str] | None, typer.Option(metavar="SPLIT", help="Ask about val or test samples, too.", show_default="none")
    ] = None,
    cost: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="What a label costs.", show_default="cost, if there is one")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Whose predictions: pred_probs.MODEL.", show_default="a linear probe")
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(help="Encoder plugin, or timm:MODEL.", show_default="that of scarce.toml")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Leave the queue as it is.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="List so many samples.")] = 20,
    label: LabelColumn = None,
    group: GroupColumn = None,
    split: SplitColumn = None,
    time: TimeColumn = None,
    text: TextColumn = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Choose the samples to ask a person about next, and say why.

    In a project they go to the queue that people work through; of other data nothing is kept. Samples of val and test
    are not asked about unless they are included, what is set aside never, and no two copies of one thing. Strategies:
    random, least_confidence, margin, entropy, mc_dropout, core_set, badge, typi_clust, prob_cover, rare_class,
    priority, or several with shares.

    Example:
        scarce query photos-scarce --budget 100
        scarce query photos-scarce --budget 100 --strategy margin:2+core-set:1 --dry-run
        scarce query photos/ --strategy typi-clust --json
    """
    columns = {"label": label, "group": group, "split": split, "time": time, "text": text}
    with screen(as_json, quiet, debug) as out:
        from scarce.cli._work import holds_data, refuse_columns
        from scarce.columns import sample_name
        from scarce.loop.querying import Wish, ask_next, choose_from
        from scarce.project import Project

        wish = Wish(
            strategy=strategy or "", budget=budget, include=tuple(include or ()), cost=cost or "", model=model or "",
            encoder=encoder or "", seed=seed, workers=workers,
        )  # fmt: skip
        folder, version, waiting = folder_of(path, named), None, None
        if path is not None and named is None and holds_data(folder):
            batch = choose_from(folder, wish, named=columns)
        else:
            refuse_columns(columns, folder)
            with Project.open(folder) as opened:
                batch, version, waiting = ask_next(opened, wish, dry_run=dry_run)
        queued = 0 if version is None or dry_run else len(batch.samples)
        body = {"path": str(folder), "version": version, "queued": queued, "waiting": waiting, **batch.to_json()}

        def draw(console: Console) -> None:
            rows = [
                (one.place, sample_name(one.uri, one.id), f"{one.utility:.3g}", one.why)
                for one in batch.samples[:limit]
            ]
            title = f"{batch.strategy}: {len(batch.samples)} of {batch.pool} samples, {batch.labeled} are labeled"
            console.print(table(("", "sample", "utility", "why"), rows, title=title, right=("", "utility")))
            if len(batch.samples) > limit:
                console.print(f"and {len(batch.samples) - limit} more")
            for note in batch.notes:
                console.print(f"Note: {safe(note)}.")
            where = safe(relative(folder))
            if version is None:
                console.print(f"Nothing was kept. scarce run {where} makes a project.")
            else:
                console.print(f"{queued} samples were put into the queue of {where}; {waiting} wait there.")

        out.show(body, draw)
