"""``scarce contract init`` and ``scarce contract check``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._group import register
from scarce.cli._options import AsJson, Debug, FailFrom, FailOn, InProject, ProjectFolder, Version, folder_of
from scarce.cli._screen import relative, safe, screen, table

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    help="Write and check what a project promises about its data.", no_args_is_help=True, add_completion=False
)


def init(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the contract that is there.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Learn a contract from a version and write it to contract.toml.

    It is checked at every commit from then on; edit it freely.

    Example:
        scarce contract init photos-scarce
    """
    with screen(as_json, debug=debug) as out:
        from scarce.contract import Contract
        from scarce.errors import StoreError
        from scarce.project import CONTRACT, Project

        with Project.open(folder_of(project, named)) as opened:
            path = opened.folder / CONTRACT
            if path.exists() and not force:
                raise StoreError("contract", f"{path} is there already", do="edit it, or replace it with --force")
            learned = Contract.learn(opened.dataset(version))
            path.write_text(learned.to_toml(), encoding="utf-8")
        said = f"{safe(relative(path))} is checked at every commit from now on"
        out.show({"path": str(path), "contract": learned}, lambda console: console.print(said))


def check(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    fail_on: FailFrom = FailOn.error,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Check a version against contract.toml and against the rules that no version may break.

    A violation is an error if the contract says on_violation = "refuse", and a warning if it says "warn".

    Example:
        scarce contract check photos-scarce --fail-on warning
    """
    with screen(as_json, debug=debug) as out:
        from scarce.contract import invariants
        from scarce.errors import StoreError
        from scarce.project import CONTRACT, Project

        with Project.open(folder_of(project, named)) as opened:
            promised = opened.contract
            if promised is None:
                raise StoreError("contract", f"{opened.folder} has no {CONTRACT}", do="scarce contract init")
            ds = opened.dataset(version)
        always, found = invariants(ds), promised.check(ds)
        severity = "error" if promised.on_violation == "refuse" else "warning"
        rows = [("error", item) for item in always] + [(severity, item) for item in found]
        errors = sum(kind == "error" for kind, _ in rows)
        body = {
            "fine": not rows, "errors": errors,
            "violations": [{"severity": kind, **item.to_json()} for kind, item in rows],
        }  # fmt: skip

        def draw(console: Console) -> None:
            console.print(f"{len(rows)} violation{'s' * (len(rows) > 1)}" if rows else "The contract holds.")
            if rows:
                shown = [(kind, item.rule, item.what, item.do) for kind, item in rows]
                console.print(table(("", "rule", "what", "do"), shown))

        out.show(body, draw)
        out.gate(errors=errors, warnings=len(rows) - errors, fail_on=fail_on)


register(app, "init", init)
register(app, "check", check)
