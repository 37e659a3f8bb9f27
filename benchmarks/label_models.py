"""Are our label models as right as the peers' ones, faster, and with less memory?

    python benchmarks/label_models.py [--size 1000000x20] [--classes 2] [--rounds 3]

Peers (snorkel, crowd-kit) and ours run in the same process on the same drawn votes, about 30 % of the cells filled;
ours runs several times and the best counts, a peer once. Seconds are wall and processor time; extra memory of ours is
what NumPy asked for at the peak (result included), that of a peer is resident, sampled every 2 ms. Accuracy is that on
samples with a vote, tied classes sharing the credit. Then real crowds with gold truth (shared data, crowd_votes) beside
the figures that Zheng et al. published in 2017 (PVLDB 10(5), table 6; from memory). Results are kept in
benchmarks/results/label_models.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from scarce.label import rule, vote

ROOT = Path(__file__).parents[1]
PUBLISHED = {("product", "majority"): 0.8966, ("product", "dawid_skene"): 0.9366}
FLOOR_BYTES_PER_SECOND = 10e9


def drawn(n: int, m: int, k: int, *, cover: float = 0.3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    prior = rng.dirichlet(np.full(k, 3.0))
    truth = rng.choice(k, n, p=prior).astype(np.int8)
    accuracy = rng.uniform(0.45, 0.92, m)
    votes = np.full((n, m), -1, np.int8)
    for j in range(m):
        on, right = rng.random(n) < cover * rng.uniform(0.3, 1.7), rng.random(n) < accuracy[j]
        wrong = ((truth + rng.integers(1, k, n)) % k).astype(np.int8)
        votes[on, j] = np.where(right, truth, wrong)[on]
    return truth, votes


def resident() -> float:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def timed(work: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    base, top, stop = resident(), [0.0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.002):
            top[0] = max(top[0], resident() - base)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    stop.set()
    thread.join()
    return {
        "seconds": round(wall, 4),
        "cpu_seconds": round(processor, 4),
        "extra_mib": round(max(top[0], 0), 1),
    }, result


def traced(work: Callable[[], Any]) -> float:
    """Peak MiB that NumPy and Python asked for: unlike resident memory it counts what an earlier run gave back."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return round(peak / 2**20, 1)


def credit(probs: np.ndarray, truth: np.ndarray) -> float:
    top = probs >= probs.max(axis=1, keepdims=True) - 1e-6
    return float((top[np.arange(len(truth)), truth] / top.sum(axis=1)).mean())


def of_label(codes: np.ndarray, k: int) -> np.ndarray:
    return np.eye(k, dtype=np.float32)[codes]


def peers(votes: np.ndarray, k: int) -> dict[str, Callable[[], np.ndarray]]:
    def crowd(name: str, **settings: Any) -> Callable[[], np.ndarray]:
        def work() -> np.ndarray:
            import crowdkit.aggregation as kit
            import pandas as pd

            item, worker = np.nonzero(votes >= 0)
            table = pd.DataFrame({"task": item, "worker": worker, "label": votes[item, worker].astype(int)})
            found = getattr(kit, name)(**settings).fit_predict(table)
            out = np.zeros(len(votes), int)
            out[found.index.to_numpy()] = found.to_numpy()
            return of_label(out, k)

        return work

    def snorkel() -> np.ndarray:
        from snorkel.labeling.model import LabelModel

        model = LabelModel(cardinality=k, verbose=False)
        model.fit(votes.astype(int), n_epochs=100, seed=0, progress_bar=False)
        return np.asarray(model.predict_proba(votes.astype(int)))

    return {
        "snorkel LabelModel, 100 epochs": snorkel,
        "crowd-kit MajorityVote": crowd("MajorityVote"),
        "crowd-kit DawidSkene, 10 iterations": crowd("DawidSkene", n_iter=10),
    }


AGAINST = {
    "majority": "crowd-kit MajorityVote", "dawid_skene": "crowd-kit DawidSkene, 10 iterations",
    "generative": "snorkel LabelModel, 100 epochs", "triplet": "snorkel LabelModel, 100 epochs",
    "weighted": "snorkel LabelModel, 100 epochs", "one_coin": "crowd-kit DawidSkene, 10 iterations",
    "mace": "crowd-kit DawidSkene, 10 iterations",
}  # fmt: skip
OURS: dict[str, Callable[..., Any]] = {
    "majority": vote.fit_majority, "dawid_skene": vote.fit_dawid_skene, "generative": rule.fit_generative,
    "triplet": rule.fit_triplet, "weighted": rule.fit_weighted, "one_coin": vote.fit_one_coin, "mace": vote.fit_mace,
}  # fmt: skip


def speed(n: int, m: int, k: int, rounds: int) -> dict[str, Any]:
    truth, votes = drawn(n, m, k)
    seen = (votes >= 0).any(axis=1)
    out: dict[str, Any] = {}
    for name, fit in OURS.items():
        fit(votes[:70_000], k)  # compiled
        runs = [timed(lambda fit=fit: fit(votes, k)) for _ in range(rounds)]
        best = min((run[0] for run in runs), key=lambda row: row["seconds"])
        best["cpu_seconds"] = min(run[0]["cpu_seconds"] for run in runs)
        best["extra_mib"] = traced(lambda fit=fit: fit(votes, k))
        fitted = runs[0][1]
        accuracy, floor = credit(fitted.posterior[seen], truth[seen]), votes.nbytes / FLOOR_BYTES_PER_SECOND
        out[name] = {**best, "accuracy": round(accuracy, 5), "passes": fitted.iterations,
                     "over_floor": round(best["seconds"] / floor, 1)}  # fmt: skip
        print(f"  {name:12} {out[name]}", flush=True)
    for name, work in peers(votes, k).items():
        try:
            row, probs = timed(work)
        except ImportError as error:
            print(f"  {name}: not installed ({error})")
            continue
        out[name] = {**row, "accuracy": round(credit(probs[seen], truth[seen]), 5)}
        print(f"  {name:36} {out[name]}", flush=True)
    for name, other in AGAINST.items():
        if other in out:
            ratio = out[other]["seconds"] / out[name]["seconds"]
            cpu = out[other]["cpu_seconds"] / out[name]["cpu_seconds"]
            out[name] |= {"times_faster": round(ratio, 1), "times_less_cpu": round(cpu, 1), "than": other}
            print(f"{ratio:8.1f}x (cpu {cpu:.1f}x) {name} against {other}")
    return out


def crowds(folder: Path) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, k in (("product", 2), ("face", 4)):
        gold = {row["item"]: int(row["truth"]) for row in csv.DictReader((folder / name / "gold.csv").open())}
        rows = [row for row in csv.DictReader((folder / name / "votes.csv").open()) if row["item"] in gold]
        items = {item: place for place, item in enumerate(gold)}
        workers = {who: place for place, who in enumerate(sorted({row["worker"] for row in rows}))}
        votes = np.full((len(items), len(workers)), -1)
        for row in rows:
            votes[items[row["item"]], workers[row["worker"]]] = int(row["label"])
        truth = np.array(list(gold.values()))
        for method in ("majority", "dawid_skene", "one_coin", "mace", "glad"):
            found = getattr(vote, f"fit_{method}")(votes, k).posterior
            told = found.argmax(axis=1)
            hit = ((told == 1) & (truth == 1)).sum()
            f1 = 2 * hit / max((told == 1).sum() + (truth == 1).sum(), 1) if k == 2 else None
            published = PUBLISHED.get((name, method))
            out[f"{name} {method}"] = {"accuracy": round(credit(found, truth), 4), "published": published,
                                       "f1": None if f1 is None else round(float(f1), 4)}  # fmt: skip
            print(f"  {name:8} {method:12} {out[f'{name} {method}']}")
    return out


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--size", default="1000000x20")
    options.add_argument("--classes", default="2")
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    warnings.filterwarnings("ignore")
    n, m = map(int, given.size.split("x"))
    body: dict[str, Any] = {
        "seed": 0, "cores": len(os.sched_getaffinity(0)), "python": platform.python_version(),
        "versions": {name: installed(name) for name in ("numpy", "numba", "snorkel", "crowd-kit", "torch")},
    }  # fmt: skip
    for k in map(int, given.classes.split(",")):
        print(f"{given.size}, K = {k}")
        body[f"{given.size} K={k}"] = speed(n, m, k, given.rounds)
    folder = Path(os.environ.get("SCARCE_DATA", ROOT.parent / "shared" / "data")) / "crowd_votes"
    if folder.is_dir():
        body["crowds"] = crowds(folder)
    place = ROOT / "benchmarks" / "results" / "label_models.json"
    place.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
