"""A version's lineage as a pipeline that DVC runs: one stage for each version on the way, data as plain files.

``dvc.yaml`` names the stages, ``params.json`` holds what each step was asked to do, ``data/<stage>`` is what it left
and ``metrics/<stage>.json`` its counts. ``dvc repro`` does again what changed, ``dvc checkout`` brings back what was.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.parquet as pq

from scarce import columns, lineage
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError, ReadError, unknown_name
from scarce.extras import need
from scarce.lineage import Step
from scarce.provenance._again import DECISION, Scene, again
from scarce.provenance.reproduce import ends_of

if TYPE_CHECKING:
    from scarce.project import Project

PIPELINE, PARAMS, DATA, METRICS, EDITS = "dvc.yaml", "params.json", "data", "metrics", "edits"
TABLES: Final = {"table": None, "findings": columns.FINDING, "votes": columns.VOTE}
CACHE: Final = ".scarce-features"
CLOCK: Final = ("at", "seconds", "packages")
"""What differs from run to run; it stays out of the files, so that the same data has the same bytes."""


@dataclass(frozen=True)
class Part:
    """The steps of one stage, and the version that they end with."""

    name: str
    version: str
    steps: tuple[Step, ...]
    before: str | None


def write_pipeline(
    project: Project, folder: str | Path | None = None, *, version: str | None = None, functions: Sequence[Path] = ()
) -> list[str]:
    """Write ``dvc.yaml`` and ``params.json`` for a version and return the names of the stages.

    Args:
        project: an opened project.
        folder: where they go, inside a repository of DVC; the project's own folder by default.
        version: number, tag or branch; the newest by default.
        functions: files of the user's own functions that are steps.

    Raises:
        DataError: the version has no lineage.
        MissingExtraError: PyYAML is not installed.
    """
    yaml = need("yaml", extra="dvc")
    place = Path(folder) if folder is not None else project.folder
    target = project.store.version(version)
    ds = project.store.open(target.name)
    parts = _parts(project, ds.steps)
    if not parts:
        raise DataError("export", f"no step led to {target.name}", do="read data with scarce add or scarce run")
    place.mkdir(parents=True, exist_ok=True)
    sources = {name: _seen_from(Path(where), place) for name, where in ds.sources.items()}
    files = [_seen_from(path, place) for path in functions]
    params: dict[str, Any] = {"sources": sources, "functions": files, "before": {}, "stages": {}}
    stages: dict[str, Any] = {}
    for part in parts:
        params["before"][part.name] = part.before
        params["stages"][part.name] = [_asked(step) for step in part.steps]
        stages[part.name] = _stage(part, sources, files)
        if any(_edited(step) for step in part.steps):
            _save(project.store.open(part.version), place / EDITS / part.name)
            stages[part.name]["deps"].append(f"{EDITS}/{part.name}")
    _write(place / PARAMS, json.dumps(params, indent=1, ensure_ascii=False) + "\n")
    head = f"# {project.name}, {target.name}; written by scarce export --dvc\n"
    _write(place / PIPELINE, head + yaml.safe_dump({"stages": stages}, sort_keys=False, allow_unicode=True, width=120))
    ignored = place / ".gitignore"
    known = ignored.read_text(encoding="utf-8").splitlines() if ignored.is_file() else []
    _write(ignored, "\n".join(dict.fromkeys([*known, f"/{CACHE}"])) + "\n")
    return [part.name for part in parts]


def run_stage(folder: str | Path, name: str, functions: Mapping[str, Callable[..., Dataset]] | None = None) -> Dataset:
    """Do the steps of one stage, from the files of the stage before to its own; this is what ``dvc repro`` calls.

    Args:
        folder: that of ``params.json``.
        name: of the stage.
        functions: the user's own functions that are steps.

    Raises:
        ReadError: ``params.json`` or the files of the stage before are missing or broken.
        UnknownNameError: there is no such stage.
    """
    place = Path(folder)
    body = _params(place)
    if name not in body["stages"]:
        raise unknown_name("export", "stage", name, body["stages"])
    sources = {key: str((place / where).resolve()) for key, where in body["sources"].items()}
    before = body["before"].get(name)
    ds = _load(place / DATA / before, sources) if before else Dataset.from_columns(Schema(), {"id": []})
    edits = place / EDITS / name
    scene = Scene(place / CACHE, sources, functions or {})
    for item in body["stages"][name]:
        step = Step(**item)
        scene.recorded = _load(edits, sources) if _edited(step) else None
        ds = again(ds, step, scene)
    _save(ds, place / DATA / name)
    _write(place / METRICS / f"{name}.json", json.dumps(_counts(ds), indent=1, ensure_ascii=False) + "\n")
    return ds


def _parts(project: Project, steps: Sequence[Step]) -> list[Part]:
    """Cut the steps where a version ends and nothing after it needs what lay beside it in memory."""
    ends = ends_of(project, steps)
    cuts = [end for end in sorted(ends) if end == len(steps) or DECISION not in steps[end].params]
    parts: list[Part] = []
    start = 0
    for end in cuts:
        last = steps[end - 1]
        name = f"{ends[end]}_{last.stage}"
        parts.append(Part(name, ends[end], tuple(steps[start:end]), parts[-1].name if parts else None))
        start = end
    return parts


def _stage(part: Part, sources: Mapping[str, str], files: Sequence[str]) -> dict[str, Any]:
    uses = list(files) if any(step.stage == "own" for step in part.steps) else []
    read = sorted({place for step in part.steps for place in _read_by(step, sources)})
    deps = read + [f"{DATA}/{part.before}"] * bool(part.before) + uses
    own = "".join(f" --functions {shlex.quote(file)}" for file in uses)
    return {
        "cmd": f"scarce export --run {part.name}{own}",
        "deps": deps,
        "params": [{PARAMS: [f"stages.{part.name}"]}],
        "outs": [f"{DATA}/{part.name}"],
        "metrics": [{f"{METRICS}/{part.name}.json": {"cache": False}}],
    }


def _read_by(step: Step, sources: Mapping[str, str]) -> list[str]:
    """Return the folders or files that a step reads."""
    name = str(step.params.get("source"))
    if step.stage != "io" or name not in sources:
        return []
    first = step.params["steps"][0]["params"] if step.name == "merge" else step.params
    return [Path(os.path.normpath(Path(sources[name]) / first.get("at", "."))).as_posix()]


def _asked(step: Step) -> dict[str, Any]:
    """Return what a step was asked to do; a function of the user's is a dependency, and its text none of that."""
    params = {key: value for key, value in step.params.items() if (step.stage, key) != ("own", "source")}
    body: dict[str, Any] = {"stage": step.stage, "name": step.name, "params": params, "seed": step.seed}
    body |= {"inputs": dict(step.inputs)} if step.stage == "audit" else {}
    return json.loads(lineage.canonical_json(body))  # type: ignore[no-any-return]


def _edited(step: Step) -> bool:
    return (step.stage, step.name) == ("store", "edit")


def _save(ds: Dataset, folder: Path) -> None:
    """Write a dataset as plain files: the same data gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (("table", columns.sort(ds.table)), ("findings", ds.findings), ("votes", ds.votes)):
        pq.write_table(table.combine_chunks(), folder / f"{name}.parquet", compression="zstd")
    steps = [{key: value for key, value in step.to_json().items() if key not in CLOCK} for step in ds.steps]
    schema = asdict(ds.schema)
    body = {"content_id": lineage.content_id(ds.table, schema), "schema": schema, "steps": steps}
    _write(folder / "dataset.json", json.dumps(body, indent=1, ensure_ascii=False) + "\n")


def _load(folder: Path, sources: Mapping[str, str]) -> Dataset:
    try:
        body = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        tables = {name: pq.read_table(folder / f"{name}.parquet") for name in TABLES}
        values: dict[str, Any] = {
            key: tuple(item) if isinstance(item, list) else item for key, item in body["schema"].items()
        }
        steps = tuple(Step.from_json(step) for step in body["steps"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"{folder} cannot be read ({type(error).__name__})"
        raise ReadError("export", what, do="run the stage before it first: dvc repro") from error
    used = {name: place for name, place in sources.items() if name in set(tables["table"]["source"].to_pylist())}
    return Dataset(
        Schema(**values), tables["table"], used, steps=steps, findings=tables["findings"].cast(columns.FINDING),
        votes=tables["votes"].cast(columns.VOTE),
    )  # fmt: skip


def _counts(ds: Dataset) -> dict[str, Any]:
    """Return what ``dvc metrics`` shows."""
    kept = ds["keep"].astype(bool)
    labels = np.bincount(ds["label"][kept & (ds["label"] >= 0)], minlength=len(ds.schema.classes))
    splits = ds["split"][kept].astype(str)
    return {
        "rows": len(ds), "kept": int(kept.sum()),
        "classes": {name: int(n) for name, n in zip(ds.schema.classes, labels, strict=True)},
        "splits": {name: int((splits == name).sum()) for name in columns.SPLITS},
        "content_id": lineage.content_id(ds.table, asdict(ds.schema)),
    }  # fmt: skip


def _params(place: Path) -> dict[str, Any]:
    path = place / PARAMS
    try:
        body: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        body = None
    if isinstance(body, dict) and all(isinstance(body.get(key), dict) for key in ("sources", "before", "stages")):
        return body
    raise ReadError("export", f"{path} is no list of stages", do="write it with scarce export --dvc")


def _seen_from(path: Path, place: Path) -> str:
    """Return a path as DVC wants it: relative where both lie on one drive."""
    try:
        return Path(os.path.relpath(path.resolve(), place.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
