"""How fast are all pairs with cosine >= 0.99, exactly, beside faiss, approximate indexes, NumPy and scikit-learn?

    python benchmarks/near_duplicate.py [--sizes 10000x512,100000x512] [--rounds 2] [--crowd 1000000]

Peers that are not installed (faiss-cpu, usearch, scikit-learn) are left out. Each part is a process of its own; there,
peers and ours run in turn, ours first and last, and ratios are to the median of ours, in wall clock and in seconds of
the processor. faiss flat is given a tenth of the rows as queries, which is a fair tenth of its work; recall is that of
the pairs which these rows have. Hashes, a million rows with one crowd of copies, and real pictures follow. Results are
kept in benchmarks/results/near_duplicate.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from scarce.extras import available

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


def by_flat(rows: np.ndarray, queries: int) -> list[np.ndarray]:
    """Return the pairs of the first rows with all others, by exact faiss."""
    import faiss

    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    return searched(index, rows[:queries])


def by_lists(rows: np.ndarray) -> list[np.ndarray]:
    import faiss

    count = int(4 * np.sqrt(len(rows)))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(rows.shape[1]), rows.shape[1], count, faiss.METRIC_INNER_PRODUCT)
    index.train(rows[:: max(1, len(rows) // (40 * count))])
    index.add(rows)
    index.nprobe = 8
    return searched(index, rows)


def searched(index: Any, queries: np.ndarray) -> list[np.ndarray]:
    found = []
    for start in range(0, len(queries), 2000):
        limits, _, others = index.range_search(queries[start : start + 2000], LIMIT)
        own = start + np.repeat(np.arange(len(limits) - 1), np.diff(limits.astype(np.int64)))
        found.append(np.stack([own, others], axis=1))
    return found


def by_graph(rows: np.ndarray) -> list[np.ndarray]:
    from usearch.index import Index

    index = Index(ndim=rows.shape[1], metric="cos", dtype="bf16")
    index.add(np.arange(len(rows)), rows)
    found = index.search(rows, 10)
    own, place = np.nonzero(1 - np.asarray(found.distances) >= LIMIT)
    return [np.stack([own, np.asarray(found.keys)[own, place].astype(np.int64)], axis=1)]


def unordered(found: list[np.ndarray]) -> set[tuple[int, int]]:
    pairs = np.sort(np.concatenate([np.zeros((0, 2), np.int64), *found]), axis=1)
    return set(map(tuple, pairs[pairs[:, 0] < pairs[:, 1]].tolist()))


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def median(work: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    seconds, result = [], None
    for _ in range(rounds):
        took, _, result = timed(work)
        seconds.append(took)
    return statistics.median(seconds), result


def joins(size: str, kind: str, rounds: int) -> dict[str, Any]:
    from scarce.audit.near_duplicate import duplicate_pairs

    n, d = map(int, size.split("x"))
    rows = made(n, d, kind)
    duplicate_pairs(rows[:3000], threshold=LIMIT)
    tracemalloc.start()
    duplicate_pairs(rows, threshold=LIMIT)
    extra = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    own = [timed(lambda: duplicate_pairs(rows, threshold=LIMIT)) for _ in range(rounds)]
    mine = unordered([own[0][2]])
    share = 1.0
    peers: dict[str, tuple[float, float, set[tuple[int, int]]]] = {}
    if available("faiss"):
        queries = n if n <= 10_000 else n // 10
        share = queries / n
        wall, cpu, found = timed(lambda: by_flat(rows, queries))
        peers["faiss_flat"] = (wall / share, cpu / share, unordered(found))
        expected = peers["faiss_flat"][2]
        asked = {pair for pair in mine if pair[0] < queries}
        wall, cpu, found = timed(lambda: by_lists(rows))
        peers["faiss_ivf"] = (wall, cpu, unordered(found))
    if n <= 30_000:
        wall, cpu, found = timed(lambda: by_numpy(rows))
        peers["numpy"], expected, asked = (wall, cpu, found), found, mine
    if available("usearch"):
        wall, cpu, found = timed(lambda: by_graph(rows))
        peers["usearch_bf16"] = (wall, cpu, unordered(found))
    if available("sklearn") and n <= 10_000:
        wall, cpu, found = timed(lambda: by_sklearn(rows))
        peers["sklearn"] = (wall, cpu, found)
    own += [timed(lambda: duplicate_pairs(rows, threshold=LIMIT)) for _ in range(rounds)]
    wall, cpu = (statistics.median(one[place] for one in own) for place in (0, 1))
    row: dict[str, Any] = {f"ratio_{name}": round(one[0] / wall, 1) for name, one in peers.items()}
    row |= {f"cpu_ratio_{name}": round(one[1] / cpu, 1) for name, one in peers.items()}
    row |= {
        "size": size, "kind": kind, "own_seconds": round(wall, 3), "own_cpu_seconds": round(cpu, 3),
        "own_extra_mib": round(extra / 2**20, 1), "pairs": len(mine),
        "recall": round(len(asked & expected) / max(len(expected), 1), 6),
        "precision": round(len(asked & expected) / max(len(asked), 1), 6),
        "seconds": {name: round(one[0], 2) for name, one in peers.items()}, "flat_share_measured": share,
        "recall_of_approximate": {name: round(len(one[2] & mine) / max(len(mine), 1), 5)
                                  for name, one in peers.items() if name in {"faiss_ivf", "usearch_bf16"}},
    }  # fmt: skip
    return row


def large(n: int, d: int) -> dict[str, Any]:
    """Return the time for all pairs of many rows, with the first thousand rows checked by brute force."""
    from scarce.audit.near_duplicate import duplicate_pairs

    rows = made(n, d, "clustered")
    duplicate_pairs(rows[:3000], threshold=LIMIT)
    wall, cpu, pairs = timed(lambda: duplicate_pairs(rows, threshold=LIMIT))
    few = rows[:1000] @ rows.T >= LIMIT
    i, j = np.nonzero(few)
    expected = {(a, b) for a, b in zip(i.tolist(), j.tolist(), strict=True) if a < b}
    own = {(a, b) for a, b in pairs.tolist() if a < 1000}
    return {
        "size": f"{n}x{d}", "own_seconds": round(wall, 1), "own_cpu_seconds": round(cpu, 1), "pairs": len(pairs),
        "recall_of_1000_rows": len(own & expected) / max(len(expected), 1),
        "precision_of_1000_rows": len(own & expected) / max(len(own), 1),
    }  # fmt: skip


def crowd(n: int, d: int = 16) -> dict[str, Any]:
    """Return what the check makes of many rows of which a twentieth are near copies of one."""
    from scarce.audit.near_duplicate import NearDuplicate
    from scarce.dataset import Dataset, Schema

    rng = np.random.default_rng(0)
    rows = made(n, d, "clustered")
    rows *= rng.uniform(1, 2, (n, 1)).astype(np.float32)
    members = np.sort(rng.choice(n, n // 20, replace=False))
    rows[members] = rows[members[0]] + 0.0001 * rng.standard_normal((len(members), d), np.float32)
    names = np.char.zfill(np.arange(n).astype(str), 8).tolist()
    ds = Dataset.from_columns(Schema(modality="tabular", classes=("a",)), {"id": names})
    ds = ds.with_columns({"embedding.x": rows})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu, result = timed(lambda: NearDuplicate().measure(ds))
    extra = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    groups = [row["members"] for row in result.findings if row["level"] == "group"]
    largest = max(groups, key=len)
    wanted = {names[row] for row in members}
    return {
        "rows": n, "planted": len(wanted), "largest_group": len(largest), "right": len(wanted & set(largest)),
        "groups": len(groups), "rows_in_other_groups": sum(map(len, groups)) - len(largest),
        "seconds": round(wall, 1), "cpu_seconds": round(cpu, 1), "extra_mib": round(extra / 1024, 1),
    }  # fmt: skip


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


PARTS: dict[str, Callable[..., Any]] = {"joins": joins, "large": large, "crowd": crowd, "hashes": hashes}


def apart(name: str, *values: Any) -> dict[str, Any]:
    """Run one part in a process of its own and return its row."""
    command = [sys.executable, __file__, "--part", name, json.dumps(values)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) | {"load": round(os.getloadavg()[0], 1)}
    print(json.dumps(row), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10000x512,100000x512")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--hashes", type=int, default=100_000)
    parser.add_argument("--large", default="1000000x128", help="rows and width, without a peer; 0 = not")
    parser.add_argument("--crowd", type=int, default=1_000_000, help="rows with one crowd of copies; 0 = not")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SCARCE_DATA", "../shared/data")))
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(PARTS[options.part[0]](*json.loads(options.part[1]))))
        return
    place = Path(__file__).parent / "results" / "near_duplicate.json"
    result = json.loads(place.read_text(encoding="utf-8")) if place.is_file() else {}
    known = {"numpy": "numpy", "numba": "numba", "sklearn": "scikit-learn", "faiss": "faiss-cpu", "usearch": "usearch"}
    result |= {
        "question": "exact joins for near duplicates", "seed": 0, "cores": os.cpu_count(),
        "machine": platform.machine(), "python": platform.python_version(),
        "versions": {name: version(name) for module, name in known.items() if available(module)},
    }  # fmt: skip
    result.pop("load", None)
    if options.sizes:
        sizes, kinds = options.sizes.split(","), options.kinds.split(",")
        rows = [apart("joins", size, kind, options.rounds) for size in sizes for kind in kinds]
        kept = {
            (row["size"], row["kind"]): row for row in [*result.get("joins", []), *rows] if "own_cpu_seconds" in row
        }
        result["joins"] = list(kept.values())
    if options.large != "0":
        result["large"] = apart("large", *map(int, options.large.split("x")))
    if options.crowd:
        result["crowd"] = apart("crowd", options.crowd)
    if options.hashes:
        result["hashes"] = apart("hashes", options.hashes, options.rounds)
    if options.data.is_dir():
        result["pictures"] = pictures(options.data)
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
