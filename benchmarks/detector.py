"""What the detector of boxes learns in minutes on a processor, on circuit boards (deep_pcb).

    python benchmarks/detector.py DATA --part overfit|held_out [--threads 1] [--out FILE]

DATA holds deep_pcb: ``boxes.csv`` and ``test/ID.png``. ``overfit``: eight boards are learnt and drawn again, which only
shows that the training works. ``held_out``: 400 boards are split by their design (no design is on both sides), the
detector learns on about 300 of them and is judged on the others; intervals are a bootstrap over designs, of which there
are few, so they are wide. Boards have no up and no left, so pictures are turned and mirrored in all eight ways.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import tempfile
import time
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "detector.json"
TURNS = '[[operation]]\nop = "flip"\nhorizontal = 0.5\nvertical = 0.5\ndiagonal = 0.5\n'


def boards(data: Path, folder: Path, n: int, seed: int) -> Path:
    """Write a table of some boards with their boxes and designs."""
    drawn: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with (data / "deep_pcb" / "boxes.csv").open() as file:
        for row in csv.DictReader(file):
            drawn[row["id"]].append({"label": row["class"], **{key: int(row[key]) for key in ("x1", "y1", "x2", "y2")}})
    names = np.random.default_rng(seed).choice(sorted(drawn), n, replace=False).tolist()
    path = folder / "boards.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["uri", "group", "boxes"])
        for name in sorted(names):
            picture = data.resolve() / "deep_pcb" / "test" / f"{name}.png"
            writer.writerow([str(picture), name[:5], json.dumps(drawn[name])])
    return path


def judged(part: str, data: Path, epochs: int, seed: int) -> dict[str, Any]:
    """Learn and judge; seconds are of training."""
    from scarce import io, split, train
    from scarce.evaluate.boxes import boxes
    from scarce.train.detection import truth_and_found
    from scarce.train.detector import Detector

    with tempfile.TemporaryDirectory() as place:
        ds = io.read(boards(data, Path(place), 8 if part == "overfit" else 400, seed))
        turns = Path(place) / "turns.toml"
        turns.write_text(TURNS)
        if part == "overfit":
            view, seen, trainer = ds.fold(ds.ids, ()), ds, Detector(epochs=epochs)
        else:
            ds = split.run(ds, ratios=(0.75, 0.0, 0.25), seed=seed)
            test = ds["split"] == "test"
            view, seen = ds.fold(ds.ids[~test], ds.ids[test]), ds.take(test)
            trainer = Detector(epochs=epochs, policy=str(turns))
        wall, cpu = time.perf_counter(), time.process_time()
        model = train.fit(view, trainer, seed=seed)
        seconds = {"wall": round(time.perf_counter() - wall), "cpu": round(time.process_time() - cpu)}
        started = time.process_time()
        truth, found = truth_and_found(model, seen)
        each = (time.process_time() - started) / len(seen)
    groups = np.array(seen["group"], str) if part == "held_out" else np.arange(len(seen))
    return {
        "train_pictures": model.card["pictures"], "test_pictures": len(seen), "test_designs": len(set(groups.tolist())),
        "steps": model.card["steps"], "network": model.card["network"], "levels": model.card["design"]["strides"],
        "train_seconds": seconds, "cpu_seconds_a_picture": round(each, 2), "seed": seed, "epochs": epochs,
        "figures": boxes(truth, found, seen.schema.classes, groups, seed=seed),
    }  # fmt: skip


def main() -> None:
    """Measure one part and keep it beside the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--part", choices=("overfit", "held_out"), required=True)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)  # before torch is loaded
    epochs = args.epochs or {"overfit": 80, "held_out": 5}[args.part]
    told = judged(args.part, args.data, epochs, args.seed)
    options = f"--part {args.part} --epochs {epochs} --threads {args.threads}"
    told["command"] = f"python benchmarks/detector.py DATA {options}"
    kept = json.loads(args.out.read_text()) if args.out.exists() else {}
    kept["hardware"] = {"processor": platform.machine(), "cores": os.cpu_count(), "note": "shared with other work"}
    kept["versions"] = {name: version(name) for name in ("torch", "torchvision", "timm", "numpy")}
    kept[args.part] = told
    args.out.write_text(json.dumps(kept, indent=1) + "\n")
    print(json.dumps(told["figures"], indent=1))


if __name__ == "__main__":
    main()
