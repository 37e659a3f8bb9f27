"""How honest are an ordinary network's probabilities on Fashion-MNIST, before and after each calibration?

`python benchmarks/calibration.py [--cache FOLDER] [--seed 0]` trains a small network on 4,000 pictures, fits each
calibration on 5,000 that were held back, and measures the expected calibration error (15 adaptive bins) on 5,000 test
pictures, with a bootstrap interval over these. Writes `results/calibration.json`. The estimate is biased upward: even
perfect probabilities show an error, which is printed beside it (labels drawn from the probabilities themselves).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from fashion import answered, hardware

from scarce.evaluate import calibrator
from scarce.metric.calibration import expected_calibration_error
from scarce.train.model import versions

RESULTS = Path(__file__).parent / "results" / "calibration.json"
AIM, DRAWS = 0.01, 200


def main() -> None:
    """Fit and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    found = answered(asked.cache, seed=asked.seed)
    labels = found["test_labels"]
    rng, kinds = np.random.default_rng(asked.seed), {}
    for kind in calibrator.KINDS:
        begun = time.process_time()
        fitted = calibrator.fit(found["val_logits"], found["val_labels"], kind)
        seconds = time.process_time() - begun
        probs = fitted(found["test_logits"])
        drawn = [
            expected_calibration_error(labels, probs, weights=np.bincount(rows, minlength=len(labels)))
            for rows in rng.integers(0, len(labels), (DRAWS, len(labels)))
        ]
        honest = [
            expected_calibration_error((probs.cumsum(1) > rng.random((len(probs), 1))).argmax(1), probs)
            for _ in range(20)
        ]
        kinds[kind] = {
            "ece": round(expected_calibration_error(labels, probs), 4),
            "low": round(float(np.quantile(drawn, 0.025)), 4), "high": round(float(np.quantile(drawn, 0.975)), 4),
            "of_honest_probabilities": round(float(np.mean(honest)), 4), "fit_seconds": round(seconds, 4),
            "accuracy": round(float((probs.argmax(1) == labels).mean()), 4),
        }  # fmt: skip
        print(f"{kind:12} {kinds[kind]}", flush=True)
    body = {
        "question": (__doc__ or "").partition("\n")[0], "aim": AIM, "seed": asked.seed, "draws": DRAWS,
        "samples": {name: len(found[f"{name}_labels"]) for name in ("train", "val", "test")}, "kinds": kinds,
        "hardware": hardware(), "versions": versions(),
    }  # fmt: skip
    RESULTS.write_text(json.dumps(body, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
