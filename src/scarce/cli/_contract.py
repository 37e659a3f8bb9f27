"""What the contract commands share: where the data and the contract are, and measuring what a contract asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scarce.cli._screen import table
from scarce.errors import ConfigError, ReadError, StoreError
from scarce.project import is_project

if TYPE_CHECKING:
    from rich.console import Console

    from scarce.contract import Contract, Outcome
    from scarce.dataset import Dataset

YAML: Final = (".yaml", ".yml", ".json")
FILE, DOCUMENT = "contract.toml", "contract.odcs.yaml"
CHECKS: Final = {
    "max_label_error_rate": ("label_error",), "max_duplicate_rate": ("exact_duplicate", "near_duplicate"),
}  # fmt: skip
"""Limit to the checks that it needs."""


@dataclass(frozen=True)
class Found:
    """A contract and the file that it came from."""

    contract: Contract
    path: Path


def read_contract(path: Path) -> Contract:
    """Read a contract file: TOML, or ODCS where the name ends in .yaml, .yml or .json."""
    from scarce.contract import Contract, odcs

    return odcs.load(path).contract if path.suffix.lower() in YAML else Contract.load(path)


def find_contract(place: Path, named: Path | None) -> Found:
    """Return the contract of a project or a folder of data.

    Raises:
        StoreError: there is none.
        ReadError: the named file is missing.
    """
    if named is not None:
        return Found(read_contract(named), named)
    folder = place if place.is_dir() else place.parent
    places = [folder / FILE] if is_project(place) else [folder / FILE, Path(FILE)]
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        raise StoreError(
            "contract", f"{place} has no {FILE}", do=f"scarce contract init {place}, or name one with --contract"
        )
    return Found(read_contract(found), found)


def refuse_empty(found: Found) -> Found:
    """Return the contract if it promises anything; one that does not would hold for all data.

    Raises:
        ConfigError: it promises nothing.
    """
    if found.contract.is_empty:
        do = "name classes, columns or limits in it, or learn them: scarce contract init --force"
        raise ConfigError("contract", f"{found.path} promises nothing", "any data would pass", do)
    return found


def data_of(
    place: Path, version: str | None, *, contract: Contract | None = None, workers: int | None, seed: int,
    measure: bool = True,
) -> Dataset:  # fmt: skip
    """Return a project's version, or data read from a bare path, with what a contract's limits need; nothing is saved.

    Args:
        place: a project, or any data that scarce reads.
        version: of the project.
        contract: whose limits are to be judged; None = only read.
        workers: threads at most.
        seed: of folds.
        measure: whether checks that the version lacks are run now.

    Raises:
        StoreError: a version was named, but the path is no project.
        ReadError: there is no data at the path.
    """
    if is_project(place):
        return _of_project(place, version, contract, workers=workers, seed=seed, measure=measure)
    if version is not None:
        raise StoreError("contract", f"{place} is no project and has no version {version}", do="leave --version out")
    from scarce import audit, encode, io, modality

    ds = modality.scan(io.read(place), workers=workers)
    wanted = lacking(ds, contract) if contract is not None and measure else []
    if not wanted:
        return ds
    if "label_error" in wanted or ds.schema.modality != "image":
        ds = encode.run(ds, workers=workers, seed=seed)
    return audit.run(ds, wanted, seed=seed, workers=workers) if _enough(ds) else ds


def _of_project(
    place: Path, version: str | None, contract: Contract | None, *, workers: int | None, seed: int, measure: bool
) -> Dataset:
    from scarce.contract import MEASURED, unmeasured
    from scarce.loop.measure import audited, with_scan
    from scarce.project import Project

    with Project.open(place) as opened:
        ds = opened.dataset(version)
        wanted = lacking(ds, contract) if contract is not None and measure else []
        if wanted and _enough(ds):
            return audited(opened, ds, wanted, workers=workers, seed=seed)
        needed = ds.schema.modality in MEASURED if contract is None else unmeasured(ds, contract.ranges)
        return with_scan(opened, ds, workers=workers) if needed else ds


def lacking(ds: Dataset, contract: Contract) -> list[str]:
    """Return the checks that the contract's limits need and that did not judge every kept real sample."""
    import numpy as np

    judged = ds["keep"].astype(bool) & (ds["origin"] == "real")
    names: list[str] = []
    for limit, checks in CHECKS.items():
        for check in checks if getattr(contract, limit) is not None else ():
            column = f"audit.{check}.score"
            known = column in ds and np.isfinite(ds[column].astype(float))[judged & (ds["label"] >= 0)].all()
            names += [] if known else [check]
    return _possible(ds, names)


def _possible(ds: Dataset, names: Sequence[str]) -> list[str]:
    """Leave out what this data cannot answer: label errors of fewer than two classes."""
    import numpy as np

    kept = ds["label"][ds["keep"].astype(bool)]
    return [name for name in names if name != "label_error" or len(np.unique(kept[kept >= 0])) > 1]


def _enough(ds: Dataset) -> bool:
    return bool(ds["keep"].astype(bool).any())


def write_new(path: Path, text: str, *, force: bool) -> None:
    """Write a file that must not be there yet.

    Raises:
        StoreError: it is there, and was not to be replaced.
        ReadError: it cannot be written.
    """
    if path.exists() and not force:
        raise StoreError("contract", f"{path} is there already", do="edit it, or replace it with --force")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ReadError("contract", f"{path} cannot be written ({error.strerror or error})") from error


def summary(outcomes: Sequence[Outcome], path: Path) -> dict[str, Any]:
    """Return the JSON object of ``scarce contract check``."""
    levels = [item.level for item in outcomes]
    broken = [item for item in outcomes if item.outcome == "broken"]
    return {
        "fine": "error" not in levels, "errors": levels.count("error"), "warnings": levels.count("warning"),
        "contract": str(path), "holds": sum(item.outcome == "holds" for item in outcomes),
        "unknown": sum(item.outcome == "unknown" for item in outcomes),
        "violations": [{"severity": item.level, **item.to_json()} for item in broken],
        "rules": [item.to_json() for item in outcomes],
    }  # fmt: skip


def draw_outcomes(console: Console, outcomes: Sequence[Outcome], body: Mapping[str, Any]) -> None:
    """Print one line, and a table of the rules that do not hold."""
    parts = [
        f"{body['errors']} error{'s' * (body['errors'] != 1)}" * bool(body["errors"]),
        f"{body['warnings']} warning{'s' * (body['warnings'] != 1)}" * bool(body["warnings"]),
        f"{body['unknown']} cannot be told" * bool(body["unknown"]),
    ]
    told = ", ".join(part for part in parts if part)
    head = "The contract is broken" if body["errors"] else "The contract holds"
    console.print(f"{head}: {told}; {body['holds']} rules hold." if told else f"{head}.")
    shown = [(item.level, item.rule, item.what, item.do) for item in outcomes if item.outcome != "holds"]
    if shown:
        console.print(table(("", "rule", "what", "do"), shown))
