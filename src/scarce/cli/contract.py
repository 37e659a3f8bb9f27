"""``scarce contract``: ``init``, ``check``, ``export`` and ``import``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from scarce.cli._exchange import ContractFile, Force, Place, export, import_
from scarce.cli._group import register
from scarce.cli._options import AsJson, Debug, FailFrom, FailOn, InProject, Quiet, Seed, Version, Workers, folder_of
from scarce.cli._screen import relative, safe, screen

app = typer.Typer(
    help="Write and check what a project promises about its data.", no_args_is_help=True, add_completion=False
)


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
        from scarce.cli._contract import FILE, data_of, write_new
        from scarce.contract import Contract
        from scarce.errors import StoreError
        from scarce.project import is_project

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

        from scarce.cli._contract import data_of, draw_outcomes, find_contract, refuse_empty, summary, write_new
        from scarce.contract import judge, outlet

        place, now = folder_of(named, path), datetime.now(UTC)
        found = refuse_empty(find_contract(place, contract))
        ds = data_of(place, version, contract=found.contract, workers=workers, seed=seed, measure=not as_is)
        outcomes = judge(found.contract, ds, now=now)
        body = summary(outcomes, found.path)
        if junit is not None:
            name = f"contract of {place.absolute().name}"
            write_new(junit, outlet.junit(outcomes, fail_on=fail_on, name=name, at=now.isoformat()), force=True)

        out.show(body, lambda console: draw_outcomes(console, outcomes, body))
        if github if github is not None else os.environ.get("GITHUB_ACTIONS") == "true":
            text = found.path.read_text(encoding="utf-8", errors="replace")
            lines = outlet.github(outcomes, file=relative(found.path), text=text)
            for line in lines:
                print(line, file=sys.stderr if as_json else out.stdout)
        out.gate(errors=body["errors"], warnings=body["warnings"], fail_on=fail_on)


register(app, "init", init)
register(app, "check", check)
register(app, "export", export)
register(app, "import", import_)
