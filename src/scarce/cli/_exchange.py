"""``scarce contract export`` and ``scarce contract import``: the Open Data Contract Standard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, folder_of
from scarce.cli._screen import relative, safe, screen

if TYPE_CHECKING:
    from rich.console import Console

Place = Annotated[
    Path | None,
    typer.Argument(metavar="[PATH]", help="A project, or data that is none.", show_default="the working directory"),
]
ContractFile = Annotated[
    Path | None,
    typer.Option("--contract", metavar="FILE", help="TOML, or ODCS YAML.", show_default="contract.toml"),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the contract that is there.")]


def export(
    path: Place = None,
    named: InProject = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write it.", show_default="contract.odcs.yaml")
    ] = None,
    contract: ContractFile = None,
    force: Force = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write the contract in the Open Data Contract Standard (YAML).

    What an imported document says beyond scarce's rules (team, servers, prices, other rules) is kept.

    Example:
        scarce contract export photos-scarce --output photos.odcs.yaml
    """
    with screen(as_json, debug=debug) as out:
        from scarce.cli._contract import DOCUMENT, find_contract, write_new
        from scarce.contract import odcs

        found = find_contract(folder_of(named, path), contract)
        before = found.path.with_name(DOCUMENT)
        base = odcs.load(before).document if before.is_file() else None
        name = folder_of(named, path).absolute().name
        target = output or before
        write_new(target, odcs.dumps(found.contract, base=base, name=name), force=force or target == before)
        said = f"{safe(relative(target))} holds the contract in ODCS"
        out.show({"path": str(target)}, lambda console: console.print(said))


def import_(
    document: Annotated[Path, typer.Argument(metavar="FILE", help="An ODCS document, version 3.")],
    named: InProject = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write it.", show_default="contract.toml")
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Read a document of the Open Data Contract Standard into contract.toml.

    The document itself is kept beside it as contract.odcs.yaml, so that an export loses nothing of it. What scarce does
    not check is listed.

    Example:
        scarce contract import orders.odcs.yaml --project photos-scarce
    """
    with screen(as_json, debug=debug) as out:
        from scarce.cli._contract import DOCUMENT, FILE, write_new
        from scarce.contract import odcs
        from scarce.contract._yaml import write_yaml

        found = odcs.load(document)
        target = output or folder_of(named) / FILE
        kept = target.with_name(DOCUMENT)
        write_new(target, found.contract.to_toml(), force=force)
        if kept.resolve() != document.resolve():
            write_new(kept, write_yaml(dict(found.document)), force=True)
        body = {"path": str(target), "document": str(kept), "notes": list(found.notes), "contract": found.contract}

        def draw(console: Console) -> None:
            console.print(f"{safe(relative(target))} holds what scarce checks; {safe(relative(kept))} holds all of it")
            for note in found.notes:
                console.print(f"- {safe(note)}")

        out.show(body, draw)
