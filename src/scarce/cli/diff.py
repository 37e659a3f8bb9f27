"""``scarce diff``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, folder_of
from scarce.cli._screen import screen, table

if TYPE_CHECKING:
    from rich.console import Console


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="Number, tag or branch of the older version.")],
    new: Annotated[
        str | None, typer.Argument(metavar="[NEW]", help="The newer one.", show_default="the newest")
    ] = None,
    project: InProject = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="List so many samples of each kind.")] = 20,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what changed between two versions: samples, labels, classes.

    Example:
        scarce diff v2 v5
        scarce diff before-cleaning --project photos-scarce --json
    """
    with screen(as_json, debug=debug) as out:
        from scarce.project import Project

        with Project.open(folder_of(project)) as opened:
            old_name, new_name = opened.store.version(old).name, opened.store.version(new).name
            found = opened.diff(old_name, new_name)
            places: dict[str, str] = {}
            for name in (old_name, new_name):
                ds = opened.dataset(name)
                places |= dict(zip(ds.table["id"].to_pylist(), ds.table["uri"].to_pylist(), strict=True))
        relabeled = [
            {"id": sample, "uri": places.get(sample), "old": was, "new": now} for sample, was, now in found.relabeled
        ]
        body = {
            "old": old_name, "new": new_name, "same": found.empty, "added": found.added, "removed": found.removed,
            "relabeled": relabeled, "changed": found.changed,
            "classes": {"old": found.classes[0], "new": found.classes[1]} if found.classes else None,
        }  # fmt: skip

        def draw(console: Console) -> None:
            console.print(f"{old_name} -> {new_name}" + ": nothing differs" * found.empty)
            if found.classes:
                console.print(f"classes: {', '.join(found.classes[0])} -> {', '.join(found.classes[1])}")
            if found.changed:
                console.print(
                    table(("column", "samples that differ"), found.changed.items(), right=("samples that differ",))
                )
            if relabeled:
                rows = [(row["uri"], row["old"], row["new"]) for row in relabeled[:limit]]
                console.print(table(("sample", "label was", "is"), rows, title=f"{len(relabeled):,} relabeled"))
            for word, ids in (("added", found.added), ("removed", found.removed)):
                if ids:
                    console.print(
                        table(
                            ("id", "sample"),
                            [(sample, places.get(sample)) for sample in ids[:limit]],
                            title=f"{len(ids):,} {word}",
                        )
                    )

        out.show(body, draw)
