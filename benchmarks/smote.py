"""The SMOTE family beside imbalanced-learn: time, memory, and what a known neighbor graph and virtual rows save.

    python benchmarks/smote.py [--sizes 1000000x30 100000x512] [--only NAME ...] [--resume] [--out FILE]

One percent is rare and is raised to 1:1, float32. Every case runs in a process of its own: extra memory is the peak
above what the process held before the call. Times are the best of the rounds, after one call on a small table (so
compiled code is loaded). ``given graph`` hands over the nearest others of the rare rows, which the peer cannot take;
``virtual`` stops before the features are made and then makes ten batches of 256 rows. imbalanced-learn must be
importable.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

RARE, K = 0.01, 5
RESULTS = Path(__file__).parent / "results" / "smote.json"
PEERS = {"imblearn smote": "SMOTE", "imblearn borderline_smote": "BorderlineSMOTE", "imblearn adasyn": "ADASYN"}
OURS = (
    "smote", "smote virtual", "borderline_smote", "borderline_smote given graph",
    "borderline_smote virtual given graph", "adasyn", "adasyn given graph", "adasyn virtual given graph",
)  # fmt: skip


def table(n: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, width), np.float32)
    y = (rng.random(n) < RARE).astype(np.int64)
    X[y == 1] += np.float32(0.35)
    return X, y


def graph_of(X: np.ndarray, y: np.ndarray, kept: Path | None = None) -> np.ndarray:
    """Return (N, 10) neighbors of which only the rows of the rare class are filled in: the others are not looked at."""
    from scarce.rebalance._nearest import nearest

    if kept is not None and kept.exists():
        return np.load(kept)
    rows = np.flatnonzero(y == 1)
    out = np.zeros((len(X), 10), np.int32)
    out[rows] = nearest(X[rows], X, 10, own=rows)
    if kept is not None:
        np.save(kept, out)
    return out


def call(case: str, X: np.ndarray, y: np.ndarray, graph: np.ndarray | None) -> int:
    if case in PEERS:
        from imblearn import over_sampling

        return len(getattr(over_sampling, PEERS[case])(random_state=0).fit_resample(X, y)[0])
    from scarce import registry
    from scarce.rebalance import AbstractRebalance

    method = registry.load("rebalance", case.split(maxsplit=1)[0], AbstractRebalance)()
    found = method.resample(X, y, neighbors=graph)
    if "virtual" not in case:
        return len(found.arrays()[0])
    rng = np.random.default_rng(0)
    return len(found) + 0 * sum(len(found.rows(rng.integers(0, len(found), 256))) for _ in range(10))


def measured(case: str, size: str, rounds: int, cache: Path) -> dict[str, Any]:
    n, width = map(int, size.split("x"))
    small = table(3000, width)
    call(case, *small, graph_of(*small) if "graph" in case else None)
    X, y = table(n, width)
    graph = graph_of(X, y, cache / f"graph-{size}.npy") if "graph" in case else None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    best: dict[str, Any] = {}
    for _ in range(rounds):
        started, cpu = time.perf_counter(), time.process_time()
        rows = call(case, X, y, graph)
        spent = {"seconds": round(time.perf_counter() - started, 3), "cpu_seconds": round(time.process_time() - cpu, 3)}
        if not best or spent["cpu_seconds"] < best["cpu_seconds"]:
            best = {**spent, "rows": rows}
        if "extra_mib" not in best:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        best["extra_mib"] = round((peak - before) / 1024)
    return best


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--sizes", nargs="+", default=["1000000x30", "100000x512"])
    arguments.add_argument("--only", nargs="+", default=[*PEERS, *OURS])
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--out", type=Path, default=RESULTS)
    arguments.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()), help="where graphs are kept")
    arguments.add_argument("--resume", action="store_true", help="keep what is measured in --out already")
    arguments.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.child:
        print(json.dumps(measured(*given.child, given.rounds, given.cache)))
        return
    done = json.loads(given.out.read_text("utf-8"))["results"] if given.resume and given.out.exists() else {}
    body: dict[str, Any] = {
        "command": "python benchmarks/smote.py " + " ".join(sys.argv[1:]), "rare": RARE, "rounds": given.rounds,
        "cores": len(os.sched_getaffinity(0)), "machine": platform.machine(), "load": os.getloadavg()[0],
        "versions": {name: version(name) for name in ("imbalanced-learn", "scikit-learn", "numpy", "numba")},
        "results": {},
    }  # fmt: skip
    for size in given.sizes:
        rows = body["results"][size] = done.get(size, {})
        for case in given.only:
            if case in rows:
                continue
            command = [sys.executable, __file__, "--rounds", str(given.rounds), "--cache", str(given.cache)]
            told = subprocess.run([*command, "--child", case, size], capture_output=True, text=True, check=True)
            rows[case] = json.loads(told.stdout.splitlines()[-1])
            peer = rows.get(f"imblearn {case.split()[0]}")
            if peer and case not in PEERS:
                rows[case]["times_faster"] = {
                    key: round(peer[key] / rows[case][key], 1) for key in ("seconds", "cpu_seconds") if rows[case][key]
                }
            print(size, case, rows[case], flush=True)
            given.out.write_text(json.dumps(body, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
