"""Makes synthetic pictures with class, box and mask into a folder, until enough are accepted; resumable."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from scarce import progress
from scarce.dataset import Array, Dataset, Ints
from scarce.errors import DataError, ReadError, unknown_name
from scarce.execute.local import spread
from scarce.lineage import digest, key64
from scarce.modality import open_samples
from scarce.recipe import Params, Parents, Scene, checked, mask_opener, opencv_version, replay, write
from scarce.registry import canonical, load
from scarce.synthesize._base import AbstractDefect
from scarce.synthesize._check import Screen, trouble
from scarce.synthesize._export import COCO, IMAGES, objects_of
from scarce.synthesize._material import Material, by_boxes, cells_of
from scarce.synthesize._tally import Tally
from scarce.synthesize.screen._base import Candidate
from scarce.synthesize.screen._gate import Gate

BATCH: Final = 64
"""Pictures that are drawn and screened together."""
PATIENCE: Final = 50
"""Tries before the share of rejected ones may end the work."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What ends the work besides enough accepted samples.

    Args:
        seconds: of wall time in this call; None = no limit.
        rejected: share of all tries, in (0, 1].
        per_original: most uses of one sound picture; None = no limit.
    """

    seconds: float | None = None
    rejected: float = 0.9
    per_original: int | None = None


@dataclass(frozen=True)
class Made:
    """What was made.

    Attributes:
        out: the folder.
        kind: the kind of defect.
        label: its class.
        wanted: accepted samples asked for.
        accepted: how many there are.
        rejected: reason to count.
        ended: enough, time, rejections, or originals (each was used as often as allowed).
        originals: sound pictures that were drawn on.
        fitted: real defects that they were fitted to or cut out of.
        most_per_original: most accepted samples of one sound picture.
        files: what lies in the folder, each name with what it is.
        notes: what could not be used.
    """

    out: Path
    kind: str
    label: str
    wanted: int
    accepted: int
    rejected: Mapping[str, int]
    ended: str
    originals: int
    fitted: int
    most_per_original: int
    files: Mapping[str, str]
    notes: tuple[str, ...] = ()


class Try(NamedTuple):
    """One sample that may be made."""

    number: int
    row: int
    base: str
    recipe: str
    ops: tuple[tuple[str, Params], ...]
    parents: tuple[str, ...]
    others: tuple[int, ...] = ()


class _Shot(NamedTuple):
    scene: Scene
    reason: str


def make(  # noqa: PLR0913 - the public promise: one keyword for each thing a user may decide
    ds: Dataset, kind: AbstractDefect | str, *, n: int, out: str | Path, label: str | None = None, seed: int = 0,
    screen: Screen | Gate | None = None, limits: Limits | None = None, workers: int | None = None,
) -> Made:  # fmt: skip
    """Make synthetic pictures of one class on sound ones, until n are accepted, with labels in every usual form.

    The folder holds ``images/train``, ``masks``, ``instances_train.json`` (COCO), ``data.yaml`` and ``labels`` (YOLO),
    ``classes/<class>`` and ``tries.jsonl``: every try with its recipe, parents and the reason where it was rejected.
    ``manifest.csv`` has a column ``veto``: what has a word in it, and what was deleted from ``images/train``, counts as
    rejected from the next call on. The same call picks up where an earlier one ended, also with a larger n. The same
    seed gives the same pictures, whatever the number of workers.

    Args:
        ds: the data. With a split only training samples are used. Sound are the samples of its normal classes, or
            pictures on which nobody found an object, or all where nothing is labelled.
        kind: a kind of defect or its name, with its settings.
        n: accepted samples in the folder at the end.
        out: a new folder, or that of an earlier call with the same settings.
        label: class of the samples; by default the one class whose name says that it is about this kind, else the kind.
            Masks and boxes of real samples of this class are what they are fitted to, or cut out of.
        seed: of everything random.
        screen: a further judge: a :class:`scarce.synthesize.screen.Gate`, or a function that is called with accepted
            pictures and masks and gives reasons, empty = good.
        limits: what ends the work earlier.
        workers: threads.

    Raises:
        DataError: there is no sound picture, the class gives nothing to paste, or the folder holds something else.
        ReadError: the folder cannot be written.
    """
    limits = limits or Limits()
    if n < 1 or not 0 < limits.rejected <= 1:
        what = f"n = {n} and a limit of {limits.rejected} rejected make no sense"
        raise DataError("synthesize", what, do="ask for 1 or more")
    source, lost = source_of(ds, kind, label, seed)
    defect, label, name, bases = source.defect, source.label, canonical(source.defect.plugin_name()), source.bases
    who = f"synthesize.{name}"
    plan = {
        "kind": name, "params": defect.params(), "class": label, "seed": seed, "opencv": opencv_version(),
        "data": digest(*ds.ids[bases].tolist(), *(str(ds["content_hash"][row]) for row in bases)),
        "materials": digest(*(repr(material) for material in source.materials)),
    }  # fmt: skip
    if isinstance(screen, Gate):
        plan["screen"] = screen.plan()
    tally = Tally.open(Path(out).expanduser(), plan, who)
    classes = list(dict.fromkeys([*ds.schema.classes, label]))
    try:
        ended = _work(source, tally, n, _How(screen, limits, workers))
    except KeyboardInterrupt:  # what is finished is whole: it gets its labels and its place
        if tally.accepted():
            tally.labels(classes)
        raise
    made = tally.accepted()
    if made:
        tally.labels(classes)
    files = {
        IMAGES: "pictures", "masks": "masks, white = defect", COCO: "COCO", "data.yaml": "YOLO with labels/train",
        "classes": "a folder per class", "manifest.csv": "accepted ones; a word in the column veto refuses one",
        "tries.jsonl": "every try, its recipe and the reason where it was rejected",
    }  # fmt: skip
    uses = Counter(row["base"] for row in made)
    return Made(
        tally.out, name, label, n, len(made), tally.reasons(), ended, len(bases),
        sum(bool(material.params) for material in source.materials), max(uses.values(), default=0),
        files if made else {}, (lost,) if lost else (),
    )  # fmt: skip


def source_of(ds: Dataset, kind: AbstractDefect | str, label: str | None, seed: int) -> tuple[Source, str]:
    """Return where tries of a kind come from, and what could not be used; the same data and seed give the same tries.

    Raises:
        DataError: see :func:`make`.
    """
    defect = load("synthesize", kind, AbstractDefect)() if isinstance(kind, str) else kind  # type: ignore[type-abstract]
    name = canonical(defect.plugin_name())
    who = f"synthesize.{name}"
    rows = _training(ds, who)
    bases = _sound(ds, rows, who)
    label = label or class_of(ds, defect)
    materials, lost = _materials(ds, defect, rows, label, who)
    return Source(ds, defect, bases, tuple(materials), label, seed), lost


@dataclass(frozen=True)
class Source:
    """Where tries come from: bases and materials in turn, each in its own shuffled order."""

    ds: Dataset
    defect: AbstractDefect
    bases: Ints
    materials: tuple[Material, ...]
    label: str
    seed: int

    def tries(self, start: int, most: int | None) -> Iterator[Try]:
        """Yield tries from an index on; ``most`` is how often a base may be used."""
        op = f"synthesize.{self.defect.plugin_name()}"
        rng = np.random.default_rng([self.seed, key64(self.label), key64(op)])
        canvas, stuff = rng.permutation(self.bases), rng.permutation(len(self.materials))
        index = start
        while most is None or index < most * len(canvas):
            row, material = int(canvas[index % len(canvas)]), self.materials[int(stuff[index % len(stuff)])]
            base = str(self.ds.ids[row])
            own = np.random.default_rng([self.seed, key64(base), key64(op + self.label), index])
            ops = ((op, self.defect.params_for(own, material)),)
            parents = (base, *(str(self.ds.ids[other]) for other in material.rows))
            yield Try(index, row, base, write(base, ops, seed=self.seed, copy=index), ops, parents, material.rows)
            index += 1


class _How(NamedTuple):
    screen: Screen | Gate | None
    limits: Limits
    workers: int | None


def _work(source: Source, tally: Tally, n: int, how: _How) -> str:
    """Draw, screen and keep until enough are accepted; return what ended it."""
    screen, limits, workers = how
    began = time.monotonic()
    tries = source.tries(tally.next, limits.per_original)
    parents = Parents(_opener(source.ds, str(source.ds.ids[source.bases[0]])), mask_opener(source.ds))
    count = tally.count
    if isinstance(screen, Gate):
        done = tally.accepted()
        for start in range(0, len(done), BATCH):
            screen.admit([_candidate(row["file"], tally.load(row["file"]), row) for row in done[start : start + BATCH]])
    while count < n:
        if limits.seconds is not None and time.monotonic() - began > limits.seconds:
            return "time"
        if tally.tried >= PATIENCE and tally.tried - count > limits.rejected * tally.tried:
            return "rejections"
        batch = list(islice(tries, min(BATCH, 2 * (n - count) + 2)))
        if not batch:
            return "originals"
        shots = spread(lambda one: _shoot(one, parents, source.defect), batch, workers=workers)
        files = {one.number: f"{source.defect.plugin_name()}_{one.number:06d}.png" for one in batch}
        rows = [{"class": source.label, "base": one.base, "parents": one.parents} for one in batch]
        candidates = [
            _candidate(files[one.number], shot.scene.image, row)
            for one, shot, row in zip(batch, shots, rows, strict=True)
        ]
        shots = _screened(shots, candidates, screen)
        kept = _until(shots, n - count)
        if isinstance(screen, Gate):
            screen.admit([candidates[place] for place in range(kept) if not shots[place].reason])
        good = [
            (files[one.number], shot.scene) for one, shot in zip(batch[:kept], shots, strict=False) if not shot.reason
        ]
        objects = dict(spread(lambda item: (item[0], _save(tally, source.label, *item)), good, workers=workers))
        for one, shot in zip(batch[:kept], shots, strict=False):
            file = None if shot.reason else files[one.number]
            tally.add({
                "index": one.number, "file": file, "class": source.label, "reason": shot.reason, "base": one.base,
                "parents": list(one.parents), "recipe": one.recipe, "objects": objects[file] if file else [],
            })  # fmt: skip
        tally.flush()
        count = tally.count
        progress.report("synthetic samples", count, n)
    return "enough"


def _save(tally: Tally, label: str, file: str, scene: Scene) -> list[dict[str, Any]]:
    """Write one picture and its mask; return its objects."""
    mask = _mask(scene)
    tally.save(file, scene.image, mask)
    boxes = _boxes(scene)
    parts = scene.parts if scene.parts is not None and len(scene.parts) == len(boxes) else None
    return objects_of(label, mask, boxes, parts)


def _until(shots: Sequence[_Shot], room: int) -> int:
    """Return how many shots are used up by the time that enough are accepted."""
    good = np.cumsum([not shot.reason for shot in shots])
    return int(np.searchsorted(good, room)) + 1 if good[-1] >= room else len(shots)


def _shoot(one: Try, parents: Parents, defect: AbstractDefect) -> _Shot:
    """Draw one try; what goes wrong with a sample is its reason."""
    nothing = Scene(np.zeros((1, 1), np.uint8))
    try:
        before = checked(parents.image(one.base))
        scene = replay(Scene(before), one.ops, parents)
    except (ReadError, DataError) as error:
        return _Shot(nothing, f"it cannot be drawn: {error.what}")
    return _Shot(scene, trouble(before, scene.image, _mask(scene), stay=defect.stay == "object"))


def _candidate(file: str, image: Array, row: Mapping[str, Any]) -> Candidate:
    return Candidate(file, image, row["class"], row["base"], tuple(row["parents"]))


def _screened(shots: list[_Shot], candidates: list[Candidate], screen: Screen | Gate | None) -> list[_Shot]:
    good = [place for place, shot in enumerate(shots) if not shot.reason]
    if screen is None or not good:
        return shots
    if isinstance(screen, Gate):
        reasons: Sequence[str] = screen.judge([candidates[place] for place in good])
    else:
        reasons = screen([shots[place].scene.image for place in good], [_mask(shots[place].scene) for place in good])
    for place, reason in zip(good, reasons, strict=True):
        shots[place] = shots[place]._replace(reason=str(reason))
    return shots


def _mask(scene: Scene) -> Array:
    return np.zeros(scene.image.shape[:2], bool) if scene.mask is None else scene.mask


def _boxes(scene: Scene) -> Any:
    return np.zeros((0, 4)) if scene.boxes is None else scene.boxes


def _opener(ds: Dataset, example: str) -> Callable[[str], Array]:
    """Return what opens a sample by its id and remembers as many as fit a quarter of a gigabyte."""
    try:
        size = _opened(ds, example).nbytes
    except (ReadError, DataError):
        size = 1 << 22
    return lru_cache(maxsize=max(8, (1 << 28) // max(1, size)))(lambda name: _opened(ds, name))


def _opened(ds: Dataset, name: str) -> Array:
    (image,) = open_samples(ds, ds.rows_of([name]))
    pixels = np.ascontiguousarray(image)
    pixels.setflags(write=False)
    return pixels


def _training(ds: Dataset, who: str) -> Ints:
    """Return rows that may be used: kept, real, and train where there is a split."""
    if ds.schema.modality != "image":
        raise DataError(who, "defects are drawn on pictures", f"the data is {ds.schema.modality}", "name pictures")
    usable = ds["keep"].astype(bool) & (ds["origin"] == "real")
    split = np.asarray(ds["split"] if "split" in ds else [None] * len(ds), object)
    if any(item is not None for item in split):
        usable &= split == "train"
    rows: Ints = np.flatnonzero(usable)
    if not len(rows):
        raise DataError(who, "no kept real training picture is there", f"{len(ds)} rows", "add sound pictures")
    return rows


def _sound(ds: Dataset, rows: Ints, who: str) -> Ints:
    """Return the rows of sound pictures."""
    labels = ds["label"][rows]
    codes = [ds.schema.classes.index(name) for name in ds.schema.normal_classes]
    if codes:
        found: Ints = rows[np.isin(labels, codes)]
    elif (labels < 0).all():
        cells = cells_of(ds)
        found = rows if cells is None else rows[[cells[row].as_py() in (None, "", "[]") for row in rows.tolist()]]
    else:
        there = f"classes are {', '.join(ds.schema.classes[:8])}"
        raise DataError(who, "no class is known to be sound, so there is nothing to make defects on", there,
                        "name the sound class, for example --normal good")  # fmt: skip
    if not len(found):
        raise DataError(who, "no sound training picture to make defects on", f"{len(rows)} training pictures are there",
                        "add pictures without defects")  # fmt: skip
    return found


def class_of(ds: Dataset, defect: AbstractDefect) -> str:
    """Return the one class that is about this kind of defect, else the kind's own name."""
    others = [name for name in ds.schema.classes if name not in ds.schema.normal_classes]
    able = [name for name in others if "split" in ds and defect.words and not defect.refusal(ds, name)]
    return able[0] if len(able) == 1 else canonical(defect.plugin_name())


def _materials(
    ds: Dataset, defect: AbstractDefect, rows: Ints, label: str, who: str
) -> tuple[list[Material], str]:  # fmt: skip
    if label in ds.schema.normal_classes:
        raise DataError(who, f"{label!r} is a class of sound parts", do="name a class of defects")
    own = rows[:0]
    if label in ds.schema.classes:
        own = rows[ds["label"][rows] == ds.schema.classes.index(label)]
        if not len(own):
            ds, own = by_boxes(ds, rows, label)
    found, lost = defect.materials(ds, own)
    if not found:
        if label not in ds.schema.classes and defect.plugin_name() == "cut_paste":
            others = [name for name in ds.schema.classes if name not in ds.schema.normal_classes]
            raise unknown_name(who, "class", label, others)
        raise DataError(who, f"class {label!r} gives nothing to cut out", lost or f"{len(own)} samples, no mask or box",
                        "draw masks or boxes, or name a folder of patches")  # fmt: skip
    return found, lost
