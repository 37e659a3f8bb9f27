"""False alarms and power of looks for drift, by simulation on Fashion-MNIST; agreement with a peer; time over floor.

    python benchmarks/drift.py world WORK            # train a champion on nine classes, ask it about 14,000 pictures
    python benchmarks/drift.py quiet WORK --repeats 200
    python benchmarks/drift.py power WORK --repeats 10
    python benchmarks/drift.py groups WORK --repeats 100
    python benchmarks/drift.py peer --repeats 20   # needs alibi-detect
    python benchmarks/drift.py speed

Needs Debian's package dataset-fashion-mnist. Results: benchmarks/results/drift.json.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import time
from pathlib import Path

import cv2
import numpy as np

from scarce.flywheel._look import look
from scarce.flywheel._seen import Confirmed, Seen
from scarce.metric.interval import clopper_pearson

FASHION = Path(os.environ.get("SCARCE_FASHION", "/usr/share/datasets/fashion-mnist"))
RESULTS = Path(__file__).parent / "results" / "drift.json"
NAMES = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Boot")
NEW = 8
"""The class that the champion never saw."""
TRAIN, REFERENCE = 300, 500
SIZES = (50, 100, 500)
RATE = 0.01


def changed(pictures: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return uint8 pictures as another camera, lens or light shows them."""
    values = pictures.astype(np.float32)
    if kind.startswith("blur"):
        sigma = 0.6 if kind.endswith("slight") else 1.0
        values = np.stack([cv2.GaussianBlur(one, (0, 0), sigma) for one in values])
    elif kind.startswith("brightness"):
        values = values * (1.1 if kind.endswith("slight") else 1.3)
    elif kind.startswith("camera"):  # another gamma, noise and a softer lens
        gamma, noise = (0.95, 0.0) if kind.endswith("slight") else (0.8, 4.0)
        values = 255 * (values / 255) ** gamma
        values = np.stack([cv2.GaussianBlur(one, (0, 0), 0.5) for one in values])
        values = values + rng.normal(0, noise, values.shape)
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


KINDS = ("same", "camera slight", "camera", "blur slight", "blur", "brightness slight", "brightness")


def read() -> tuple[np.ndarray, np.ndarray]:
    with gzip.open(FASHION / "train-images-idx3-ubyte.gz") as file:
        pictures = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(FASHION / "train-labels-idx1-ubyte.gz") as file:
        return pictures, np.frombuffer(file.read(), np.uint8, offset=8)


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def world(work: Path) -> None:
    """Train as a user would, and keep what the champion says about pictures of every kind."""
    from scarce import encode, modality
    from scarce.cli import main
    from scarce.dataset import Dataset, Schema
    from scarce.flywheel._answering import verdict_of
    from scarce.flywheel._observed import _properties
    from scarce.probe import Projection
    from scarce.train import load
    from scarce.train.predict import predict_contents

    pictures, labels = read()
    rng = np.random.default_rng(0)
    order = rng.permutation(len(labels))
    known = [order[labels[order] == code] for code in range(10)]
    for code in range(10):
        if code != NEW:
            place = work / "photos" / NAMES[code]
            place.mkdir(parents=True, exist_ok=True)
            for row in known[code][:TRAIN]:
                (place / f"{row}.png").write_bytes(png(pictures[row]))
    folder = work / "p"
    if not folder.exists():
        main(["init", str(folder), "--from", str(work / "photos"), "--quiet"])
        settings = folder / "scarce.toml"
        text = settings.read_text().replace('#encoder = "auto"', 'encoder = "pixel"')
        settings.write_text(text.replace("#normal_classes = []", 'normal_classes = ["Coat"]'))
        main(["split", str(folder), "--quiet"])
        main(["train", str(folder), "--model", "linear-probe", "--quiet"])
    model = load(next((folder / ".scarce" / "models").glob("*/card.json")).parent)
    pools = {
        kind: np.concatenate(
            [
                known[code][TRAIN : TRAIN + (600 if kind == "same" else 120)]
                if kind == "same"
                else known[code][1000:1120]
                for code in range(10)
                if code != NEW
            ]
        )
        for kind in KINDS
    }
    pools["new"] = known[NEW][:600]
    found = {}
    for kind, rows in pools.items():
        contents = [png(one) for one in changed(pictures[rows], kind, rng)]
        place = work / "pool" / kind.replace(" ", "-")
        place.mkdir(parents=True, exist_ok=True)
        names = [f"{number:06}.png" for number in range(len(rows))]
        for name, content in zip(names, contents, strict=True):
            (place / name).write_bytes(content)
        columns = {"id": names, "uri": names, "source": ["pool"] * len(names)}
        ds = Dataset.from_columns(Schema(classes=model.classes), columns, sources={"pool": str(place)})
        ds = encode.run(modality.scan(ds), "pixel")
        said = predict_contents(model, contents)
        found[kind] = {
            "label": labels[rows], "features": np.asarray(ds["embedding.pixel"], np.float32),
            "answers": np.array([one.label for one in said]), "sure": np.array([one.probability for one in said]),
            "verdicts": np.array([verdict_of(one) for one in said]),
            "foreign": np.array([one.unknown_score for one in said], float),
            **{f"property {name}": values for name, values in _properties(ds).items()},
        }  # fmt: skip
        right = np.mean(found[kind]["answers"] == np.array(NAMES)[labels[rows]])
        print(kind, len(rows), "accuracy", round(float(right), 3), "unknown",
              round(float(np.mean(found[kind]["verdicts"] == "unknown")), 3), flush=True)  # fmt: skip
    narrow = Projection.fit(found["same"]["features"], components=64)
    for body in found.values():
        body["features"] = narrow(body["features"])
    flat = {f"{kind}|{name}": values for kind, body in found.items() for name, values in body.items()}
    np.savez(work / "world.npz", **flat)


def opened(work: Path) -> dict[str, dict[str, np.ndarray]]:
    """Return what was kept; features as 64 principal components of the ordinary pictures, which saves hours."""
    found: dict[str, dict[str, np.ndarray]] = {}
    with np.load(work / "world.npz") as kept:
        for key in kept.files:
            kind, _, name = key.partition("|")
            found.setdefault(kind, {})[name] = kept[key]
    return found


def seen(parts: list[tuple[dict[str, np.ndarray], np.ndarray]], groups: np.ndarray | None = None) -> Seen:
    def column(name: str) -> np.ndarray:
        return np.concatenate([body[name][rows] for body, rows in parts])

    names = [name for name in parts[0][0] if name.startswith("property ")]
    return Seen(
        **{name: column(name) for name in ("answers", "sure", "verdicts", "foreign", "features")},
        properties={name.removeprefix("property "): column(name) for name in names}, groups=groups,
    )  # fmt: skip


def sides(
    pools: dict[str, dict[str, np.ndarray]], kind: str, size: int, rng: np.random.Generator
) -> tuple[Seen, Seen, Confirmed | None]:
    """Draw a reference and a week of production, of which 60 samples are confirmed at random."""
    same = pools["same"]
    order = rng.permutation(len(same["label"]))
    held, rest = order[:REFERENCE], order[REFERENCE:]
    if kind.startswith("new"):
        fresh = rng.binomial(size, 0.05 if kind.endswith("5 %") else 0.1)
        parts = [(same, rest[: size - fresh]), (pools["new"], rng.choice(600, fresh, replace=False))]
    elif kind.startswith("mix"):  # one class three times as common
        weights = np.where(same["label"][rest] == 2, 3.0, 1.0)
        parts = [(same, rng.choice(rest, size, replace=False, p=weights / weights.sum()))]
    else:
        own = rest[:size] if kind == "same" else rng.choice(len(pools[kind]["label"]), size, replace=False)
        parts = [(pools[kind], own)]
    parts = [part for part in parts if len(part[1])]
    names = np.array(NAMES)
    surplus = [body["sure"][rows] - (body["answers"][rows] == names[body["label"][rows]]) for body, rows in parts]
    drawn = rng.choice(size, min(60, size), replace=False)
    before = same["sure"][held] - (same["answers"][held] == names[same["label"][held]])
    weights = np.full(len(drawn), size / len(drawn))
    truth = Confirmed(reference=before, surplus=np.concatenate(surplus)[drawn], weights=weights)
    return seen([(same, held)]), seen(parts), truth


def quiet(work: Path, repeats: int) -> dict:
    """Return how often looks raise an alarm where nothing changed."""
    pools, out = opened(work), {}
    for size in SIZES:
        lowest, by_test, spent = [], {}, time.process_time()
        for number in range(repeats):
            found = look(*sides(pools, "same", size, np.random.default_rng([1, size, number])), rate=RATE, seed=number)
            lowest.append(min(test.adjusted for test in found.tests if test.adjusted is not None))
            for test in found.tests:
                if test.p is not None:
                    by_test.setdefault(test.name, []).append(test.p)
        values = np.array(lowest)
        single = {name: share(np.array(p) <= 0.05)[0] for name, p in by_test.items()}
        seconds = round((time.process_time() - spent) / repeats, 3)
        out[size] = {"looks": repeats, "processor_seconds_each": seconds, "single_tests_at_5_percent": single}
        out[size] |= {f"alarms at {100 * rate:g} %": share(values <= rate) for rate in (0.01, 0.05, 0.1)}
        print(size, json.dumps(out[size]), flush=True)
    return out


def power(work: Path, repeats: int) -> dict:
    """Return how often looks raise an alarm where something changed, and which."""
    pools, out = opened(work), {}
    for size in SIZES:
        for kind in (*KINDS[1:], "mix", "new 5 %", "new 10 %"):
            hits, names, others = 0, {}, []
            for number in range(repeats):
                found = look(
                    *sides(pools, kind, size, np.random.default_rng([2, size, number])), rate=RATE, seed=number
                )
                hits += bool(found.alarms)
                for name in {test.kind for test in found.alarms} | {test.name for test in found.alarms}:
                    names[name] = names.get(name, 0) + 1
                others += [group.others_too for group in found.groups[:1]]
            cell = {"looks": repeats, "alarms": hits / repeats, "of": {name: n / repeats for name, n in names.items()},
                    "groups_said_to_be_camera_or_light": f"{sum(others)} of {len(others)}"}  # fmt: skip
            out.setdefault(kind, {})[size] = cell
            print(kind, size, json.dumps(cell), flush=True)
    return out


def share(hits: np.ndarray) -> list[float]:
    """Return a share with its exact 95 % bounds."""
    low, high = clopper_pearson(int(hits.sum()), len(hits))
    return [round(float(hits.mean()), 4), round(low, 4), round(high, 4)]


def groups(work: Path, repeats: int) -> dict:
    """Return false alarms at 5 % where production comes in bursts of five alike, and where the reference has groups."""
    pools = opened(work)
    same, out = pools["same"], {}
    for name in ("each sample alone", "one of each burst"):
        values = []
        for number in range(repeats):
            rng = np.random.default_rng([3, number])
            order = rng.permutation(len(same["label"]))
            burst = np.repeat(order[REFERENCE : REFERENCE + 60], 5)
            units = np.repeat(np.arange(60), 5) if name.startswith("one") else None
            found = look(seen([(same, order[:REFERENCE])]), seen([(same, burst)], units), rate=0.05, seed=number)
            values.append(bool(found.alarms))
        out[name] = share(np.array(values))
        print(name, out[name], flush=True)
    number_ = same["property brightness"]
    hits = []
    for number in range(1000):  # groups of ten that share nothing in the reference, single samples in production
        rng = np.random.default_rng([4, number])
        drawn = number_[rng.permutation(len(number_))[:530]]
        sums, sizes = (
            np.concatenate([drawn[:500].reshape(50, 10).sum(1), drawn[500:]]),
            np.repeat([10.0, 1.0], [50, 30]),
        )
        marks = rng.permuted(np.tile(np.arange(80) >= 50, (500, 1)), axis=1)
        marks[0] = np.arange(80) >= 50
        gap = np.abs((marks @ sums) / (marks @ sizes) - (~marks @ sums) / (~marks @ sizes))
        hits.append((gap >= gap[0]).mean() <= 0.05)
    out["whole groups permuted, mean brightness"] = share(np.array(hits))
    print(out, flush=True)
    return out


def speed() -> dict:
    """Return the processor time of the kernel test over its floor: its matrix products alone."""
    from scarce.flywheel._apart import classifier_test, kernel_test

    out, draws = {}, 1024
    for n in (500, 1000, 2000):
        rng = np.random.default_rng(n)
        first, second = (rng.normal(size=(n, 32)).astype(np.float32) for _ in range(2))
        second += 0.3  # so that no drawing ends early
        matrix, marks = rng.random((2 * n, 2 * n), np.float32), rng.random((2 * n, draws), np.float32)
        floor, own, linear = [], [], []
        for _ in range(3):
            begun = time.process_time()
            matrix[:n] @ marks  # half of the matrix: each pair of blocks is computed once
            floor.append(time.process_time() - begun)
            begun = time.process_time()
            kernel_test(first, second, permutations=draws, seed=0)
            own.append(time.process_time() - begun)
            begun = time.process_time()
            classifier_test(first, second, permutations=draws, seed=0)
            linear.append(time.process_time() - begun)
        out[2 * n] = {"permutations": draws, "floor_seconds": min(floor), "kernel_seconds": min(own),
                      "over_floor": min(own) / min(floor), "classifier_seconds": min(linear)}  # fmt: skip
        print(2 * n, out[2 * n], flush=True)
    return out


def peer(repeats: int) -> dict:
    """Return how the p-values of the kernel test and of alibi-detect's MMDDrift agree on the same samples."""
    from alibi_detect.cd import MMDDrift

    from scarce.flywheel._apart import kernel_test

    pairs, spent = [], [0.0, 0.0]
    for number in range(repeats):
        rng = np.random.default_rng([5, number])
        first = rng.normal(size=(100, 16)).astype(np.float32)
        second = (rng.normal(size=(80, 16)) + 0.25 * (number % 4) / 3).astype(np.float32)
        begun = time.process_time()
        theirs = MMDDrift(first, backend="pytorch", n_permutations=500, preprocess_fn=None).predict(second)["data"]
        spent[0] += time.process_time() - begun
        begun = time.process_time()
        own = kernel_test(first, second, permutations=500, seed=number)
        spent[1] += time.process_time() - begun
        pairs.append((theirs["p_val"], own.p, theirs["distance"], own.statistic))
    values = np.array(pairs, float)
    out = {
        "pairs": repeats, "mean_difference_of_p": float(np.abs(values[:, 0] - values[:, 1]).mean()),
        "most_difference_of_p": float(np.abs(values[:, 0] - values[:, 1]).max()),
        "correlation_of_p": float(np.corrcoef(values[:, 0], values[:, 1])[0, 1]),
        "correlation_of_distance": float(np.corrcoef(values[:, 2], values[:, 3])[0, 1]),
        "same_verdict_at_5_percent": float(((values[:, 0] <= 0.05) == (values[:, 1] <= 0.05)).mean()),
        "processor_seconds": {"alibi-detect": spent[0], "own": spent[1]},
    }  # fmt: skip
    print(out, flush=True)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("world", "quiet", "power", "groups", "peer", "speed"))
    parser.add_argument("work", type=Path, nargs="?", default=Path("drift-work"))
    parser.add_argument("--repeats", type=int, default=400)
    given = parser.parse_args()
    if given.what == "world":
        world(given.work)
        return
    made = {
        "quiet": lambda: quiet(given.work, given.repeats), "power": lambda: power(given.work, given.repeats),
        "speed": speed,
        "groups": lambda: groups(given.work, given.repeats), "peer": lambda: peer(given.repeats),
    }  # fmt: skip
    body = made[given.what]()
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    known[given.what] = {**body, "versions": {"numpy": np.__version__}, "reference": REFERENCE, "rate": RATE}
    RESULTS.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
