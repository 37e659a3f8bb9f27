"""The study of growth on real sets: what generators and policies gain on held-out samples, with few real ones and all.

    python benchmarks/growth.py [--set magnetic_tile] [--few 5 10 20] [--ratios 1] [--seeds 5] [--size 128]

With --instrument patch, cells of pictures are learned from by their masks. magnetic_tile is grouped by tile. deep_pcb:
windows of 64 pixels around single defects of one class, and sound windows of the templates, grouped by board; masks are
where a tested board differs from its template. fabric_defects (its small crops) has no sound class, so that nothing can
be drawn on it: policies only, classes one against the rest. wafer (series), trec (texts, the first 1,500) and
audio_digits (sounds, each take alone) are grown by policies. Reads the folder that SCARCE_DATA names, or
../shared/data.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from scarce import encode, io, modality
from scarce.dataset import Dataset, Schema
from scarce.study._growth_page import KEYS, conclusion, levels_of, points
from scarce.study.growth import Growth

HERE = Path(__file__).parent
TILES = ("free", "blowhole", "uneven", "break", "crack", "fray")
SIDE, BOARD_SIDE = 64, 640


def tiles(root: Path, _: Path) -> Dataset:
    """Return the magnetic tiles; one tile is one group."""
    rows = _rows(root / "index.csv")
    return _dataset(root, [row["image"] for row in rows], TILES, ("free",), {
        "label": [row["class"] for row in rows], "split_group": [row["tile_group"] for row in rows],
        "mask_uri": [row["mask"] or None for row in rows],
    })  # fmt: skip


def fabric(root: Path, _: Path) -> Dataset:
    """Return the crops of woven and knitted fabric; the name of the class says nothing of its part."""
    rows = [row for row in _rows(root / "index.csv") if row["part"] in ("tilda_crops", "woven_crops")]
    classes = tuple(sorted({row["class"] for row in rows}))
    return _dataset(root, [row["image"] for row in rows], classes, (), {"label": [row["class"] for row in rows]})


def boards(root: Path, work: Path, *, most: int = 100, sound: int = 400) -> Dataset:
    """Return windows of boards that hold one defect, and sound ones; one kind of board is one group."""
    out = work / "deep_pcb_windows"
    out.mkdir(parents=True, exist_ok=True)
    boxes: dict[str, list[dict[str, str]]] = {}
    for row in _rows(root / "boxes.csv"):
        boxes.setdefault(row["id"], []).append(row)
    rng, taken, cells = np.random.default_rng(0), Counter[str](), []
    pairs = _rows(root / "pairs.csv")
    for place in rng.permutation(len(pairs)).tolist():
        pair = pairs[place]
        tested, template = (cv2.imread(str(root / pair[f"{kind}_image"]), 0) for kind in ("tested", "template"))
        found = [(row["class"], [int(row[key]) for key in ("x1", "y1", "x2", "y2")]) for row in boxes[pair["id"]]]
        for number, (name, box) in enumerate(found):
            left, top = (int(np.clip((box[a] + box[a + 2]) // 2 - SIDE // 2, 0, BOARD_SIDE - SIDE)) for a in (0, 1))
            window = np.s_[top : top + SIDE, left : left + SIDE]
            alone = all(other[0] >= left + SIDE or other[2] <= left or other[1] >= top + SIDE or other[3] <= top
                        for at, (_, other) in enumerate(found) if at != number)  # fmt: skip
            mask = (tested[window] != template[window]).astype(np.uint8) * 255
            if taken[name] < most and alone and mask.any():
                taken[name] += 1
                stem = f"{name}_{taken[name]:04d}"
                cv2.imwrite(str(out / f"{stem}.png"), tested[window])
                cv2.imwrite(str(out / f"{stem}_mask.png"), mask)
                drawn = [{"label": name, "bbox": [box[0] - left, box[1] - top, box[2] - box[0], box[3] - box[1]]}]
                cells.append((f"{stem}.png", f"{stem}_mask.png", name, pair["group"], json.dumps(drawn)))
        left, top = rng.integers(0, BOARD_SIDE - SIDE, 2).tolist()
        window = template[top : top + SIDE, left : left + SIDE]
        if taken["sound"] < sound and window.any() and not window.all():
            taken["sound"] += 1
            cv2.imwrite(str(out / f"sound_{taken['sound']:04d}.png"), window)
            cells.append((f"sound_{taken['sound']:04d}.png", None, "sound", pair["group"], "[]"))
    uris, masks, labels, groups, drawn_boxes = (
        list(column) for column in zip(*sorted(cells, key=lambda cell: cell[0]), strict=True)
    )
    classes = ("sound", *sorted(set(labels) - {"sound"}))
    more = {"label": labels, "split_group": groups, "mask_uri": masks, "meta.boxes": drawn_boxes}
    return _dataset(out, uris, classes, ("sound",), more)


def wafer(root: Path, _: Path) -> Dataset:
    """Return the series of wafers; the class of few is the abnormal one."""
    ds = _for_training(io.read(root.parent / "time_series" / "Wafer.npz"))
    counts = np.bincount(ds["label"], minlength=2)
    normal = ds.schema.classes[int(counts.argmax())]
    return replace(ds, schema=replace(ds.schema, normal_classes=(normal,)))


def questions(root: Path, _: Path) -> Dataset:
    """Return 1,500 questions of six kinds, of which one is rare."""
    ds = _for_training(io.read(root.parent / "text_small" / "trec.csv"))
    return ds.take(np.sort(np.random.default_rng(0).permutation(len(ds))[:1500]))


def digits(root: Path, _: Path) -> Dataset:
    """Return 600 spoken digits of three speakers."""
    ds = _for_training(io.read(root / "wav"))
    return ds.take(np.sort(np.random.default_rng(0).permutation(len(ds))[:600]))


class Case(NamedTuple):
    """How a set is read, and what may be grown of it."""

    read: Callable[[Path, Path], Dataset]
    policies: tuple[str, ...]
    generators: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()


CASES = {
    "magnetic_tile": Case(tiles, ("surface", "gray", "natural"), (), ("scratch:crack", "stain:uneven")),
    "deep_pcb": Case(boards, ("surface", "gray"), ("cut_paste",)),
    "fabric_defects": Case(fabric, ("surface", "natural")),
    "wafer": Case(wafer, ("series",)), "trec": Case(questions, ("text",)), "audio_digits": Case(digits, ("sound",)),
}  # fmt: skip


def _for_training(ds: Dataset) -> Dataset:
    return ds.with_columns({"split": ["train"] * len(ds), "label_source": ["given"] * len(ds)})


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _dataset(
    root: Path, uris: list[str], classes: tuple[str, ...], normal: tuple[str, ...], more: dict[str, Any]
) -> Dataset:
    count = len(uris)
    values = {
        "id": [f"{row:05d}" for row in range(count)], "uri": uris, "source": ["given"] * count,
        "split": ["train"] * count, "label_source": ["given"] * count, **more,
    }  # fmt: skip
    schema = Schema(classes=classes, normal_classes=normal)
    return Dataset.from_columns(schema, values, sources={"given": str(root)})


def main() -> None:
    """Run the study, print it, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", choices=CASES, default="magnetic_tile")
    parser.add_argument("--few", type=int, nargs="*", default=[])
    parser.add_argument("--ratios", type=float, nargs="*", default=[])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--per-class", type=int, default=120)
    parser.add_argument("--times", type=float, default=3.0)
    parser.add_argument("--size", type=int, help="side of the pictures in pixels that the encoder sees")
    parser.add_argument("--instrument", choices=("pooled", "patch"), default="pooled")
    parser.add_argument("--shows", nargs="*", help="KIND:CLASS, which class a drawn defect shows")
    parser.add_argument("--policies", nargs="*")
    parser.add_argument("--generators", nargs="*")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--work", type=Path, default=Path("growth-work"))
    parser.add_argument("--out", type=Path, default=HERE / "results")
    given = parser.parse_args()
    data = Path(os.environ.get("SCARCE_DATA", HERE.parents[1] / "shared" / "data"))
    given.work.mkdir(parents=True, exist_ok=True)
    case = CASES[given.set]
    ds = modality.scan(case.read(data / given.set, given.work))
    ds = encode.run(ds, cache=given.work / "features", size=given.size)
    study = Growth(
        policies=tuple(given.policies or case.policies), generators=tuple(given.generators or case.generators),
        shows=tuple(given.shows or (() if given.generators else case.shows)), per_class=given.per_class,
        times=given.times,
        few=tuple(given.few), ratios=tuple(given.ratios), seeds=given.seeds, folds=given.folds, draws=given.draws,
        instrument=given.instrument, patch_size=given.size or 0,
    )  # fmt: skip
    name = given.set if given.instrument == "pooled" else f"{given.set}_{given.instrument}"
    found = study.run(ds, journal=given.work / f"{name}.jsonl", minutes=given.minutes, seed=0)
    (given.work / f"{name}.html").write_text(found.page, "utf-8")
    body = {**found.body, "set": given.set, "size": given.size}
    (given.out / f"growth_{name}.json").write_text(json.dumps(body, indent=1) + "\n", "utf-8")
    for title, arms in levels_of(body) if body["arms"] else []:
        print(title)
        for name, arm in arms.items():
            cells = [f"{key} {arm[key]['value']:.3f} {points(arm[key])}" for key in KEYS]
            print(f"{name:45} " + "; ".join(cells))
    print(conclusion(body) if body["arms"] else "nothing was measured in this time")


if __name__ == "__main__":
    main()
