"""Does our evidence find the wrong labels of a rare class better than cleanlab does?

    python benchmarks/rare_label_error.py [--sets tiles garments] [--seeds 20] [--rates .02 .05 .1 .2] [--out FILE]

Real photos with a rare class: magnetic tiles (fray 32 or crack 57 of 1,344, folds and neighbors never cut a tile) and
garments (each class in turn with 50 beside 250 of every other). A share of the rare class is given another label, and
as many others are given the rare one. Every method ranks the samples that carry or are suggested the rare label; the
rest stands behind. Average precision and precision at k (k = number of wrong labels) of that list.

Peers in the same run: cleanlab's ranking by self-confidence and by normalized margin on the same out-of-fold
probabilities of the probe that we also use, and on those of scikit-learn's logistic regression, its usual model.
Differences are paired over seeds, with 95 % bootstrap intervals. Needs cleanlab; results are kept in
benchmarks/results/rare_label_error.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from scarce import encode, io, probe
from scarce.audit.label_error import judge_labels, label_evidence

HERE = Path(__file__).parent
WIDTH = 256
PEERS = ("cleanlab self-confidence", "cleanlab margin", "cleanlab logistic regression")


def reduced(features: np.ndarray) -> np.ndarray:
    """The leading principal components, turned at random so that standardizing columns leaves their lengths alone."""
    centered = features - features.mean(axis=0)
    basis = np.linalg.eigh(centered.T @ centered)[1][:, -WIDTH:]
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((WIDTH, WIDTH)))[0]
    return (centered @ basis @ turn).astype(np.float32)


def read(name: str, data: Path, cache: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, tuple[str, ...]]:
    place = data / "magnetic_tile" if name == "tiles" else HERE.parent / "examples" / "garments" / "garments.parquet"
    ds = encode.run(io.read(place / "images" if name == "tiles" else place), "efficientnet_lite0", cache=cache)
    features = reduced(np.asarray(ds.wide["embedding.efficientnet_lite0"], np.float32))
    if name != "tiles":
        return features, ds["label"], None, ds.schema.classes
    with (place / "index.csv").open(encoding="utf-8") as lines:
        tile = {row["image"].partition("/")[2]: row["tile_group"] for row in csv.DictReader(lines)}
    return features, ds["label"], np.array([tile[uri] for uri in ds["uri"]]), ds.schema.classes


def draw(labels: np.ndarray, name: str, classes: tuple[str, ...], seed: int) -> tuple[np.ndarray, int]:
    """The rows of one round and its rare class."""
    if name == "tiles":
        return np.arange(len(labels)), classes.index(("fray", "crack")[seed % 2])
    rng, rare = np.random.default_rng([seed, 1]), seed % len(classes)
    sizes = [50 if code == rare else 250 for code in range(len(classes))]
    parts = [rng.permutation(np.flatnonzero(labels == code))[:size] for code, size in enumerate(sizes)]
    return np.concatenate(parts), rare


def spoiled(labels: np.ndarray, rare: int, rate: float, seed: int) -> np.ndarray:
    rng, given = np.random.default_rng([seed, 2]), labels.copy()
    inside = np.flatnonzero(labels == rare)
    count = max(1, round(rate * len(inside)))
    others = [code for code in range(int(labels.max()) + 1) if code != rare]
    given[rng.choice(inside, count, replace=False)] = rng.choice(others, count)
    given[rng.choice(np.flatnonzero(labels != rare), count, replace=False)] = rare
    return given


def logistic(features: np.ndarray, given: np.ndarray, groups: np.ndarray | None, seed: int) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fold, k = probe.fold_of(given, groups, 5, seed=seed), int(given.max()) + 1
    out = np.full((len(given), k), 1e-9)
    for one in range(5):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(features[fold != one], given[fold != one])
        out[np.ix_(fold == one, model[-1].classes_)] = model.predict_proba(features[fold == one])
    return out / out.sum(axis=1, keepdims=True)


def judged(wrong: np.ndarray, score: np.ndarray, listed: np.ndarray) -> tuple[float, float]:
    """Average precision and precision at k of the list."""
    order = np.argsort(np.where(listed, -score, np.inf), kind="stable")
    hit = wrong[order] & listed[order]
    precision = np.cumsum(hit)[hit] / (np.flatnonzero(hit) + 1)
    return float(precision.sum() / wrong.sum()), float(hit[: wrong.sum()].mean())


def ranked_by_cleanlab(given: np.ndarray, probs: np.ndarray, wrong: np.ndarray, rare: int, by: str) -> Any:
    from cleanlab.rank import get_label_quality_scores

    other = probs.copy()
    other[np.arange(len(given)), given] = -1
    listed = (given == rare) | (other.argmax(axis=1) == rare)
    return judged(wrong, 1 - get_label_quality_scores(given, probs, method=by), listed)


def one(data: tuple[Any, ...], name: str, rate: float, seed: int) -> dict[str, tuple[float, float]]:
    features, labels, groups, classes = data
    rows, rare = draw(labels, name, classes, seed)
    x, true = features[rows], labels[rows]
    given, part = spoiled(true, rare, rate, seed), None if groups is None else groups[rows]
    wrong, k = given != true, len(classes)
    start = time.perf_counter()
    own = judge_labels(given, label_evidence(x, given, k, groups=part, seed=seed), seed=seed)
    seconds = time.perf_counter() - start
    probs = probe.cross_val_probs(x, given, k, groups=part, seed=seed)
    probs /= probs.sum(axis=1, keepdims=True)
    usual = logistic(x, given, part, seed)
    return {
        "own": judged(wrong, own.wrong, (given == rare) | (own.suggested == rare)),
        PEERS[0]: ranked_by_cleanlab(given, probs, wrong, rare, "self_confidence"),
        PEERS[1]: ranked_by_cleanlab(given, probs, wrong, rare, "normalized_margin"),
        PEERS[2]: ranked_by_cleanlab(given, usual, wrong, rare, "self_confidence"),
        "seconds": (seconds, seconds),
    }


def interval(difference: np.ndarray) -> list[float]:
    rng = np.random.default_rng(0)
    means = rng.choice(difference, (4000, len(difference))).mean(axis=1)
    return [round(float(value), 3) for value in np.quantile(means, [0.025, 0.975])]


def summary(runs: list[dict[str, tuple[float, float]]]) -> dict[str, Any]:
    table = {name: np.array([run[name] for run in runs]) for name in runs[0]}
    out: dict[str, Any] = {}
    for peer in PEERS:
        ahead = table["own"][:, 0] - table[peer][:, 0]
        out[f"average precision ahead of {peer}"] = [round(float(ahead.mean()), 3), *interval(ahead)]
    for name in ("own", *PEERS):
        out[name] = {
            "average_precision": round(float(table[name][:, 0].mean()), 3),
            "precision_at_k": round(float(table[name][:, 1].mean()), 3),
        }
    return out | {"own_seconds": round(float(table["seconds"][:, 0].mean()), 2), "rounds": len(runs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["tiles", "garments"])
    parser.add_argument("--rates", nargs="+", type=float, default=[0.02, 0.05, 0.1, 0.2])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SCARCE_DATA", "../shared/data")))
    parser.add_argument("--cache", type=Path, default=Path(".benchmark-features"))
    parser.add_argument("--out", type=Path, default=HERE / "results" / "rare_label_error.json")
    options = parser.parse_args()
    rows = []
    for name in options.sets:
        data, every = read(name, options.data, options.cache), []
        for rate in options.rates:
            runs = [one(data, name, rate, seed) for seed in range(options.seeds)]
            every += runs
            rows.append({"data": name, "rate": rate} | summary(runs))
            print(json.dumps(rows[-1]), flush=True)
        rows.append({"data": name, "rate": "all"} | summary(every))
        print(json.dumps(rows[-1]), flush=True)
        result = {
            "question": "wrong labels into and out of a rare class, beside cleanlab", "seeds": options.seeds,
            "machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version(),
            "versions": {package: version(package) for package in ("numpy", "scikit-learn", "cleanlab")}, "rows": rows,
        }  # fmt: skip
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
