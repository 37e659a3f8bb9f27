"""How fast are all pairs with cosine >= 0.99, exactly, beside blocked NumPy and scikit-learn? Hashes? Real pictures?

    python benchmarks/near_duplicate.py [--sizes 10000x512,30000x512] [--rounds 2]

Peers and ours run in the same process, alternating; the ratio of the medians comes first. Results are kept in
benchmarks/results/near_duplicate.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

LIMIT = 0.99
KINDS = ("clustered", "isotropic")


def made(n: int, d: int, kind: str, seed: int = 0) -> np.ndarray:
    """Clustered unit vectors with a decaying spectrum (or isotropic ones), 5 % of them near copies."""
    rng = np.random.default_rng(seed)
    m = n - n // 20
    spectrum = (
        (1 / np.sqrt(1 + np.arange(d) / 8.0)).astype(np.float32) if kind == "clustered" else np.ones(d, np.float32)
    )
    centers = rng.standard_normal((max(10, m // 200), d), np.float32) * spectrum
    rows = 0.6 * rng.standard_normal((m, d), np.float32) * spectrum
    rows += centers[rng.integers(0, len(centers), m)] if kind == "clustered" else 0
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    noise = rng.standard_normal((n - m, d), np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    copies = rows[rng.integers(0, m, n - m)] + rng.uniform(0.01, 0.2, (n - m, 1)).astype(np.float32) * noise
    rows = np.concatenate([rows, copies / np.linalg.norm(copies, axis=1, keepdims=True)])
    return np.ascontiguousarray(rows[rng.permutation(n)])


def by_numpy(rows: np.ndarray, block: int = 2048) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for a in range(0, len(rows), block):
        i, j = np.nonzero(rows[a : a + block] @ rows[a:].T >= LIMIT)
        keep = j > i
        found |= set(zip((i[keep] + a).tolist(), (j[keep] + a).tolist(), strict=True))
    return found


def by_sklearn(rows: np.ndarray) -> set[tuple[int, int]]:
    from sklearn.neighbors import NearestNeighbors

    model = NearestNeighbors(radius=float(np.sqrt(2 - 2 * LIMIT)), algorithm="brute").fit(rows)
    near = model.radius_neighbors(rows, return_distance=False)
    return {(i, int(j)) for i, others in enumerate(near) for j in others if j > i}


def median(work: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    seconds, result = [], None
    for _ in range(rounds):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), result


def joins(size: str, kind: str, rounds: int) -> dict[str, Any]:
    from scarce.audit.near_duplicate import duplicate_pairs

    n, d = map(int, size.split("x"))
    rows = made(n, d, kind)
    duplicate_pairs(rows[:3000], threshold=LIMIT)
    own, pairs = median(lambda: duplicate_pairs(rows, threshold=LIMIT), rounds)
    numpy_seconds, expected = median(lambda: by_numpy(rows), rounds)
    mine = {tuple(pair) for pair in pairs.tolist()}
    row: dict[str, Any] = {"ratio_numpy": round(numpy_seconds / own, 1)}
    if n <= 10_000:
        sklearn_seconds, _ = median(lambda: by_sklearn(rows), 1)
        row |= {"ratio_sklearn": round(sklearn_seconds / own, 1), "sklearn_seconds": round(sklearn_seconds, 3)}
    row |= {
        "size": size, "kind": kind, "own_seconds": round(own, 3), "numpy_seconds": round(numpy_seconds, 3),
        "pairs": len(mine), "recall": round(len(mine & expected) / max(len(expected), 1), 6),
        "precision": round(len(mine & expected) / max(len(mine), 1), 6),
    }  # fmt: skip
    print(json.dumps(row), flush=True)
    return row


def hashes(n: int, rounds: int) -> dict[str, Any]:
    from scarce.audit.near_duplicate import hamming_pairs

    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**63, n, dtype=np.uint64)
    values[: n // 50] = values[-(n // 50) :] ^ np.uint64(1 << 5)
    hamming_pairs(values[:100], 4)
    seconds, pairs = median(lambda: hamming_pairs(values, 4), rounds)
    row = {"hashes": n, "own_seconds": round(seconds, 3), "pairs": len(pairs), "planted": n // 50}
    print(json.dumps(row), flush=True)
    return row


def pictures(folder: Path) -> list[dict[str, Any]]:
    """Groups found on real pictures against what is known: tiles of the same number."""
    import csv

    from scarce import io, modality
    from scarce.audit.near_duplicate import NearDuplicate

    place = folder / "magnetic_tile"
    with (place / "index.csv").open(encoding="utf-8") as lines:
        tile = {row["image"].partition("/")[2]: row["tile_group"] for row in csv.DictReader(lines)}
    ds = modality.scan(io.read(place / "images"))
    seconds, found = median(lambda: NearDuplicate().pairs(ds), 1)
    group = np.array([tile[uri] for uri in ds["uri"]])
    same = group[found.rows[:, 0]] == group[found.rows[:, 1]]
    row = {
        "data": "magnetic_tile",
        "n": len(ds),
        "seconds": round(seconds, 2),
        "pairs": len(same),
        "pair_precision": round(float(same.mean()), 4),
    }
    print(json.dumps(row), flush=True)
    return [row]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10000x512,30000x512")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--hashes", type=int, default=100_000)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SCARCE_DATA", "../shared/data")))
    options = parser.parse_args()
    result = {
        "question": "exact joins for near duplicates", "seed": 0, "cores": os.cpu_count(), "load": os.getloadavg(),
        "machine": platform.machine(), "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "numba", "scikit-learn")},
        "joins": [joins(size, kind, options.rounds) for size in options.sizes.split(",") for kind in KINDS],
        "hashes": hashes(options.hashes, options.rounds),
        "pictures": pictures(options.data) if options.data.is_dir() else [],
    }  # fmt: skip
    place = Path(__file__).parent / "results" / "near_duplicate.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
