"""The study of growth on real inspection sets: what generators and policies gain on held-out samples.

    python benchmarks/growth.py [--set magnetic_tile] [--seeds 5] [--per-class 120] [--minutes 30] [--work FOLDER]

magnetic_tile is grouped by tile. fabric_defects (its small crops) has no sound class, so that nothing can be drawn on
it: policies only, classes one against the rest. Reads the folder that SCARCE_DATA names, or ../shared/data.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from pathlib import Path
from typing import Any

from scarce import encode, modality
from scarce.dataset import Dataset, Schema
from scarce.study.growth import Growth, conclusion, points

HERE = Path(__file__).parent
TILES = ("free", "blowhole", "uneven", "break", "crack", "fray")


def tiles(root: Path) -> Dataset:
    """Return the magnetic tiles; one tile is one group."""
    rows = _rows(root)
    return _dataset(root, rows, TILES, ("free",), {
        "label": [row["class"] for row in rows], "split_group": [row["tile_group"] for row in rows],
        "mask_uri": [row["mask"] or None for row in rows],
    })  # fmt: skip


def fabric(root: Path) -> Dataset:
    """Return the crops of woven and knitted fabric; the name of the class says nothing of its part."""
    rows = [row for row in _rows(root) if row["part"] in ("tilda_crops", "woven_crops")]
    classes = tuple(sorted({row["class"] for row in rows}))
    return _dataset(root, rows, classes, (), {"label": [row["class"] for row in rows]})


def _rows(root: Path) -> list[dict[str, str]]:
    with (root / "index.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _dataset(
    root: Path, rows: list[dict[str, str]], classes: tuple[str, ...], normal: tuple[str, ...], more: dict[str, Any]
) -> Dataset:
    values = {
        "id": [f"{row:05d}" for row in range(len(rows))], "uri": [row["image"] for row in rows],
        "source": ["given"] * len(rows), "split": ["train"] * len(rows), "label_source": ["given"] * len(rows), **more,
    }  # fmt: skip
    schema = Schema(classes=classes, normal_classes=normal)
    return Dataset.from_columns(schema, values, sources={"given": str(root)})


def main() -> None:
    """Run the study, print it, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", choices=("magnetic_tile", "fabric_defects"), default="magnetic_tile")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--per-class", type=int, default=120)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--work", type=Path, default=Path("growth-work"))
    parser.add_argument("--out", type=Path, default=HERE / "results")
    given = parser.parse_args()
    data = Path(os.environ.get("SCARCE_DATA", HERE.parents[1] / "shared" / "data"))
    given.work.mkdir(parents=True, exist_ok=True)
    read = {"magnetic_tile": tiles, "fabric_defects": fabric}[given.set]
    ds = modality.scan(read(data / given.set))
    ds = encode.run(ds, cache=given.work / "features")
    marked = given.set == "magnetic_tile"
    study = Growth(
        policies=("surface", "gray", "natural") if marked else ("surface", "natural"), per_class=given.per_class,
        seeds=given.seeds, shows=("scratch:crack", "stain:uneven") if marked else (),
    )  # fmt: skip
    found = study.run(ds, journal=given.work / f"{given.set}.jsonl", minutes=given.minutes, seed=0)
    (given.work / f"{given.set}.html").write_text(found.page, "utf-8")
    (given.out / f"growth_{given.set}.json").write_text(json.dumps(found.body, indent=1) + "\n", "utf-8")
    for name, arm in found.body["arms"].items():
        cells = [f"{key} {arm[key]['value']:.3f} {points(arm[key])}" for key in
                 ("average_precision", "recall_at_0.01:rare", "recall_at_0.05:rare")]  # fmt: skip
        print(f"{name:45} " + "; ".join(cells))
    print(conclusion(found.body) if found.body["arms"] else "nothing was measured in this time")


if __name__ == "__main__":
    main()
