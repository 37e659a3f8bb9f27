"""``scarce prune``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, folder_of
from scarce.cli._screen import safe, screen, size

if TYPE_CHECKING:
    from rich.console import Console


def prune(
    keep: Annotated[int, typer.Option(min=1, help="So many of the newest versions stay.")],
    project: ProjectFolder = None,
    named: InProject = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Delete old versions; the only command that deletes.

    Tagged versions and the newest of every branch stay, and those that production stands on: of @champion,
    @challenger, the champion that a rollback would bring back, and the last round. Cached features and checkpoints
    beyond their quota in scarce.toml go too.

    Example:
        scarce prune --keep 20
    """
    with screen(as_json, debug=debug) as out:
        from scarce.flywheel._learnt import needed
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            why = needed(opened)
            newest = [version.name for version in opened.log()][:keep]
            gone = opened.store.prune(keep, needed=why)
            older = [version.name for version in opened.log() if version.name not in newest]
            kept = {name: list(why[name]) for name in older if name in why}
            freed = opened.clean_up()
            left = opened.store.size()

        def draw(console: Console) -> None:
            console.print(f"{len(gone)} versions are gone{': ' * bool(gone)}{', '.join(gone)}")
            for name, reasons in kept.items():
                console.print(safe(f"{name} is kept: {'; '.join(reasons)}"))
            console.print(f"{left['versions']:.0f} versions are left, {size(left['bytes'])}")
            console.print(", ".join(f"{name}: {size(count)} freed" for name, count in freed.items()))

        out.show({"deleted": gone, "kept": kept, "freed_bytes": freed, "store": left}, draw)
