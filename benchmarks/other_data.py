"""How good are the trainers of tables, texts, series and sounds, beside what is published or was measured elsewhere?

    SCARCE_DATA=... python benchmarks/other_data.py [tables] [texts] [series] [sounds]

Accuracy on the official test split; for tables average precision of the rare class, stratified five folds. ``CPU`` is
processor seconds of training and prediction, which says more than wall time on a shared machine.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold

from scarce import io, modality, train
from scarce.dataset import Array, Dataset
from scarce.train.gradient_boosting import GradientBoosting
from scarce.train.logmel_network import LogmelNetwork
from scarce.train.minirocket import Minirocket
from scarce.train.tfidf_linear import TfidfLinear

DATA = Path(os.environ.get("SCARCE_DATA", "../shared/data"))
RESULT = Path(__file__).parent / "results" / "other_data.json"
BESIDE = {
    "mammography": "0.743 gradient boosting, 0.551 logistic (average precision)",
    "oil_spill": "0.572 gradient boosting, 0.539 logistic (average precision)",
    "phoneme": "0.897 gradient boosting, 0.583 logistic (average precision)",
    "trec": "0.890 word TF-IDF and logistic regression",
    "sst2": "0.810 word TF-IDF and logistic regression",
    "GunPoint": "0.913 1-NN", "ECG200": "0.880 1-NN", "Trace": "0.760 1-NN", "ItalyPowerDemand": "0.955 1-NN",
    "audio_digits": "0.987 log-band energies and logistic regression",
    "audio_digits, new speaker": "none published",
}  # fmt: skip


def read(path: str) -> Dataset:
    return modality.scan(io.read(DATA / path))


def tables() -> Iterator[tuple[str, float, float]]:
    for name in ("oil_spill", "phoneme", "mammography"):
        ds = read(f"tabular_imbalanced/{name}.csv")
        labels, found, started = ds["label"], [], time.process_time()
        for inside, outside in StratifiedKFold(5, shuffle=True, random_state=0).split(labels, labels):
            view = ds.fold(ds.ids[inside], ds.ids[outside])
            probs = train.fit(view, GradientBoosting(folds=0), seed=0).predict_proba(view.eval)
            found.append(average_precision_score(view.eval["label"], probs[:, 1]))
        yield name, float(np.mean(found)), time.process_time() - started


def held_out(ds: Dataset, trainer: train.AbstractTrainer, test: Array) -> tuple[float, float]:
    started = time.process_time()
    view = ds.fold(ds.ids[~test & (ds["split"] != "val")], ds.ids[test])
    right = train.fit(view, trainer, seed=0).predict_proba(view.eval).argmax(1) == view.eval["label"]
    return float(right.mean()), time.process_time() - started


def texts() -> Iterator[tuple[str, float, float]]:
    for name in ("trec", "sst2"):
        ds = read(f"text_small/{name}.csv")
        yield name, *held_out(ds, TfidfLinear(folds=0), ds["split"] == "test")


def series() -> Iterator[tuple[str, float, float]]:
    for name in ("GunPoint", "ECG200", "Trace", "ItalyPowerDemand"):
        ds = read(f"time_series/{name}.npz")
        yield name, *held_out(ds, Minirocket(folds=0), ds["split"] == "test")


def sounds() -> Iterator[tuple[str, float, float]]:
    ds = modality.scan(io.read(DATA / "audio_digits" / "index.csv", label="digit"))
    trainer = LogmelNetwork(epochs=12)
    yield "audio_digits", *held_out(ds, trainer, ds["split"] == "test")
    yield "audio_digits, new speaker", *held_out(ds, trainer, ds["meta.speaker"] == "theo")


def main(wanted: list[str]) -> None:
    parts = {"tables": tables, "texts": texts, "series": series, "sounds": sounds}
    done = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    for part in wanted or parts:
        for name, score, seconds in parts[part]():
            done[name] = {"score": round(score, 4), "cpu_seconds": round(seconds, 1), "beside": BESIDE[name]}
            print(f"{name:28} {score:.4f}  {seconds:6.1f} s CPU  beside {BESIDE[name]}", flush=True)
            RESULT.write_text(json.dumps(done, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
