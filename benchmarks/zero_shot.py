"""Does the promised precision hold, and how much is labelled? Prototypes on real data, 20 draws of labels each.

`python benchmarks/zero_shot.py [--draws 20]` writes `results/zero_shot.json`. The draws are random samples, on
`magnetic_tile` random tiles with all their photos, since photos of one tile come together. A draw breaks the promise
where the share of right ones among what was labelled lies below the wanted precision; of a finite pool that share
scatters around its expectation, which the promise is about.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

from scarce import encode, io, modality
from scarce.label import zero_shot

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
                one = zero_shot.propose(half, "prototype", precision=wanted, seed=draw)
                seconds = time.perf_counter() - started
                taken = one.rows[one.taken]
                right = truth[taken] == one.codes[one.taken]
                accuracy = float((truth[one.rows] == one.codes).mean())
                found.append(
                    (float(one.taken.mean()), float(right.mean()) if len(taken) else np.nan, accuracy, seconds)
                )
            coverage, precision, accuracy, seconds = np.array(found).T
            opened = np.isfinite(precision)
            row = {
                "data": name, "labels": count, "wanted": wanted, "draws": draws, "opened": int(opened.sum()),
                "broken": int((precision[opened] < wanted).sum()), "coverage": round(float(coverage.mean()), 3),
                "precision": round(float(precision[opened].mean()), 3) if opened.any() else None,
                "worst": round(float(precision[opened].min()), 3) if opened.any() else None,
                "accuracy_of_all": round(float(accuracy.mean()), 3), "seconds": round(float(np.median(seconds)), 2),
            }  # fmt: skip
            print(row, flush=True)
            rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--cache", default=None, help="folder of features")
    given = parser.parse_args()
    rows = [row for name in SETS if SETS[name][0].exists() for row in measured(name, given.draws, given.cache)]
    body = {"question": __doc__.splitlines()[0], "cores": os.cpu_count(), "numpy": np.__version__, "rows": rows}
    RESULTS.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
