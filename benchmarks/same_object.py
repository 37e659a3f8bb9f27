"""Are other pictures of one object found without being told, and how long does it take?

    python benchmarks/same_object.py [--data FOLDER] [--pictures 1000]

Real tiles whose groups are known (pairs, and the groups that a split would keep together), garments enlarged four times
where nothing should be found, and the seconds for pictures of 640 x 480. Results are kept in
benchmarks/results/same_object.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from scarce import io, modality
from scarce.audit._group import components
from scarce.audit.same_object import SameObject


def timed(folder: Path) -> tuple[Any, Any, dict[str, Any]]:
    ds = modality.scan(io.read(folder))
    wall, cpu = time.perf_counter(), time.process_time()
    found = SameObject().pairs(ds)
    took = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    return ds, found, {"n": len(ds)} | {name: round(value, 1) for name, value in took.items()}


def tiles(folder: Path) -> dict[str, Any]:
    with (folder / "index.csv").open(encoding="utf-8") as lines:
        tile = {row["image"].partition("/")[2]: row["tile_group"] for row in csv.DictReader(lines)}
    ds, found, row = timed(folder / "images")
    truth = np.unique([tile[uri] for uri in ds["uri"]], return_inverse=True)[1]
    part, upper = components(len(ds), found.rows), np.triu_indices(len(ds), 1)
    same, together = (truth[:, None] == truth[None])[upper], (part[:, None] == part[None])[upper]
    right = truth[found.rows[:, 0]] == truth[found.rows[:, 1]]
    return {"data": folder.name} | row | {
        "pairs": len(right),
        "pair_precision": round(float(right.mean()), 4),
        "pair_recall": round(float(right.sum() / same.sum()), 4),
        "group_precision": round(float((same & together).sum() / together.sum()), 4),
        "group_recall": round(float((same & together).sum() / same.sum()), 4),
        "largest_group": int(np.bincount(part).max()),
    }  # fmt: skip


def garments(parquet: Path, scratch: Path, count: int) -> dict[str, Any]:
    """Garments of ten kinds, four times as large: many look alike, and none is there twice."""
    import pyarrow.parquet as pq

    (scratch / "garment").mkdir(parents=True)
    for place, cell in enumerate(pq.read_table(parquet, columns=["image"])["image"].to_pylist()[:count]):
        data = cell["bytes"] if isinstance(cell, dict) else cell
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        large = cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(scratch / "garment" / f"{place}.png"), large)
    _, found, row = timed(scratch)
    return {"data": "garments enlarged to 112 px"} | row | {"rows_in_groups": len(np.unique(found.rows))}


def photos(scratch: Path, count: int) -> dict[str, Any]:
    """Different noisy surfaces of 640 x 480 as JPEG, for the time alone."""
    rng = np.random.default_rng(0)
    (scratch / "part").mkdir(parents=True)
    for place in range(count):
        image = cv2.GaussianBlur(rng.standard_normal((480, 640)).astype(np.float32), (0, 0), 3)
        image = 128 + 30 * image / image.std() + rng.normal(0, 3, image.shape)
        cv2.imwrite(str(scratch / "part" / f"{place}.jpg"), np.clip(image, 0, 255).astype(np.uint8))
    _, found, row = timed(scratch)
    return {"data": "640 x 480"} | row | {"ms_per_picture": round(1000 * row["seconds"] / count, 2),
                                         "rows_in_groups": len(np.unique(found.rows))}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SCARCE_DATA", "../shared/data")))
    parser.add_argument("--pictures", type=int, default=1000)
    options = parser.parse_args()
    place = Path(__file__).parent
    rows = [tiles(options.data / "magnetic_tile")] if (options.data / "magnetic_tile").is_dir() else []
    with tempfile.TemporaryDirectory() as scratch:
        parquet = place.parent / "examples" / "garments" / "garments.parquet"
        rows += [garments(parquet, Path(scratch) / "garments", 3 * options.pictures)]
        rows += [photos(Path(scratch) / "photos", options.pictures)]
    for row in rows:
        print(json.dumps(row), flush=True)
    result = {
        "question": "other pictures of one object", "seed": 0, "cores": os.cpu_count(), "load": os.getloadavg(),
        "machine": platform.machine(), "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "scipy", "opencv-python-headless")}, "rows": rows,
    }  # fmt: skip
    (place / "results" / "same_object.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
