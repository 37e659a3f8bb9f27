"""Does the interval of the label quality hold the truth, on human and synthetic label errors with known answers?

    SCARCE_DATA=../shared/data python benchmarks/quality.py [--draws 25]

Draws of 500 to 50,000 labels; for each: does the interval hold the share of labels that is truly right, with and
without the doubt of the model? Results are kept in benchmarks/results/quality.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np

from scarce.audit.label_error import judge_labels
from scarce.quality import bounds

SETS = ("cifar10n_aggregate", "cifar10_synthetic")
SIZES = (500, 2000, 10_000, 50_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=25)
    draws = parser.parse_args().draws
    base = Path(os.environ.get("SCARCE_DATA", Path(__file__).parents[2] / "shared" / "data")) / "label_error"
    rng, rows = np.random.default_rng(0), []
    for name in SETS:
        data = np.load(base / f"{name}_resnet18.npz")
        probs = data["pred_probs"].astype(np.float64)
        probs /= probs.sum(axis=1, keepdims=True)
        for n in SIZES:
            found = []
            for _ in range(1 if n == len(probs) else draws):
                at = rng.permutation(len(probs))[:n]
                wrong = judge_labels(data["given"][at], probs[at]).wrong
                truth = float((data["given"][at] == data["true"][at]).mean())
                value, doubt = 1 - float(wrong.mean()), float(np.minimum(wrong, 1 - wrong).mean())
                low, high = bounds(value, n, n)
                wide = bounds(value, n, n, doubt=doubt)
                found.append((value, truth, wide[1] - wide[0], wide[0] <= truth <= wide[1], low <= truth <= high))
            value, truth, width, held, without = np.mean(found, axis=0)
            figures = {"quality": value, "truth": truth, "width": width, "held": held, "held_without_doubt": without}
            told = {key: round(float(figure), 4) for key, figure in figures.items()}
            rows.append({"set": name, "n": n, "draws": len(found), **told})
            print(rows[-1], flush=True)
    body = {"rows": rows, "seed": 0, "python": platform.python_version(), "numpy": version("numpy"),
            "machine": platform.machine()}  # fmt: skip
    place = Path(__file__).parent / "results" / "quality.json"
    place.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
