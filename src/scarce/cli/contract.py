"""``scarce contract``: ``init``, ``check``, ``export`` and ``import``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scarce.cli._group import register
from scarce.cli._options import AsJson, Debug, FailFrom, FailOn, InProject, Quiet, Seed, Version, Workers, folder_of
from scarce.cli._screen import relative, safe, screen, table

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    help="Write and check what a project promises about its data.", no_args_is_help=True, add_completion=False
)
Place = Annotated[
    Path | None,
    typer.Argument(metavar="[PATH]", help="A project, or data that is none.", show_default="the working directory"),
]
ContractFile = Annotated[
    Path | None,
    typer.Option("--contract", metavar="FILE", help="TOML, or ODCS YAML.", show_default="contract.toml"),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the contract that is there.")]


def init(
    path: Place = None,
    named: InProject = None,
    version: Version = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write it.", show_default="contract.toml")
    ] = None,
    force: Force = False,
    workers: Workers = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Learn a contract from a version and write it to contract.toml.

    Schema, counts and values are learned; they are checked at every commit from then on. The limits on quality are the
    usual ones and are checked by scarce contract check. Edit all of it freely. For data that is no project, the file
    goes to the working directory.

    Example:
        scarce contract init photos-scarce
        scarce contract init photos/ --output photos.toml
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.cli._contract import FILE, data_of, is_project, write_new
        from scarce.contract import Contract
        from scarce.errors import StoreError

        place = folder_of(named, path)
        target = output or (place / FILE if is_project(place) else Path(FILE))
        if target.exists() and not force:
            raise StoreError("contract", f"{target} is there already", do="edit it, or replace it with --force")
        learned = Contract.learn(data_of(place, version, workers=workers, seed=0))
        write_new(target, learned.to_toml(), force=force)
        when = "at every commit from now on" if is_project(place) else "by scarce contract check"
        said = f"{safe(relative(target))} is checked {when}"
        out.show({"path": str(target), "contract": learned}, lambda console: console.print(said))


def check(
    path: Place = None,
    named: InProject = None,
    version: Version = None,
    contract: ContractFile = None,
    fail_on: FailFrom = FailOn.error,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML, too.")] = None,
    github: Annotated[
        bool | None,
        typer.Option("--github/--no-github", help="Print annotations.", show_default="inside GitHub Actions"),
    ] = None,
    as_is: Annotated[bool, typer.Option("--as-is", help="Run no check that the version lacks.")] = False,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check a version, or data that is no project, against its contract and the rules that no version may break.

    Each rule holds, is broken, or cannot be told from so few samples; then the number of further samples that would
    decide is named. A broken rule is an error, or a warning where the contract says so (warn, on_violation); what
    cannot be told is a warning. What the limits need and the version lacks is measured, and nothing is saved.

    Example:
        scarce contract check photos-scarce --fail-on warning
        scarce contract check photos/ --contract photos.toml --junit contract.xml
    """
    with screen(as_json, quiet, debug) as out:
        from datetime import UTC, datetime

        from scarce.cli._contract import data_of, find_contract, write_new
        from scarce.contract import judge, outlet

        place, now = folder_of(named, path), datetime.now(UTC)
        found = find_contract(place, contract)
        ds = data_of(place, version, contract=found.contract, workers=workers, seed=seed, measure=not as_is)
        outcomes = judge(found.contract, ds, now=now)
        levels = [item.level for item in outcomes]
        errors, warnings = levels.count("error"), levels.count("warning")
        broken = [item for item in outcomes if item.outcome == "broken"]
        body: dict[str, Any] = {
            "fine": not errors, "errors": errors, "warnings": warnings, "contract": str(found.path),
            "holds": sum(item.outcome == "holds" for item in outcomes),
            "unknown": sum(item.outcome == "unknown" for item in outcomes),
            "violations": [{"severity": item.level, **item.to_json()} for item in broken],
            "rules": [item.to_json() for item in outcomes],
        }  # fmt: skip
        if junit is not None:
            name = f"contract of {place.absolute().name}"
            write_new(junit, outlet.junit(outcomes, fail_on=fail_on, name=name, at=now.isoformat()), force=True)

        def draw(console: Console) -> None:
            console.print(_verdict(body))
            shown = [item for item in outcomes if item.outcome != "holds"]
            if shown:
                rows = [(item.level, item.rule, item.what, item.do) for item in shown]
                console.print(table(("", "rule", "what", "do"), rows))

        out.show(body, draw)
        if github if github is not None else os.environ.get("GITHUB_ACTIONS") == "true":
            text = found.path.read_text(encoding="utf-8", errors="replace")
            lines = outlet.github(outcomes, file=relative(found.path), text=text)
            typer.echo("\n".join(lines), err=as_json) if lines else None
        out.gate(errors=errors, warnings=warnings, fail_on=fail_on)


def _verdict(body: dict[str, Any]) -> str:
    """Return one line: how many rules hold, and how many do not."""
    parts = [
        f"{body['errors']} error{'s' * (body['errors'] != 1)}" * bool(body["errors"]),
        f"{body['warnings']} warning{'s' * (body['warnings'] != 1)}" * bool(body["warnings"]),
        f"{body['unknown']} cannot be told" * bool(body["unknown"]),
    ]
    told = ", ".join(part for part in parts if part)
    head = "The contract is broken" if body["errors"] else "The contract holds"
    return f"{head}: {told}; {body['holds']} rules hold." if told else f"{head}."


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


register(app, "init", init)
register(app, "check", check)
register(app, "export", export)
register(app, "import", import_)
