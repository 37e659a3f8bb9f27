"""Outliers mixed into real data: three methods beside raw neighbor distance, and false alarms on clean data.

python benchmarks/outlier.py [--data ../shared/data]

Pictures: garments (pixel features) with tiles and circuit boards; tables: mammography with rows whose columns were
dealt anew; series: wafers with heartbeats. 2 % are foreign, three seeds; foreign samples carry the labels of those that
they replace.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
from sklearn.metrics import roc_auc_score

from scarce.audit.outlier import isolation_score, local_outlier_factor, neighbor_distance, outlier_score

ROOT = Path(__file__).parents[1]
METHODS = {
    "neighbor": lambda rows: neighbor_distance(rows, neighbors=10),
    "isolation_forest": lambda rows: isolation_score(rows)[0],
    "local_outlier_factor": lambda rows: local_outlier_factor(rows)[0],
}
SEEDS = 3
RATES = (0.05, 0.01, 0.001)


def pictures(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = pq.read_table(ROOT / "examples/garments/garments.parquet").slice(0, 1000).to_pydict()
    cells = [cell["bytes"] if isinstance(cell, dict) else cell for cell in table["image"]]
    images = [cv2.imdecode(np.frombuffer(cell, np.uint8), cv2.IMREAD_GRAYSCALE) for cell in cells]
    paths = (
        sorted((data / "magnetic_tile/images").rglob("*.jpg"))[::20]
        + sorted((data / "deep_pcb/template").rglob("*.jpg"))[::25]
    )
    foreign = [
        cv2.resize(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), (28, 28), interpolation=cv2.INTER_AREA)
        for path in paths
    ]
    labels = np.unique(table["label"], return_inverse=True)[1]
    return (*(np.array([image.ravel() for image in part], np.float32) / 255 for part in (images, foreign)), labels)  # type: ignore[return-value]


def rows(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = np.genfromtxt(data / "tabular_imbalanced/mammography.csv", delimiter=",", skip_header=1)
    rare = np.flatnonzero(table[:, -1] == 1)[:100]
    table = table[np.r_[rare, np.flatnonzero(table[:, -1] == 0)[:2400]]]
    features = (table[:, :-1] - table[:, :-1].mean(0)) / table[:, :-1].std(0)
    foreign = np.random.default_rng(0).permuted(features[table[:, -1] == 1] * [1, 1, -1, 1, -1, 1], axis=1)
    return features.astype(np.float32), foreign.astype(np.float32), table[:, -1].astype(int)


def series(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    wafer, heart = (np.load(data / "time_series" / f"{name}.npz") for name in ("Wafer", "ECG200"))
    key, label = (
        next(k for k in wafer if k.lower().startswith("x")),
        next(k for k in wafer if k.lower().startswith("y")),
    )
    waves, beats = np.asarray(wafer[key], np.float32).reshape(len(wafer[key]), -1), np.asarray(heart[key], np.float32)
    beats = beats.reshape(len(beats), -1)
    grid = np.linspace(0, 1, waves.shape[1])
    foreign = np.array([np.interp(grid, np.linspace(0, 1, beats.shape[1]), beat) for beat in beats], np.float32)
    return waves, foreign, np.unique(wafer[label], return_inverse=True)[1]


def judged(features: np.ndarray, foreign: np.ndarray, labels: np.ndarray, method: str) -> dict[str, object]:
    found = {
        "auroc": [],
        "auroc_without_classes": [],
        "precision_at_count": [],
        "precision_flagged": [],
        "recall_flagged": [],
    }
    rare = int(np.bincount(labels).argmin())
    started = time.perf_counter()
    clean = METHODS[method](features)
    seconds = time.perf_counter() - started
    score, alone = outlier_score(clean, labels), outlier_score(clean)
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        places = rng.choice(len(features), max(5, len(features) // 50), replace=False)
        truth, bad = np.zeros(len(features), bool), features.copy()
        truth[places], bad[places] = True, foreign[rng.integers(0, len(foreign), len(places))]
        strange = METHODS[method](bad)
        value = outlier_score(strange, labels)
        flagged = value >= 0.99
        found["auroc"].append(roc_auc_score(truth, value))
        found["auroc_without_classes"].append(roc_auc_score(truth, strange))
        found["precision_at_count"].append(truth[np.argsort(-value)[: len(places)]].mean())
        found["precision_flagged"].append((truth & flagged).sum() / max(flagged.sum(), 1))
        found["recall_flagged"].append((truth & flagged).sum() / truth.sum())
    top = [float((part[labels == rare] >= np.quantile(part, 0.95)).mean()) for part in (score, alone)]
    return {
        **{name: round(float(np.mean(values)), 3) for name, values in found.items()},
        "flagged_on_clean_data": {str(rate): round(float((score >= 1 - rate).mean()), 4) for rate in RATES},
        "rare_class_among_strangest_5_percent": {"by_class": round(top[0], 3), "without_classes": round(top[1], 3)},
        "seconds": round(seconds, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    data = parser.parse_args().data
    out: dict[str, object] = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "seeds": SEEDS,
        "foreign": 0.02,
    }
    for name, read in (("mammography", rows), ("wafer", series), ("garments", pictures)):
        features, foreign, labels = read(data)
        out[name] = {"n": len(features)} | {method: judged(features, foreign, labels, method) for method in METHODS}
        print(name, json.dumps(out[name], indent=1), flush=True)
    (ROOT / "benchmarks/results/outlier.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
