"""Augmented pictures as files: the same pixels as while training, in parallel, resumable, with a manifest."""

from __future__ import annotations

import csv
import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np

from scarce import progress
from scarce.augment._partner import Pool, corners_of, partners_of, pool_of, shared_label
from scarce.augment.policy import Policy
from scarce.augment.strength import Lost
from scarce.dataset import Array, Dataset, Floats
from scarce.errors import ConfigError, DataError, LeakError, ReadError, ScarceError
from scarce.execute.local import spread
from scarce.io.boxes import objects_in, to_cell
from scarce.lineage import canonical_json, digest
from scarce.modality import open_samples, raw
from scarce.recipe import Params, Parents, Scene, checked, fit_mask, growable, mask_opener, opencv_version, replay
from scarce.recipe import write as recipe_of

WHO: Final = "augment.offline"
MANIFEST, RUN = "manifest.csv", "run.json"
HEADS: Final = (
    "file", "label", "split", "parent", "source_file", "copy", "mask_uri", "boxes", "partners",
    "label_shares", "recipe",
)  # fmt: skip
PER_SAMPLE: Final = 5
BLOCK: Final = 64
BOXES: Final = "meta.boxes"


@dataclass(frozen=True)
class Offline:
    """What was written.

    Attributes:
        written, reused: pictures that were made now, and that an interrupted run had made.
        failed: file of an original to why it could not be used.
        manifest: the table of all pictures; ``scarce`` reads it as data.
        bytes, seconds: on disk, all pictures and masks; of this run.
    """

    written: int
    reused: int
    failed: dict[str, str]
    manifest: Path
    bytes: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**vars(self), "manifest": str(self.manifest), "seconds": round(self.seconds, 3)}


@dataclass(frozen=True)
class _Job:
    """One original and where its copies go."""

    row: int
    sample: str
    label: str
    uri: str
    stem: str
    boxes: list[dict[str, Any]] | None


def write(
    ds: Dataset, policy: Policy, out: str | Path, *, per_sample: int = PER_SAMPLE, seed: int = 0,
    workers: int | None = None,
) -> Offline:  # fmt: skip
    """Write ``per_sample`` copies of every kept real training picture as ``class/{name}_aug_{i}.png``.

    Copy i has the pixels that training online sees in epoch i (at the picture's own size). Masks are written beside
    the pictures (``{name}_aug_{i}_mask.png``), boxes into the manifest. A mix names its partners, other training
    pictures, and the shares of the classes; the file lies in the folder of its original's class. A run that was
    interrupted goes on where it stopped; a picture that cannot be opened is listed and left out.

    Args:
        ds: the data; only rows of split train are used.
        policy: what is done.
        out: a new folder, or that of an interrupted run with the same settings.
        per_sample: copies of one original.
        seed: of the drawn parameters.
        workers: threads; None = all cores.

    Raises:
        LeakError: the data is not split, so copies of later test samples could be trained on.
        DataError: there is no training picture, or the folder holds something else.
        ConfigError: ``per_sample`` is no number from 1 on.
    """
    if per_sample < 1:
        raise ConfigError(WHO, f"per_sample = {per_sample} is out of range", "it takes 1 or more")
    jobs, folder, started = _jobs(ds), Path(out), time.perf_counter()
    _claim(folder, policy, per_sample, seed, _signature(ds, jobs))
    failed: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    made = 0
    work = _Writer(ds, policy, folder, per_sample, seed, _pool(ds, policy, jobs), _parents(ds))
    for start in progress.track(range(0, len(jobs), BLOCK), "augment", total=-(-len(jobs) // BLOCK)):
        block = jobs[start : start + BLOCK]
        for job, (found, new, why) in zip(block, spread(work, block, workers=workers), strict=True):
            rows += found
            made += new
            if why:
                failed[job.uri] = why
    _write_manifest(folder / MANIFEST, rows)
    size = sum(item.stat().st_size for item in folder.rglob("*.png"))
    return Offline(made, len(rows) - made, failed, folder / MANIFEST, size, time.perf_counter() - started)


def as_train(ds: Dataset) -> Dataset:
    """Return data without a split as training data: the user says that nothing of it is judged on.

    Raises:
        LeakError: the data has a split.
    """
    if "split" in ds:
        raise LeakError(WHO, "the data has a split of its own", "samples of val and test are never augmented",
                        "leave the option out: only the training samples are used")  # fmt: skip
    return ds.with_columns({"split": ["train"] * len(ds)})


def preview(ds: Dataset, policy: Policy, path: str | Path, *, samples: int = 6, copies: int = 7, seed: int = 0) -> Path:
    """Write a contact sheet: each row an original, framed, and its first copies; rarest classes first.

    Args:
        ds: the data; only kept real training pictures are shown.
        policy: what is done.
        path: of the sheet, a PNG file.
        samples: rows, taken from the classes in turn.
        copies: beside each original.
        seed: of the drawn parameters.
    """
    jobs = _jobs(ds)
    counts = Counter(job.label for job in jobs)
    turn: Counter[str] = Counter()
    order = []
    for job in jobs:
        order.append((turn[job.label], counts[job.label], job.row))
        turn[job.label] += 1
    chosen = sorted(range(len(jobs)), key=order.__getitem__)[:samples]
    lines, pool, parents = [], _pool(ds, policy, jobs), _parents(ds)
    for place in chosen:
        job = jobs[place]
        image = checked(np.asarray(open_samples(ds, [job.row])[0]))
        drawn = [policy.draw_with(job.sample, pool, seed=seed, copy=copy) for copy in range(copies)]
        views = [replay(Scene(image), steps, parents).image for steps in drawn]
        lines.append(np.concatenate([_cell(image, framed=True), *(_cell(view) for view in views)], axis=1))
    target = Path(path)
    _save(target, np.concatenate(lines))
    return target


def lost_sheet(lost: Sequence[Lost], path: str | Path) -> Path:
    """Write pictures that a probe knew, framed, each beside the copy that it takes for something else, with words.

    Args:
        lost: of :class:`scarce.augment.strength.Strength`.
        path: of the sheet, a PNG file.
    """
    import cv2

    pairs = []
    for one in lost:
        pair = np.concatenate([_cell(one.image, framed=True), _cell(one.view)], axis=1)
        strip = np.full((16, pair.shape[1], 3), 255, np.uint8)
        text = f"{one.true}, taken for {one.taken}".encode("ascii", "replace").decode()
        cv2.putText(strip, text[:44], (3, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.34, (0, 0, 0), 1, cv2.LINE_AA)
        pairs.append(np.concatenate([pair, strip]))
    pairs += [np.full_like(pairs[0], 255)] * (-len(pairs) % 3)
    target = Path(path)
    _save(target, np.concatenate([np.concatenate(pairs[row : row + 3], axis=1) for row in range(0, len(pairs), 3)]))
    return target


def _cell(image: Array, *, framed: bool = False, side: int = 128) -> Array:
    import cv2

    inner = side - 8
    scale = inner / max(image.shape[:2])
    size = tuple(max(1, round(part * scale)) for part in image.shape[1::-1])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    small = np.asarray(cv2.resize(image, size, interpolation=way))
    out = np.full((side, side, 3), 0 if framed else 255, np.uint8)
    top, left = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
    out[top : top + small.shape[0], left : left + small.shape[1]] = small if small.ndim == 3 else small[..., None]
    return out


def _jobs(ds: Dataset) -> list[_Job]:
    if ds.schema.modality != "image":
        raise DataError(WHO, f"the data is {ds.schema.modality}, not pictures", do="augment pictures only")
    rows = growable(ds, who=WHO)
    if not len(rows):
        where = dict(Counter(ds["split"].tolist()))
        raise DataError(
            WHO, "there is no kept, labelled, real training sample to augment", f"samples by split: {where}"
        )
    uris = ds.table["uri"].to_pylist()
    cells = ds.table[BOXES].to_pylist() if BOXES in ds.table.column_names else [None] * len(ds)
    stems = [_stem(uris[row]) for row in rows.tolist()]
    names = [ds.schema.classes[code] for code in ds["label"][rows]]
    seen = Counter((label, stem.lower()) for label, stem in zip(names, stems, strict=True))
    return [
        _Job(row, str(ds.ids[row]), label, uris[row],
             stem if seen[label, stem.lower()] == 1 else f"{stem}-{str(ds.ids[row])[:8]}", objects_in(cells[row]))
        for row, label, stem in zip(rows.tolist(), names, stems, strict=True)
    ]  # fmt: skip


def _pool(ds: Dataset, policy: Policy, jobs: Sequence[_Job]) -> Pool:
    """Return who may be a partner; nobody has to be looked up where none is taken."""
    return pool_of(ds, np.array([job.row for job in jobs] if policy.mixes else [], np.int64))


def _parents(ds: Dataset) -> Parents:
    cells = ds.table[BOXES] if BOXES in ds.table.column_names else None

    def image(name: str) -> Array:
        return np.asarray(open_samples(ds, ds.rows_of([name]))[0])

    def boxes(name: str) -> Floats | None:
        return None if cells is None else corners_of(cells[int(ds.rows_of([name])[0])].as_py())

    return Parents(image, mask_opener(ds), boxes)


def _stem(uri: str) -> str:
    path, _, row = uri.partition("#")
    number = row.partition(":")[0]
    return _safe(PurePosixPath(path).stem + (f"-{number}" if number else ""))


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip(".") or "unnamed"


def _signature(ds: Dataset, jobs: Sequence[_Job]) -> str:
    """Return what tells these originals, with their labels and places, from others: a new split is other data."""
    hashes = ds.table["content_hash"].to_pylist() if "content_hash" in ds.table.column_names else [None] * len(ds)
    rows = np.array([job.row for job in jobs], np.int64)
    held = [hashes[row] or _stat(place) for row, place in zip(rows.tolist(), raw.addresses(ds, rows), strict=True)]
    told = sorted((job.sample, job.label, job.stem, held[place]) for place, job in enumerate(jobs))
    return digest(canonical_json(told))


def _stat(place: Any) -> str:
    """Return size and time of the file that a sample lies in; empty where it is gone."""
    try:
        found = Path(place.path).stat()
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def _claim(folder: Path, policy: Policy, per_sample: int, seed: int, data: str) -> None:
    """Make the folder ours, or make sure that it holds the same run."""
    body = {"policy": policy.params(), "per_sample": per_sample, "seed": seed, "opencv": opencv_version()}
    mark = {"fingerprint": digest(canonical_json(body)), "data": data, **body}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / RUN).is_file():
            there = json.loads((folder / RUN).read_text(encoding="utf-8"))
            if there.get("fingerprint") != mark["fingerprint"]:
                raise DataError(WHO, f"{folder} holds copies of another policy, seed or number", do="name a new folder")
            if there.get("data") != data:
                raise DataError(WHO, f"{folder} holds copies of other originals",
                                "pictures, labels or the split changed since; old copies may be of test samples now",
                                "name a new folder")  # fmt: skip
            return
        if any(folder.iterdir()):
            raise DataError(WHO, f"{folder} is not empty and holds no run of ours", do="name a new folder")
        (folder / RUN).write_text(json.dumps(mark, indent=1) + "\n", encoding="utf-8")
    except (OSError, json.JSONDecodeError) as error:
        raise ReadError(WHO, f"{folder} cannot be used ({error})", do="name a folder that can be written") from error


@dataclass(frozen=True)
class _Writer:
    """Writes the copies of one original after the other; threads share it."""

    ds: Dataset
    policy: Policy
    folder: Path
    per_sample: int
    seed: int
    pool: Pool
    parents: Parents

    def __call__(self, job: _Job) -> tuple[list[dict[str, Any]], int, str]:
        """Return the rows of the manifest, how many pictures were made now, and why there are none."""
        try:
            return (*self._copies(job), "")
        except ScarceError as error:
            return [], 0, error.what

    def _copies(self, job: _Job) -> tuple[list[dict[str, Any]], int]:
        stem = f"{_safe(job.label)}/{job.stem}_aug_"
        made = [(self.folder / f"{stem}{copy}.png").is_file() for copy in range(self.per_sample)]
        mask = mask_opener(self.ds)(job.sample)
        start = None if all(made) and not job.boxes and not self.policy.mixes else self._start(job, mask)
        rows = []
        for copy, there in enumerate(made):
            drawn = self.policy.draw_with(job.sample, self.pool, seed=self.seed, copy=copy)
            partners, objects = partners_of(drawn), job.boxes
            masked = mask is not None
            if start is not None:
                scene = replay(start, drawn, self.parents)
                objects = _kept([*(job.boxes or []), *self._objects(partners)], scene.boxes)
                if scene.mask is not None and not there:
                    _save(self.folder / f"{stem}{copy}_mask.png", scene.mask.astype(np.uint8) * 255)
                if not there:
                    _save(self.folder / f"{stem}{copy}.png", scene.image)
                masked = masked or scene.mask is not None
            told = to_cell(objects) or ""
            recipe = recipe_of(job.sample, drawn, seed=self.seed, copy=copy)
            shown = f"{stem}{copy}_mask.png" if masked else ""
            values = (f"{stem}{copy}.png", job.label, "train", job.sample, job.uri, copy, shown, told)
            more = (" ".join(partners), self._shares(job, drawn), recipe)
            rows.append(dict(zip(HEADS, (*values, *more), strict=True)))
        return rows, made.count(False)

    def _objects(self, partners: Sequence[str]) -> list[dict[str, Any]]:
        """Return the objects of the partners, in their order."""
        cells = self.ds.table[BOXES] if BOXES in self.ds.table.column_names else None
        if cells is None or not partners:
            return []
        rows = self.ds.rows_of(list(partners)).tolist()
        return [item for row in rows for item in objects_in(cells[row].as_py()) or []]

    def _shares(self, job: _Job, drawn: Sequence[tuple[str, Params]]) -> str:
        """Return the shares of the classes as JSON; empty where the label is one class."""
        classes = self.ds.schema.classes
        own = np.eye(len(classes), dtype=np.float32)[classes.index(job.label)]
        found = shared_label(drawn, self.policy.mixes, self.pool, own)
        if found is None:
            return ""
        return json.dumps({classes[code]: round(float(found[code]), 5) for code in np.flatnonzero(found).tolist()})

    def _start(self, job: _Job, mask: Array | None) -> Scene:
        image = checked(np.asarray(open_samples(self.ds, [job.row])[0]))
        held = None if mask is None else fit_mask(np.asarray(mask), *image.shape[:2])
        return Scene(image, held, corners_of(job.boxes))


def _kept(objects: list[dict[str, Any]] | None, corners: Floats | None) -> list[dict[str, Any]] | None:
    """Return the objects with their moved boxes; those that left the picture are left out, outlines are not carried."""
    if objects is None:
        return None
    out = []
    for item, (left, top, right, bottom) in zip(objects, () if corners is None else corners.tolist(), strict=True):
        if right - left >= 1 and bottom - top >= 1:
            box = [round(left, 2), round(top, 2), round(right - left, 2), round(bottom - top, 2)]
            rest = {key: value for key, value in item.items() if key not in ("bbox", "segmentation", "area")}
            out.append({**rest, "bbox": box})
    return out


def _save(path: Path, image: Array) -> None:
    """Write a PNG whole or not at all."""
    import cv2

    _, body = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image)
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(body.tobytes())
        part.replace(path)
    except OSError as error:
        raise ReadError(WHO, f"{path} cannot be written ({error})", do="free space, or name another folder") from error


def _write_manifest(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, HEADS)
        table.writeheader()
        table.writerows(rows)
    part.replace(path)
