"""Are our coefficients of agreement the peers' ones, faster, with less memory, and with intervals?

    python benchmarks/agreement.py [--size 1000000x5] [--classes 10] [--rounds 5]

Peers (krippendorff, statsmodels, scikit-learn) and ours run in the same process, alternating; the ratio of the medians
comes first. Values must agree to six digits. Real crowds (shared data, crowd_votes) follow, and Fleiss' data of 1971.
Results are kept in benchmarks/results/agreement.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
import threading
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from scarce.audit.agreement import cohen_kappa, fleiss_kappa, judge_agreement, krippendorff_alpha

ROOT = Path(__file__).parents[1]


def drawn(n: int, raters: int, k: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, k, n)
    ratings = np.empty((n, raters), np.int8)
    for rater in range(raters):
        ratings[:, rater] = np.where(rng.random(n) < 0.75, truth, rng.integers(0, k, n))
    return ratings


def resident() -> float:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds, extra resident MiB (sampled every 2 ms), result."""
    base, top, stop = resident(), [0.0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.002):
            top[0] = max(top[0], resident() - base)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    stop.set()
    thread.join()
    return seconds, max(top[0], 0.0), result


def peers(ratings: np.ndarray) -> dict[str, Callable[[], Any]]:
    import krippendorff
    from sklearn.metrics import cohen_kappa_score
    from statsmodels.stats import inter_rater

    raters = ratings.shape[1]

    def cohen() -> float:
        pairs = [(a, b) for a in range(raters) for b in range(a + 1, raters)]
        return float(np.mean([cohen_kappa_score(ratings[:, a], ratings[:, b]) for a, b in pairs]))

    def alpha() -> float:
        votes = ratings.T.astype(float)
        votes[votes < 0] = np.nan
        return float(krippendorff.alpha(reliability_data=votes, level_of_measurement="nominal"))

    return {
        "alpha": alpha,
        "fleiss": lambda: float(inter_rater.fleiss_kappa(inter_rater.aggregate_raters(ratings)[0])),
        "cohen": cohen,
    }


def crowd(folder: Path) -> np.ndarray:
    rows = list(csv.DictReader((folder / "votes.csv").open(encoding="utf-8")))
    item = np.unique([row["item"] for row in rows], return_inverse=True)[1]
    worker = np.unique([row["worker"] for row in rows], return_inverse=True)[1]
    out = np.full((item.max() + 1, worker.max() + 1), -1)
    out[item, worker] = [int(row["label"]) for row in rows]
    return out


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", default="1000000x5")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    n, raters = (int(part) for part in options.size.split("x"))
    ratings = drawn(n, raters, options.classes)
    ours = {"alpha": krippendorff_alpha, "fleiss": fleiss_kappa, "cohen": cohen_kappa}
    for work in (*ours.values(), judge_agreement):
        work(ratings[:500_000])
    out: dict[str, Any] = {"size": options.size, "classes": options.classes, "coefficients": {}}
    times: dict[str, list[tuple[float, float, Any]]] = {}
    theirs = peers(ratings)
    for _ in range(options.rounds):
        for name, work in ours.items():
            times.setdefault(f"ours {name}", []).append(timed(lambda work=work: work(ratings)))
            times.setdefault(f"peer {name}", []).append(timed(theirs[name]))
        times.setdefault("ours all with intervals", []).append(timed(lambda: judge_agreement(ratings)))
    middle = {name: statistics.median(run[0] for run in runs) for name, runs in times.items()}
    extra = {name: max(run[1] for run in runs) for name, runs in times.items()}
    for name in ours:
        mine, other = times[f"ours {name}"][0][2], times[f"peer {name}"][0][2]
        assert abs(mine - other) < 1e-6, (name, mine, other)
        out["coefficients"][name] = {
            "ratio": round(middle[f"peer {name}"] / middle[f"ours {name}"], 1),
            "seconds": round(middle[f"ours {name}"], 4), "peer_seconds": round(middle[f"peer {name}"], 3),
            "extra_mib": round(extra[f"ours {name}"], 2), "peer_extra_mib": round(extra[f"peer {name}"], 1),
            "value": round(mine, 8), "peer_value": round(other, 8),
        }  # fmt: skip
    out["all_with_intervals"] = {
        "seconds": round(middle["ours all with intervals"], 3),
        "extra_mib": round(extra["ours all with intervals"], 2),
        "alpha": [round(value, 6) for value in times["ours all with intervals"][0][2].alpha],
    }
    shared = Path(os.environ.get("SCARCE_DATA", ROOT.parent / "shared" / "data")) / "crowd_votes"
    for folder in sorted(shared.glob("*/votes.csv")):
        votes = crowd(folder.parent)
        found, peer = judge_agreement(votes), peers(votes)["alpha"]()
        assert abs(found.alpha.value - peer) < 1e-9
        out[f"crowd {folder.parent.name}"] = {"items": found.items, "raters": votes.shape[1],
                                              "alpha": [round(value, 4) for value in found.alpha]}  # fmt: skip
    out["machine"] = {"cores": os.cpu_count(), "python": platform.python_version(), "numpy": np.__version__}
    out["peers"] = {name: installed(name) for name in ("krippendorff", "statsmodels", "scikit-learn")}
    place = ROOT / "benchmarks" / "results" / "agreement.json"
    place.write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
