"""A trial's sequential test on answers of two real models: how often it errs, and how many labels it takes.

    python benchmarks/trial.py PROJECT FIRST SECOND [--streams 1000] [--out FILE]

PROJECT has test samples and the models FIRST and SECOND. Streams of production are drawn from the test samples with the
class mix of the training samples, one label after the other, and the trial is looked at after each of the first 3,000.
Errors: the margin is set to the very loss of the worse model, so that "not worse" and "worse" are both
wrong. Beside it stands the fixed-sample test of `scarce promote` (Tango's score bounds), looked at every 25 labels in
the same way, which is not made for it. Labels needed: at the margins that a user has, for both models in each role.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from scarce.flywheel._trial import _differences
from scarce.metric.paired import gain_bounds
from scarce.metric.sequential import STAKES
from scarce.project import Project
from scarce.train import load

LABELS = 3000
LEVEL = 0.05
SHARES = (None, 0.5, 0.1)
MARGINS = (0.05, 0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("models", nargs=2)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    right, weights, classes = answers(given.project, given.models)
    body: dict = {
        "project": given.project.name, "models": given.models, "test_samples": len(weights), "classes": classes,
        "streams": given.streams, "labels": LABELS, "level": LEVEL,
        "right_in_production": [float(weights @ side) for side in right],
        "both_differ_in_rightness_on": float(weights @ (right[0] != right[1])), "errors": [], "labels_needed": [],
    }  # fmt: skip
    rng = np.random.default_rng(0)
    gap = abs(float(weights @ right[1].astype(float) - weights @ right[0].astype(float)))
    worse = (right[0], right[1]) if weights @ right[1] < weights @ right[0] else (right[1], right[0])
    for share in SHARES:
        streams = [stream(worse, weights, share, rng) for _ in range(given.streams)]
        row = {"mode": "shadow" if share is None else f"share {share:g}", "margin": gap}
        row["not_worse"] = float(np.mean([first(values, reach, gap)[0] is not None for values, reach in streams]))
        row["worse"] = float(np.mean([first(values, reach, gap)[1] is not None for values, reach in streams]))
        if share is None:
            peeked = [fixed(values, gap) for values, _ in streams[:200]]
            row["fixed_sample_test_not_worse"] = float(np.mean([low for low, _ in peeked]))
            row["fixed_sample_test_worse"] = float(np.mean([high for _, high in peeked]))
        body["errors"].append(row)
        print(json.dumps(row), flush=True)
    for champion, challenger in ((0, 1), (1, 0)):
        for margin in MARGINS:
            for share in SHARES:
                streams = [stream((right[champion], right[challenger]), weights, share, rng)
                           for _ in range(given.streams // 4)]  # fmt: skip
                found = [first(values, reach, margin) for values, reach in streams]
                row = {"champion": given.models[champion], "challenger": given.models[challenger], "margin": margin,
                       "mode": "shadow" if share is None else f"share {share:g}",
                       "truth": float(weights @ right[challenger] - weights @ right[champion])}  # fmt: skip
                for name, side in (("not_worse", 0), ("worse", 1)):
                    at = [one[side] for one in found]
                    row[f"{name}_within_{LABELS}"] = float(np.mean([place is not None for place in at]))
                    known = np.sort([LABELS + 1 if place is None else place for place in at])
                    for text, part in (("median", 0.5), ("of_nine_in_ten", 0.9)):
                        value = int(known[int(part * (len(known) - 1))])
                        row[f"{name}_labels_{text}"] = value if value <= LABELS else None
                body["labels_needed"].append(row)
                print(json.dumps(row), flush=True)
    if given.out is not None:
        given.out.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


def answers(folder: Path, names: list[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return (2, N) whether each model is right on each test sample, and the samples' weights in production."""
    with Project.open(folder) as project:
        ds = project.dataset()
        held = ds.take(np.flatnonzero(ds["split"] == "test"))
        models = [load(project.models / name) for name in names]
        counts = np.bincount(ds["label"][ds["split"] == "train"], minlength=len(ds.schema.classes))
    labels = held["label"]
    right = []
    for model in models:
        said = np.array(model.classes)[model.logits(held).argmax(1)]
        right.append(said == np.array(ds.schema.classes)[labels])
    weights = (counts / np.bincount(labels, minlength=len(counts)))[labels]
    return np.array(right), weights / weights.sum(), list(ds.schema.classes)


def stream(
    right: tuple[np.ndarray, np.ndarray], weights: np.ndarray, share: float | None, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Return values of the labels in order, and how large they may be."""
    drawn = rng.choice(len(weights), LABELS, p=weights)
    if share is None:
        return right[1][drawn].astype(float) - right[0][drawn], 1.0
    asked = rng.random(LABELS) < share
    seen = np.where(asked, right[1][drawn], right[0][drawn]).astype(float)
    return _differences(seen, asked, np.full(LABELS, share)), 1 / min(share, 1 - share)


def first(values: np.ndarray, reach: float, margin: float) -> tuple[int | None, int | None]:
    """Return after how many labels "not worse" and "worse" are said for the first time."""
    found = []
    for sign, mean in ((1, reach - margin), (-1, reach + margin)):
        unit, level = (sign * values + reach) / (2 * reach), mean / (2 * reach)
        gains = np.cumsum(np.log1p(STAKES * (unit[:, None] / level - 1)), axis=0)
        purse = np.logaddexp.reduce(gains, axis=1) - np.log(len(STAKES))
        over = np.flatnonzero(purse >= np.log(1 / LEVEL))
        found.append(int(over[0]) + 1 if len(over) else None)
    return found[0], found[1]


def fixed(values: np.ndarray, margin: float) -> tuple[bool, bool]:
    """Return whether the bounds of a fixed-sample test ever say "not worse", or "worse", if looked at every 25."""
    said = [False, False]
    for n in range(25, LABELS + 1, 25):
        low, high = gain_bounds(float((values[:n] < 0).sum()), float((values[:n] > 0).sum()), n)
        said = [said[0] or low > -margin, said[1] or high < -margin]
    return said[0], said[1]


if __name__ == "__main__":
    main()
