"""Does the promised precision hold, and how much is labelled? Prototypes on real data, 20 draws of labels each.

`python benchmarks/zero_shot.py [--draws 20] [--only garments] [--cache FOLDER]` writes `results/zero_shot.json`. The
promise is judged as made: for all classes together (`unproven`); what is left when classes that are not proven by
themselves wait for people is the coverage `proven_only`. `--only large` runs `scarce.study.zero_shot` on 200,000
samples (Fashion-MNIST and copies with noise, 128 principal components of the pixels), interrupts it after the first
seed, goes on, and states seconds and the peak of memory. Draws
are random samples, on `magnetic_tile` random tiles with all photos, since photos of one tile come together. A draw
breaks the promise where the share of right ones among what was labelled lies below the wanted precision; of a finite
pool that share scatters around its expectation, which the promise is about.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from fashion import load

from scarce import encode, io, modality
from scarce.dataset import Dataset, Schema
from scarce.label import zero_shot
from scarce.probe import Projection
from scarce.study.zero_shot import ZeroShot

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("SCARCE_DATA", ROOT.parent / "shared" / "data"))
SETS = {
    "spoken digits": (DATA / "audio_digits", {}, (300, 600)),
    "garments": (ROOT / "examples" / "garments" / "garments.parquet", {}, (500, 2000)),
    "questions (trec)": (DATA / "text_small" / "trec.csv", {}, (500, 2000)),
    "magnetic_tile": (DATA / "magnetic_tile", {"group": "tile_group"}, (400, 800)),
}
RESULTS = Path(__file__).parent / "results" / "zero_shot.json"


def drawn(ds: object, count: int, seed: int) -> np.ndarray:
    """Rows that are labelled: random ones, whole groups where there are groups."""
    rng = np.random.default_rng(seed)
    if "group" not in ds:
        return np.isin(np.arange(len(ds)), rng.choice(len(ds), count, replace=False))
    groups = ds["group"].astype(str)
    names = rng.permutation(np.unique(groups))
    sizes = np.cumsum([(groups == name).sum() for name in names])
    return np.isin(groups, names[: int(np.searchsorted(sizes, count)) + 1])


def measured(name: str, draws: int, cache: str | None) -> list[dict]:
    place, options, counts = SETS[name]
    ds = modality.scan(io.read(place, **options))
    ds = ds.take(np.flatnonzero(ds["keep"].astype(bool) & (ds["label"] >= 0)))
    ds = encode.run(ds, cache=cache)
    truth, names = ds["label"], np.array(ds.schema.classes, object)
    rows = []
    for count in counts:
        for wanted in (0.9, 0.95):
            found = []
            for draw in range(draws):
                known = drawn(ds, count, draw)
                labels = np.where(known, names[truth], None).tolist()
                sources = np.where(known, "human", None).tolist()
                half = ds.with_columns({"label": labels, "label_source": sources, "split": ["train"] * len(ds)})
                started = time.perf_counter()
                one = zero_shot.propose(half, "prototype", precision=wanted, unproven=True, seed=draw)
                seconds = time.perf_counter() - started
                taken = one.rows[one.taken]
                right = truth[taken] == one.codes[one.taken]
                accuracy = float((truth[one.rows] == one.codes).mean())
                proven = np.array([row.verdict == "proven" for row in one.classes])
                sure = float((one.taken & proven[one.codes]).mean())
                reached = float(right.mean()) if len(taken) else np.nan
                found.append((float(one.taken.mean()), sure, reached, accuracy, seconds))
            coverage, sure, precision, accuracy, seconds = np.array(found).T
            opened = np.isfinite(precision)
            row = {
                "data": name, "labels": count, "wanted": wanted, "draws": draws, "opened": int(opened.sum()),
                "broken": int((precision[opened] < wanted).sum()), "coverage": round(float(coverage.mean()), 3),
                "proven_only": round(float(sure.mean()), 3),
                "precision": round(float(precision[opened].mean()), 3) if opened.any() else None,
                "worst": round(float(precision[opened].min()), 3) if opened.any() else None,
                "accuracy_of_all": round(float(accuracy.mean()), 3), "seconds": round(float(np.median(seconds)), 2),
            }  # fmt: skip
            print(row, flush=True)
            rows.append(row)
    return rows


def fashion_copies(n: int) -> Dataset:
    """Return n samples of Fashion-MNIST: each picture and copies of it with noise, which are one group."""
    pictures, labels = load()
    rng = np.random.default_rng(0)
    flat = (pictures.reshape(len(pictures), -1) / np.float32(255)).astype(np.float32)
    axes = Projection.fit(flat[::10], components=128)
    features = np.empty((n, axes.basis.shape[1]), np.float32)
    for start in range(0, n, 10_000):
        rows = np.arange(start, min(start + 10_000, n)) % len(flat)
        noise = 0.1 * rng.standard_normal((len(rows), flat.shape[1]), np.float32) * (start >= len(flat))
        features[start : start + len(rows)] = axes(flat[rows] + noise)
    origin = np.arange(n) % len(flat)
    names = tuple(f"class {code}" for code in range(10))
    ds = Dataset.from_columns(
        Schema(classes=names),
        {
            "id": [f"{row:016x}" for row in range(n)], "label": [names[code] for code in labels[origin]],
            "label_source": ["given"] * n, "split": ["train"] * n, "split_group": [f"{row:x}" for row in origin],
        },
    )  # fmt: skip
    return ds.with_columns({"embedding.pixels": features})


def large(n: int = 200_000, seeds: int = 3) -> dict:
    """Run the study in two parts and state what it took."""
    ds = fashion_copies(n)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    study = ZeroShot(examples=1000, precision=0.9, seeds=seeds)
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal.jsonl"
        wall, cpu = time.perf_counter(), time.process_time()
        first = study.run(ds, journal=journal, minutes=0, seed=0).body["seeds_done"]
        body = study.run(ds, journal=journal, minutes=60, seed=0).body
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row = {
        "samples": n, "width": 128, "seeds_of_the_first_part": first, "seeds": body["seeds_done"],
        "seconds": round(wall, 1), "cpu_seconds": round(cpu, 1), "peak_mib": round(peak),
        "peak_over_the_data_mib": round(peak - before), "taken": body["taken"], "precision": body["precision"],
        "balanced_accuracy": {name: round(arm["mean"], 4) for name, arm in body["arms"].items()},
    }  # fmt: skip
    print(row, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--cache", default=None, help="folder of features")
    parser.add_argument("--only", choices=[*SETS, "large"], nargs="*", default=[*SETS, "large"])
    given = parser.parse_args()
    body = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    body |= {"question": __doc__.splitlines()[0], "cores": os.cpu_count(), "numpy": np.__version__}
    for name in given.only:
        if name == "large":
            body["large"] = large()
        elif SETS[name][0].exists():
            old = [row for row in body.get("rows", []) if row["data"] != name]
            body["rows"] = [*old, *measured(name, given.draws, given.cache)]
        RESULTS.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
