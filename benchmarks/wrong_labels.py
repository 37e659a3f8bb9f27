"""Model or data, and what brings wrong labels back: the studies `model_or_data` and `label_noise` on real data, small.

`python benchmarks/wrong_labels.py --set phoneme [--study model_or_data] [--seeds 5] [--most 1000] [--journal FOLDER]`
adds its part to `results/wrong_labels.json`. `phoneme`: 5,404 spoken sounds as five numbers, two classes, every fifth
row is test; `garments`: Fashion-MNIST, 4,000 training pictures and all test pictures as 64 principal components. The
truth is the labels as they are published; a share of those that are trained on is made wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path

import numpy as np
from fashion import load

from scarce.dataset import Dataset, Schema
from scarce.probe import Projection
from scarce.progress import listen
from scarce.study.label_noise import LabelNoise
from scarce.study.label_noise import conclusion as conclusion_of_noise
from scarce.study.model_or_data import ModelOrData, conclusion

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("SCARCE_DATA", ROOT.parent / "shared" / "data"))
RESULTS = Path(__file__).parent / "results" / "wrong_labels.json"
TRAIN = 4000


def dataset(points: np.ndarray, labels: np.ndarray, test: np.ndarray) -> Dataset:
    """Return rows with features, labels and splits."""
    names = tuple(map(str, range(int(labels.max()) + 1)))
    columns = {
        "id": [f"s{row:05d}" for row in range(len(labels))], "label": [names[code] for code in labels],
        "label_source": ["given"] * len(labels), "split": ["test" if out else "train" for out in test],
    }  # fmt: skip
    ds = Dataset.from_columns(Schema(modality="tabular", task="class", classes=names), columns)
    return ds.with_columns({"embedding.columns": np.asarray(points, np.float32)})


def phoneme() -> Dataset:
    """Return the sounds."""
    rows = np.loadtxt(DATA / "tabular_imbalanced" / "phoneme.csv", delimiter=",", skiprows=1)
    return dataset(rows[:, :-1], rows[:, -1].astype(np.int64), np.arange(len(rows)) % 5 == 0)


def garments() -> Dataset:
    """Return some training pictures and all test pictures."""
    pixels, labels = load()
    rows = np.concatenate([np.sort(np.random.default_rng(0).permutation(60_000)[:TRAIN]), np.arange(60_000, 70_000)])
    points, test = pixels[rows].reshape(len(rows), -1).astype(np.float32) / 255, rows >= 60_000
    return dataset(Projection.fit(points[~test], components=64)(points), labels[rows], test)


def main() -> None:
    """Run one study on one set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=("phoneme", "garments"), required=True)
    parser.add_argument("--study", choices=("model_or_data", "label_noise"), default="model_or_data")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--most", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--journal", type=Path, default=Path("reports"))
    asked = parser.parse_args()
    ds = phoneme() if asked.set == "phoneme" else garments()
    kind = ModelOrData if asked.study == "model_or_data" else LabelNoise
    name = f"{asked.study}_{asked.set}"
    with listen(lambda what, _done, total: None if total else print(what, flush=True)):
        found = kind(seeds=asked.seeds, most=asked.most).run(
            ds, journal=asked.journal / f"{name}.jsonl", minutes=asked.minutes, seed=0
        )
    (asked.journal / f"{name}.html").write_text(found.page, "utf-8")
    said = conclusion if asked.study == "model_or_data" else conclusion_of_noise
    print(said(found.body))
    kept = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    command = f"python benchmarks/wrong_labels.py --set {asked.set} --study {asked.study} --seeds {asked.seeds}"
    kept[name] = {
        "command": f"{command} --most {asked.most}", "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "note": "a small run: few training samples and seeds, each seed with its own split; no basis for other data",
        **found.body,
    }  # fmt: skip
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
