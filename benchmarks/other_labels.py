"""Label errors of other shapes, on real data with planted errors, beside cleanlab.

Boxes: circuit boards (deep_pcb) with boxes dropped, moved, given another class or invented. The detector is a plain
comparison with the template whose classes come from cross-validation, so its predictions are out-of-sample.
Label sets: cut-outs of the same boxes in pairs, each pair with the set of its defects; entries flipped.
Numbers: diabetes progression (scikit-learn) and Friedman's function; values drawn from other rows.
Votes: the real face crowd with gold truth, where shared data is there.

Run it as ``python benchmarks/other_labels.py [--boards N] [--seeds S]``; figures are average precision (AP) of the
ranking unless they say otherwise.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from sklearn.metrics import average_precision_score

from scarce import probe
from scarce.audit import _shape
from scarce.audit._shape import Boxes
from scarce.audit.box_error import BoxError, box_features, box_issues
from scarce.audit.multi_label_error import cross_val_memberships, flag_multi_label_errors, multi_label_error_probability
from scarce.audit.number_error import cross_val_numbers, number_error_probability
from scarce.dataset import Dataset, Schema

HERE = Path(__file__).parent
DATA = Path(os.environ.get("SCARCE_DATA", HERE.parent.parent / "shared" / "data"))


def boards(n: int) -> tuple[Dataset, list[Boxes], tuple[str, ...], list[np.ndarray], np.ndarray]:
    """The boards, their boxes, the classes, the differences from the template, and the groups."""
    base = DATA / "deep_pcb"
    with (base / "pairs.csv").open() as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["id"])
    rows = rows[:: max(1, len(rows) // n)][:n]
    drawn: dict[str, list[dict[str, str]]] = {}
    with (base / "boxes.csv").open() as file:
        for box in csv.DictReader(file):
            drawn.setdefault(box["id"], []).append(box)
    names = tuple(sorted({box["class"] for some in drawn.values() for box in some}))
    given = []
    for row in rows:
        some = drawn.get(row["id"], [])
        corners = np.array([[float(box[key]) for key in ("x1", "y1", "x2", "y2")] for box in some]).reshape(-1, 4)
        given.append(
            Boxes(corners, np.array([names.index(box["class"]) for box in some], np.int64), np.ones(len(some)))
        )
    spots = []
    for row in rows:
        one, two = (cv2.imread(str(base / row[key]), 0) > 127 for key in ("tested_image", "template_image"))
        spots.append(regions(one ^ two))
    ds = Dataset.from_columns(
        Schema(),
        {"id": [row["id"] for row in rows], "uri": [row["tested_image"] for row in rows], "source": ["b"] * len(rows)},
        sources={"b": str(base)},
    )  # fmt: skip
    return ds, given, names, spots, np.array([row["group"] for row in rows])


def regions(different: np.ndarray) -> np.ndarray:
    calm = cv2.morphologyEx(different.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    joined = cv2.dilate(calm, np.ones((9, 9), np.uint8))
    found = cv2.connectedComponentsWithStats(joined)[2][1:]
    kept = [(x - 3, y - 3, x + w + 3, y + h + 3, area) for x, y, w, h, area in found.tolist() if area > 150]
    return np.array(kept, np.float64).reshape(-1, 5)


def spoiled(
    given: list[Boxes], k: int, rate: float, rng: np.random.Generator
) -> tuple[list[Boxes], list[dict[str, Any]]]:
    """Each box is dropped, moved or given another class with the rate; some are invented. Returns the truth as well."""
    out, truth = [], []
    for row, boxes in enumerate(given):
        corners, codes = boxes.corners.copy(), boxes.codes.copy()
        what = rng.choice(
            ["", "missing", "badly_placed", "wrong_class"], len(boxes), p=[1 - 3 * rate, rate, rate, rate]
        )
        for i, kind in enumerate(what):
            side = corners[i, 2:] - corners[i, :2]
            if kind == "badly_placed":
                shift = side * rng.uniform(0.4, 0.6, 2) * rng.choice([-1, 1], 2)
                corners[i] += np.tile(shift, 2)
            if kind == "wrong_class":
                codes[i] = (codes[i] + rng.integers(1, k)) % k
            if kind:
                truth.append({"row": row, "kind": str(kind), "corners": corners[i].copy()})
        keep = what != "missing"
        fresh = []
        for _ in range(rng.binomial(max(len(boxes), 1), rate)):
            x, y = rng.uniform(20, 560, 2)
            w, h = rng.uniform(25, 55, 2)
            fresh.append([x, y, x + w, y + h])
            truth.append({"row": row, "kind": "extra", "corners": np.array(fresh[-1])})
        new = np.array(fresh).reshape(-1, 4)
        both = np.concatenate([corners[keep], new])
        labels = np.concatenate([codes[keep], rng.integers(0, k, len(new))])
        out.append(Boxes(both, labels, np.ones(len(both))))
    return out, truth


def predictions(ds: Dataset, noisy: list[Boxes], spots: list[np.ndarray], k: int, groups: np.ndarray) -> list[Boxes]:
    """Regions that differ from the template; class and score by a probe fitted on other groups' (noisy) boxes."""
    rows = np.concatenate([np.full(len(some), row) for row, some in enumerate(spots)]).astype(int)
    corners = np.concatenate([some[:, :4] for some in spots])
    features = box_features(ds, rows, corners)
    labels = np.full(len(rows), k)  # nothing there
    at = 0
    for row, some in enumerate(spots):
        common = _shape.overlap(some[:, :4], noisy[row].corners)
        if common.shape[1]:
            near = common.argmax(1)
            labels[at : at + len(some)] = np.where(common.max(1) >= 0.3, noisy[row].codes[near], k)
        at += len(some)
    probs = probe.cross_val_probs(features, labels, k + 1, groups=groups[rows])
    best = probs[:, :k].argmax(1)
    out = []
    for row in range(len(spots)):
        own = rows == row
        out.append(Boxes(corners[own], best[own], probs[own, :k].max(1)))
    return out


def hit(issue: Any, truth: list[dict[str, Any]]) -> bool:
    return any(
        one["row"] == issue.picture and one["kind"] == issue.kind
        and _shape.overlap(issue.corners[None], one["corners"][None])[0, 0] > (0.3 if issue.kind == "missing" else 0.99)
        for one in truth
    )  # fmt: skip


def bench_boxes(n: int, seeds: int) -> dict[str, Any]:
    from cleanlab.object_detection import rank

    ds, given, names, spots, groups = boards(n)
    out: dict[str, list[float]] = {}
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        noisy, truth = spoiled(given, len(names), 0.03, rng)
        said = predictions(ds, noisy, spots, len(names), groups)
        issues = box_issues(noisy, said, [(640, 640)] * len(noisy), names)
        for kind in ("missing", "wrong_class", "badly_placed", "extra"):
            ours = [issue for issue in issues if issue.kind == kind]
            planted = sum(one["kind"] == kind for one in truth)
            right = np.array([hit(issue, truth) for issue in ours], bool)
            sure = np.array([issue.score >= 0.5 for issue in ours], bool)
            out.setdefault(f"{kind} AP", []).append(pooled_ap(right, [issue.score for issue in ours], planted))
            out.setdefault(f"{kind} precision", []).append(float(right[sure].mean()) if sure.any() else np.nan)
            out.setdefault(f"{kind} recall", []).append(float(right[sure].sum() / max(planted, 1)))
        labels = [{"bboxes": boxes.corners, "labels": boxes.codes} for boxes in noisy]
        theirs = [
            np.array([np.c_[boxes.corners, boxes.scores][boxes.codes == code] for code in range(len(names))], object)
            for boxes in said
        ]
        for kind, score in (
            ("missing", rank.compute_overlooked_box_scores), ("badly_placed", rank.compute_badloc_box_scores),
            ("wrong_class", rank.compute_swap_box_scores),
        ):  # fmt: skip
            scores = score(
                labels=labels,
                predictions=theirs,
                **({"high_probability_threshold": 0.5} if kind != "badly_placed" else {}),
            )
            right, value = [], []
            for row, some in enumerate(scores):
                boxes = said[row].corners if kind == "missing" else noisy[row].corners
                if kind == "missing":
                    boxes = np.concatenate([said[row].corners[said[row].codes == code] for code in range(len(names))])
                for i, one in enumerate(np.asarray(some, float)):
                    if np.isfinite(one):
                        fake = type("I", (), {"picture": row, "kind": kind, "corners": boxes[i]})
                        right.append(hit(fake, truth))
                        value.append(1 - one)
            planted = sum(one["kind"] == kind for one in truth)
            out.setdefault(f"{kind} AP, cleanlab", []).append(pooled_ap(np.array(right, bool), value, planted))
    return {name: round(float(np.nanmean(values)), 3) for name, values in out.items()}


def pooled_ap(right: np.ndarray, score: list[float], planted: int) -> float:
    """Average precision over all planted errors; those that are not ranked at all count as missed."""
    if not right.any():
        return 0.0
    return float(average_precision_score(right, score) * right.sum() / max(planted, 1))


def bench_classes_without_predictions(n: int, seeds: int) -> dict[str, Any]:
    ds, given, names, _, _ = boards(n)
    precision, recall = [], []
    for seed in range(seeds):
        rng = np.random.default_rng(100 + seed)
        cells, wrong = [], set()
        for row, boxes in enumerate(given):
            codes = boxes.codes.copy()
            for i in np.flatnonzero(rng.random(len(codes)) < 0.05):
                codes[i] = (codes[i] + rng.integers(1, len(names))) % len(names)
                wrong.add((ds.ids[row], f"{boxes.corners[i][0]:.0f}, {boxes.corners[i][1]:.0f}"))
            cells.append(json.dumps([
                {"label": names[code], **dict(zip(("x1", "y1", "x2", "y2"), corner.tolist(), strict=True))}
                for code, corner in zip(codes, boxes.corners, strict=True)
            ]))  # fmt: skip
        found = BoxError().measure(ds.with_columns({"meta.boxes": cells})).findings
        flagged = {(item["members"][0], item["why"].split("(")[1].split(", ")[0] + ", " + item["why"].split(", ")[1])
                   for item in found if item["why"].startswith("wrong class")}  # fmt: skip
        precision.append(len(flagged & wrong) / max(len(flagged), 1))
        recall.append(len(flagged & wrong) / max(len(wrong), 1))
    return {"precision": round(float(np.mean(precision)), 3), "recall": round(float(np.mean(recall)), 3)}


def bench_sets(n: int, seeds: int) -> dict[str, Any]:
    from cleanlab.multilabel_classification import filter as theirs

    ds, given, names, _, _ = boards(n)
    # many boards carry every kind of defect: pictures of single boxes are paired instead, so that sets differ
    rows, corners = zip(*[(row, corner) for row, boxes in enumerate(given) for corner in boxes.corners], strict=True)
    codes = np.concatenate([boxes.codes for boxes in given])
    cut = box_features(ds, np.array(rows), np.array(corners))
    rng = np.random.default_rng(5)
    pair = rng.permutation(len(codes))[: len(codes) // 2 * 2].reshape(-1, 2)
    features = np.maximum(cut[pair[:, 0]], cut[pair[:, 1]])
    truth = np.zeros((len(pair), len(names)), np.int8)
    truth[np.arange(len(pair)), codes[pair[:, 0]]] = truth[np.arange(len(pair)), codes[pair[:, 1]]] = 1
    out: dict[str, list[float]] = {}
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        wrong = rng.random(truth.shape) < 0.05
        noisy = np.where(wrong, 1 - truth, truth)
        probs = cross_val_memberships(features, noisy, seed=seed)
        score = multi_label_error_probability(noisy, probs)
        flags = flag_multi_label_errors(noisy, probs)
        lists = [np.flatnonzero(row).tolist() for row in noisy]
        masks = theirs.find_multilabel_issues_per_class(lists, probs)
        peer = np.asarray(masks) if np.asarray(masks).shape == flags.shape else np.asarray(masks).T
        for name, mask in (("ours", flags), ("cleanlab", peer)):
            hits = (mask & wrong).sum()
            out.setdefault(f"F1, {name}", []).append(2 * hits / (mask.sum() + wrong.sum()))
        own = np.where(noisy == 1, 1 - probs, probs)
        out.setdefault("AP, ours", []).append(average_precision_score(wrong.ravel(), score.ravel()))
        out.setdefault("AP, self-confidence", []).append(average_precision_score(wrong.ravel(), own.ravel()))
    return {name: round(float(np.mean(values)), 3) for name, values in out.items()}


def bench_numbers(seeds: int) -> dict[str, Any]:
    from cleanlab.regression.rank import get_label_quality_scores
    from sklearn.datasets import load_diabetes, make_friedman1

    real = load_diabetes()
    sets = {"diabetes": (real.data, real.target), "friedman": make_friedman1(1500, noise=1.0, random_state=0)}
    out: dict[str, Any] = {}
    for name, (rows, values) in sets.items():
        for rate in (0.02, 0.1):
            got: dict[str, list[float]] = {}
            for seed in range(seeds):
                rng = np.random.default_rng(seed)
                bad = rng.random(len(values)) < rate
                noisy = np.where(bad, rng.permutation(values), values)
                far = np.abs(noisy - values) > values.std()
                said = cross_val_numbers(rows, noisy, seed=seed)
                score = number_error_probability(noisy, said)
                got.setdefault("AP, ours", []).append(average_precision_score(far, score))
                peer = 1 - get_label_quality_scores(noisy, said, method="outre")
                got.setdefault("AP, cleanlab outre", []).append(average_precision_score(far, peer))
                flags = score > 0.5
                got.setdefault("precision of flags", []).append((flags & far).sum() / max(flags.sum(), 1))
                got.setdefault("recall of flags", []).append((flags & far).sum() / max(far.sum(), 1))
            out[f"{name} {rate:.0%}"] = {key: round(float(np.mean(some)), 3) for key, some in got.items()}
        clean = number_error_probability(values, cross_val_numbers(rows, values)) > 0.5
        out[f"{name} clean"] = {"flagged": float(clean.mean())}
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    parts = {
        "boxes against predictions": lambda: bench_boxes(asked.boards, asked.seeds),
        "classes of boxes without predictions": lambda: bench_classes_without_predictions(asked.boards, asked.seeds),
        "label sets": lambda: bench_sets(asked.boards, asked.seeds),
        "numbers": lambda: bench_numbers(asked.seeds),
    }
    body: dict[str, Any] = {"boards": asked.boards, "seeds": asked.seeds}
    for name, part in parts.items():
        body[name] = part()
        print(name, json.dumps(body[name], indent=1), flush=True)
    (HERE / "results" / "other_labels.json").write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
