"""Real votes with gold truth, as matrices."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from scarce.faults.annotator_noise import annotate, confusion_of


def read_crowd(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Gold (N,) and votes (N, W) of one crowd."""
    gold = {row["item"]: int(row["truth"]) for row in csv.DictReader((folder / "gold.csv").open(encoding="utf-8"))}
    rows = [row for row in csv.DictReader((folder / "votes.csv").open(encoding="utf-8")) if row["item"] in gold]
    items = {name: place for place, name in enumerate(gold)}
    workers = {name: place for place, name in enumerate(sorted({row["worker"] for row in rows}))}
    votes = np.full((len(items), len(workers)), -1)
    for row in rows:
        votes[items[row["item"]], workers[row["worker"]]] = int(row["label"])
    return np.array(list(gold.values())), votes


def read_rules(path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Texts, gold (N,) and votes (N, 10) of the rules over YouTube comments."""
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    votes = np.array([[int(row[f"lf{j}"]) for j in range(10)] for row in rows])
    return [row["text"] for row in rows], np.array([int(row["label"]) for row in rows]), votes


def shared_credit(probs: np.ndarray, truth: np.ndarray) -> float:
    """Accuracy where tied classes share the credit."""
    top = probs >= probs.max(axis=1, keepdims=True) - 1e-6
    return float((top[np.arange(len(truth)), truth] / top.sum(axis=1)).mean())


def drawn(n: int = 600, k: int = 3, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truth (n,) and votes (n, 6): four careful annotators, one random, one who says the next class."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(k, n, p=np.array([0.6, 0.3, 0.1]) if k == 3 else None)
    people = [confusion_of("symmetric", k, 0.15)] * 4 + [
        confusion_of("careless", k, 1.0),
        confusion_of("neighbor", k, 0.9),
    ]
    return truth, np.asarray(annotate(truth, np.stack(people), missing=0.3, seed=seed))
