"""Variants of texts, sounds and series as files: resumable, with a manifest."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from scarce import augment, modality, progress
from scarce.augment.policy import Policy
from scarce.dataset import Array, Dataset
from scarce.errors import DataError, LeakError
from scarce.io import sample_file
from scarce.recipe import growable

KINDS: Final = ("text", "audio", "time_series")
TABLE, MANIFEST, PLAN = "texts.csv", "manifest.csv", "plan.json"
HEADS: Final = ("file", "label", "parent", "recipe", "why")
BLOCK: Final = 32
"""About so many variants between two writes of the manifest: what a kill loses."""


@dataclass
class Varied:
    """What was written.

    Attributes:
        made: class to number of variants written, those of earlier runs included.
        rejected: reason to number of variants left out.
        originals: samples that were changed.
        kept_out: split to number of samples that were not changed, since they are judged on.
    """

    made: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    originals: int = 0
    kept_out: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "originals": self.originals, "made": dict(self.made), "rejected": dict(self.rejected),
            "kept_out": self.kept_out,
        }  # fmt: skip

    def lines(self, out: Path) -> list[str]:
        """Return what was written where, and what was not, in words."""
        return [
            f"{sum(self.made.values()):,} variants of {self.originals:,} samples in {out}",
            *(f"- {count:,} left out: {why}" for why, count in self.rejected.items()),
            *(f"- {count:,} samples of {part} are not for training and were not changed"
              for part, count in self.kept_out.items()),
        ]  # fmt: skip


def vary(ds: Dataset, policy: Policy | str, out: Path, *, per_sample: int = 4, seed: int = 0) -> Varied:
    """Write variants of each training sample of a set of texts, sounds or series.

    Texts go to ``texts.csv`` (text, label, parent), sounds to ``<class>/<name>_aug_<i>.wav``, series to
    ``<class>/<name>_aug_<i>.npy``; ``manifest.csv`` has a line with the recipe, or the reason, for each. A variant that
    equals its original or another variant of it is left out. Called again, it goes on where it stopped.

    Args:
        ds: the data, split; samples of val, test and pool are not changed.
        policy: a policy or the name of a preset.
        out: the folder; new, or of an unfinished run with the same settings.
        per_sample: variants of each sample.
        seed: of everything drawn.

    Raises:
        LeakError: the data is not split, or no sample is a training sample.
        DataError: pictures or tables are given, the folder holds something else, or a class has no sample.
    """
    if ds.schema.modality not in KINDS:
        raise DataError("augment", f"variants of {ds.schema.modality} samples are not made here",
                        f"this makes those of {', '.join(KINDS)}")  # fmt: skip
    if per_sample < 1:
        raise DataError("augment", f"{per_sample} variants per sample", do="ask for 1 or more")
    rows = growable(ds, who="augment")
    split = ds["split"]
    found = Varied(originals=len(rows), kept_out={
        str(name): int((split == name).sum()) for name in np.unique(split.astype(str)) if name != "train"
    })  # fmt: skip
    if not len(rows):
        raise LeakError("augment", "no labelled training sample is here",
                        f"the samples are in {', '.join(found.kept_out) or 'no split'}; those are never changed",
                        "give training data")  # fmt: skip
    names = [ds.schema.classes[code] for code in np.unique(ds["label"][rows])]
    counts = {name: per_sample * int((ds["label"][rows] == ds.schema.classes.index(name)).sum()) for name in names}
    grown = augment.run(ds, policy, counts=counts, seed=seed, cap=per_sample)
    _claim(out, {**grown.steps[-1].params, "seed": seed, "samples": len(ds), "kind": ds.schema.modality})
    _write(grown, out, found)
    return found


def _claim(out: Path, plan: Mapping[str, Any]) -> None:
    """Make the folder, or check that it belongs to the same plan."""
    body = json.dumps(plan, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    held = out / PLAN
    if held.is_file():
        if held.read_text(encoding="utf-8") != body:
            raise DataError("augment", f"{out} holds variants made with other settings or of other data",
                            do="give another folder, or the settings of plan.json there")  # fmt: skip
        return
    if out.exists() and any(out.iterdir()):
        raise DataError("augment", f"{out} is not empty", do="give a new folder")
    out.mkdir(parents=True, exist_ok=True)
    held.write_text(body, encoding="utf-8")


def _write(grown: Dataset, out: Path, found: Varied) -> None:
    done = _read_manifest(out, found)
    table = grown.table.select(["id", "uri", "parents", "recipe", "label", "origin"]).to_pylist()
    uris = {row["id"]: row["uri"] or row["id"] for row in table}
    changed = {row["parents"][0] for row in table if row["origin"] == "augmented"}
    names = _names(row for row in table if row["id"] in changed)
    families: dict[str, list[int]] = {}
    for place, row in enumerate(table):
        if row["origin"] == "augmented" and row["recipe"] not in done:
            families.setdefault(row["parents"][0], []).append(place)
    bases = list(families)
    step = max(1, BLOCK // max(map(len, families.values()), default=1))
    for start in range(0, len(bases), step):
        lines: list[tuple[Any, ...]] = []
        texts: list[tuple[Any, ...]] = []
        for base in bases[start : start + step]:
            own, *samples = modality.open_samples(grown, [*grown.rows_of([base]).tolist(), *families[base]])
            seen = {_content(own)}
            for place, sample in zip(families[base], samples, strict=True):
                row = table[place]
                why = _refusal(sample, seen)
                name = TABLE if isinstance(sample, str) else f"{names[base]}_aug_{json.loads(row['recipe'])['copy']}"
                if isinstance(sample, str) and not why:
                    texts.append((sample, row["label"], uris[base]))
                elif not isinstance(sample, str) and not why:
                    name = _put(out / name, sample, grown.schema.modality).relative_to(out).as_posix()
                lines.append(("" if why else name, row["label"], uris[base], row["recipe"], why))
        if texts:
            _append(out / TABLE, ("text", "label", "parent"), texts)
        _append(out / MANIFEST, HEADS, lines)
        _count(found, [dict(zip(HEADS, line, strict=True)) for line in lines])
        progress.report("augment", min(start + step, len(bases)), len(bases))


def _count(found: Varied, rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
        if row["why"]:
            found.rejected[row["why"]] += 1
        else:
            found.made[row["label"]] += 1


def _read_manifest(out: Path, found: Varied) -> set[str]:
    """Return the recipes that are done; texts that a killed run wrote without its manifest are cut off."""
    rows: list[dict[str, str]] = []
    if (out / MANIFEST).is_file():
        with (out / MANIFEST).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    if (out / TABLE).is_file():
        with (out / TABLE).open(encoding="utf-8", newline="") as file:
            head, *held = csv.reader(file)
        (out / TABLE).unlink()
        _append(out / TABLE, tuple(head), [tuple(row) for row in held[: sum(row["file"] == TABLE for row in rows)]])
    _count(found, rows)
    return {row["recipe"] for row in rows}


def _refusal(sample: Array | str, seen: set[bytes]) -> str:
    """Return why a variant is left out, empty where it is not; remember it."""
    content = _content(sample)
    if not content:
        return "it is empty"
    if not isinstance(sample, str) and not np.isfinite(sample).any():
        return "it has no finite value"
    if content in seen:
        return "it equals its original or another variant of it"
    seen.add(content)
    return ""


def _content(sample: Array | str) -> bytes:
    return " ".join(sample.split()).encode() if isinstance(sample, str) else np.asarray(sample).tobytes()


def _names(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return id to ``<class>/<name>`` in signs that every system takes; equal names get the head of their id, too."""
    found: dict[str, str] = {}
    for row in rows:
        stem = str(row["uri"] or row["id"]).rpartition("/")[2].removesuffix(".wav")
        parts = ("".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in part).strip(".")
                 for part in (str(row["label"]), stem))  # fmt: skip
        found[row["id"]] = "/".join(part or "_" for part in parts)
    seen = Counter(name.lower() for name in found.values())
    return {own: name if seen[name.lower()] == 1 else f"{name}-{own[:8]}" for own, name in found.items()}


def _put(place: Path, sample: Array, kind: str) -> Path:
    data, ending = sample_file(sample, kind)
    path = place.with_name(place.name + ending)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _append(path: Path, heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    fresh = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if fresh:
            writer.writerow(heads)
        writer.writerows(rows)
