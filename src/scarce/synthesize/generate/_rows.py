"""Rows of generated samples: where the files lie, how each was made, and how to know that it is still the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from scarce import registry
from scarce.dataset import Dataset
from scarce.errors import DataError, ReadError
from scarce.lineage import Step, digest
from scarce.modality._base import content_hash
from scarce.synthesize.generate._base import AbstractGenerator
from scarce.synthesize.generate._journal import TEXTS, read_samples

Line = Mapping[str, Any]


class Asked(NamedTuple):
    """The generator, what the step records (its parameters with the counts, the seed), and the source's name."""

    plugin: AbstractGenerator
    params: Mapping[str, Any]
    seed: int
    source: str


def source_name(plugin: AbstractGenerator, folder: Path) -> str:
    """Return what a folder of generated samples is called among the sources of a dataset."""
    return f"{plugin.plugin_name()}-{digest(str(folder.resolve()))[:8]}"


def sample_id(plugin: AbstractGenerator, line: Line) -> str:
    """Return the id of a generated sample: kind, class and content decide it."""
    return digest("synthetic", plugin.plugin_name(), line["label"], line["sha"])[:16]


def with_rows(
    ds: Dataset, folder: Path, new: Sequence[tuple[str, int, Line]], asked: Asked
) -> Dataset:  # fmt: skip
    """Append a row for each generated sample: id, its place among the accepted ones, and its line in the journal."""
    name, text, n, source = asked.plugin.plugin_name(), asked.plugin.makes == "text", len(new), asked.source
    lines = [line for _, _, line in new]
    groups = dict(zip(ds.ids.tolist(), ds["split_group"], strict=True)) if "split_group" in ds else {}
    raw = [line["text"] if text else (folder / line["file"]).read_bytes() for line in lines]
    hashes = [content_hash(item) for item in raw]
    values: dict[str, Any] = {
        "id": [sample for sample, _, _ in new], "content_hash": hashes,
        "uri": [f"{TEXTS}#{row}:text" if text else line["file"] for _, row, line in new],
        "source": [source] * n, "mask_uri": [line.get("mask") for line in lines],
        "label": [line["label"] for line in lines], "label_source": ["inherited"] * n, "split": ["train"] * n,
        "split_group": [next((groups.get(name) for name in line["parents"]), None) for line in lines],
        "origin": ["synthetic"] * n, "parents": [line["parents"] for line in lines],
        "meta.generator": [name] * n, "meta.seed": [line["seed"] for line in lines],
    }  # fmt: skip
    for key in sorted({key for line in lines for key in (*line["values"], *line["record"])}):
        column = [{**line["record"], **line["values"]}.get(key) for line in lines]
        values[f"meta.{key}"] = [None if item is None or item == "" else str(item) for item in column]
    params = {**asked.params, "source": source, "samples": [line["sha"] for line in lines]}
    inputs = {"files": digest(*hashes)}
    step = Step(stage="synthesize", name=name, params=params, seed=asked.seed, inputs=inputs)
    grown = replace(ds.append(values), sources={**ds.sources, source: str(folder)})
    return grown.with_step(step)


def again(ds: Dataset, step: Step, sources: Mapping[str, str]) -> Dataset:
    """Append the rows that a recorded step appended, from the files that it kept; no model is asked again.

    Args:
        ds: the data before the step.
        step: what was recorded.
        sources: name to folder.

    Raises:
        ReadError: files or their journal are gone.
        DataError: they are not the recorded ones any more.
    """
    who = f"synthesize.{step.name}"
    if "samples" not in step.params or step.params["source"] not in sources:
        raise DataError(who, "nothing says which samples were added, or where they lie", do="add them again")
    kind = registry.load("synthesize.generate", step.name, AbstractGenerator)  # type: ignore[type-abstract]
    params = {key: value for key, value in step.params.items() if key not in ("counts", "source", "samples")}
    plugin, folder = kind.from_params(params), Path(sources[step.params["source"]])
    accepted = [line for line in read_samples(folder, who) if line["accepted"]]
    places = {line["sha"]: place for place, line in enumerate(accepted)}
    lost = [sha for sha in step.params["samples"] if sha not in places]
    if lost:
        raise ReadError(who, f"{len(lost)} of {len(step.params['samples'])} generated samples are not in {folder}",
                        do="restore the folder: a model or service cannot be asked for the same again")  # fmt: skip
    found = [(places[sha], accepted[places[sha]]) for sha in step.params["samples"]]
    asked = Asked(plugin, {**params, "counts": step.params["counts"]}, step.seed or 0, step.params["source"])
    try:
        made = with_rows(ds, folder, [(sample_id(plugin, line), place, line) for place, line in found], asked)
    except OSError as error:
        raise ReadError(who, f"a generated file is gone ({error})", do="restore the folder") from error
    if made.steps[-1].inputs != step.inputs:
        raise DataError(who, f"files in {folder} are not those that were generated", do="restore the folder")
    return made
