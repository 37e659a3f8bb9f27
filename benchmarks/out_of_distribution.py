"""How fast does each detector of foreign samples learn and score, against the matrix products that it cannot avoid?

`python benchmarks/out_of_distribution.py [--cache FOLDER] [--seed 0]` fits every detector on the features and logits of
5,000 Fashion-MNIST pictures and scores 10,000 (held-back and test ones) as a small trained network sees them. Processor
seconds, the best of five; the floor is the detector's own matrix products in float32, timed in the same run. Writes
`results/out_of_distribution.json`. How well they find foreign samples is what `scarce study out-of-distribution` asks.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fashion import answered, hardware

from scarce.evaluate.guard import Known, fitted
from scarce.train.model import versions

RESULTS = Path(__file__).parent / "results" / "out_of_distribution.json"
FITTED, SCORED, REPEATS = 5000, 10_000, 5


def best(call: Callable[[], Any]) -> float:
    """Return the fewest processor seconds of some calls."""
    found = []
    for _ in range(REPEATS):
        begun = time.process_time()
        call()
        found.append(time.process_time() - begun)
    return min(found)


def products(name: str, state: dict[str, Any], rows: np.ndarray) -> Callable[[], Any] | None:
    """Return what multiplies a detector's matrices with the features, or None where it has none."""
    wanted = {"knn": ("bank",), "mahalanobis": ("whitening", "background"), "vim": ("rest",)}.get(name, ())
    parts = [np.asarray(state[key], np.float32) for key in wanted if key in state]
    parts = [part.T if name == "knn" else part for part in parts]
    return (lambda: [rows @ part for part in parts]) if parts else None


def main() -> None:
    """Fit and score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    found = answered(asked.cache, seed=asked.seed)
    known = Known(logits=found["train_logits"][:FITTED], features=found["train_features"][:FITTED],
                  labels=found["train_labels"][:FITTED].astype(np.int64))  # fmt: skip
    logits = np.concatenate([found["val_logits"], found["test_logits"]])[:SCORED]
    features = np.concatenate([found["val_features"], found["test_features"]])[:SCORED]
    rows, table = features.astype(np.float32), {}
    for name, one in fitted(known).items():
        learn = best(lambda one=one: one.fit(known.features, known.logits, known.labels))
        score = best(lambda one=one: one.score(features, logits))
        floor = products(name, dict(one.state), rows)
        least = best(floor) if floor else None
        table[name] = {
            "fit_seconds": round(learn, 4), "score_seconds": round(score, 4),
            "floor_seconds": None if least is None else round(least, 4),
            "over_floor": None if least is None else round(score / max(least, 1e-6), 1),
        }  # fmt: skip
        print(f"{name:14} {table[name]}", flush=True)
    body = {
        "question": (__doc__ or "").partition("\n")[0], "fitted": len(known.labels), "scored": len(logits),
        "dimensions": features.shape[1], "classes": logits.shape[1], "detectors": table, "hardware": hardware(),
        "versions": versions(),
    }  # fmt: skip
    RESULTS.write_text(json.dumps(body, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
