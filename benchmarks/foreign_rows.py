"""Do boosted trees on tables know which rows are none of theirs, and leave ordinary ones alone?

    SCARCE_DATA=... python benchmarks/foreign_rows.py [mammography] [oil_spill] [phoneme]

Trained on 70 % of a table without exact repeats, with what ``scarce train`` stores; share of rows whose verdict is
``unknown``: of the other 30 %, and of rows that are foreign in several ways, all read from CSV by ``scarce predict``.
``rows of <table>``: columns of another table, brought to median and interquartile range of this one's columns.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from scarce import io, modality, train
from scarce.dataset import Array
from scarce.loop.fitting import guarded
from scarce.train.predict import predict

DATA = Path(os.environ.get("SCARCE_DATA", "../shared/data")) / "tabular_imbalanced"
RESULT = Path(__file__).parent / "results" / "foreign_rows.json"
TABLES = ("mammography", "oil_spill", "phoneme")
SEEDS, MOST = 4, 1500


def read(name: str) -> tuple[Array, Array]:
    with (DATA / f"{name}.csv").open() as file:
        cells = np.array(list(csv.reader(file))[1:], np.float64)
    cells = np.unique(cells[:, 1:] if name == "oil_spill" else cells, axis=0)  # f0 of oil_spill is a patch number
    return cells[:, :-1], cells[:, -1]


def write(path: Path, x: Array, y: Array | None = None) -> Path:
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow([*(f"f{place}" for place in range(x.shape[1])), *([] if y is None else ["target"])])
        for number, row in enumerate(x.tolist()):
            cells = ["" if np.isnan(value) else repr(value) for value in row]
            out.writerow(cells + ([] if y is None else ["rare" if y[number] else "common"]))
    return path


def units(x: Array) -> tuple[Array, Array]:
    low, middle, high = np.percentile(x, [25, 50, 75], axis=0)
    return middle, np.where(high > low, (high - low) / 1.349, np.maximum(x.std(0), 1e-9))


def foreign(x: Array, test: Array, others: dict[str, Array], rng: np.random.Generator) -> dict[str, Array]:
    one = np.arange(test.shape[1]) == rng.integers(test.shape[1], size=len(test))[:, None]
    sets = {
        "held out": test, "all x 1000": test * 1000, "one number x 1000": np.where(one, test * 1000, test),
        "columns permuted": np.stack([rng.permutation(column) for column in test.T], axis=1),
        "normal noise": x.mean(0) + x.std(0) * rng.normal(size=test.shape),
        "one hole": np.where(one, np.nan, test),
    }  # fmt: skip
    (middle, spread), width = units(x), x.shape[1]
    for name, other in others.items():
        theirs, wide = units(other)
        rows = ((other - theirs) / wide)[rng.permutation(len(other))[:500]]
        chosen = rng.permutation(other.shape[1])[:width] if other.shape[1] >= width else (
            rng.integers(other.shape[1], size=width)
        )  # fmt: skip
        sets[f"rows of {name}"] = middle + spread * rows[:, chosen]
    return sets


def main() -> None:
    data = {name: read(name) for name in TABLES}
    result = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for name in sys.argv[1:] or TABLES:
        x, y = data[name]
        found: dict[str, list[float]] = {}
        chosen = []
        for seed in range(SEEDS):
            rng = np.random.default_rng(seed)
            order = rng.permutation(len(x))
            inside, outside = np.split(order, [int(0.7 * len(x))])
            with tempfile.TemporaryDirectory() as folder:
                ds = modality.scan(io.read(write(Path(folder) / "train.csv", x[inside], y[inside])))
                view = ds.fold(ds.ids, ())
                model = guarded(train.fit(view, "gradient_boosting", seed=seed), view, seed=seed)
                chosen.append(model.card["unknown"]["detector"])
                sets = foreign(x[inside], x[outside], {key: data[key][0] for key in TABLES if key != name}, rng)
                for kind, rows in sets.items():
                    told = predict(model, write(Path(folder) / "new.csv", rows[:MOST]))
                    found.setdefault(kind, []).append(float(np.mean([row.verdict == "unknown" for row in told])))
        result[name] = {"detector": chosen, "rows": len(x), "unknown": found}
        for kind, shares in found.items():
            print(f"{name:12s} {kind:20s} {np.mean(shares):.3f} ({min(shares):.3f} to {max(shares):.3f})", flush=True)
        RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
