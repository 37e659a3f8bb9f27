"""How fast are core-set, BADGE, the uncertainties and ProbCover beside scikit-activeml and modAL, with what results?

    python benchmarks/query.py [--parts core_set,badge,core_set_60k,badge_60k,uncertainty,prob_cover] [--rounds 3]

Peers that are not installed (scikit-activeml, modAL-python) are left out. Each part is a process of its own; there,
ours runs first and last and peers in between, in the same process; ratios are to the best of ours, in wall clock and in
seconds of the processor. Extra memory is the peak that tracemalloc sees. Results are kept in
benchmarks/results/query.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from scarce.extras import available

warnings.simplefilter("ignore")


def made(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Clustered rows with a decaying spectrum, as learned embeddings have."""
    rng = np.random.default_rng(seed)
    spectrum = (1 / np.sqrt(1 + np.arange(d) / 8.0)).astype(np.float32)
    rows = 0.6 * rng.standard_normal((n, d), np.float32) * spectrum
    centers = rng.standard_normal((max(10, n // 200), d), np.float32) * spectrum
    rows += centers[rng.integers(0, len(centers), n)]
    return rows


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def best(work: Callable[[], Any], rounds: int) -> tuple[float, float, Any]:
    runs = [timed(work) for _ in range(rounds)]
    return min(run[0] for run in runs), min(run[1] for run in runs), runs[-1][2]


def extra(work: Callable[[], Any]) -> float:
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return round(peak / 2**20, 1)


def beside(own: tuple[float, float], peer: tuple[float, float]) -> dict[str, float]:
    return {
        "own_seconds": round(own[0], 4), "own_cpu_seconds": round(own[1], 4), "peer_seconds": round(peer[0], 3),
        "peer_cpu_seconds": round(peer[1], 3), "ratio": round(peer[0] / own[0], 1),
        "cpu_ratio": round(peer[1] / own[1], 1),
    }  # fmt: skip


def core_set(n: int, d: int, picks: int, rounds: int) -> dict[str, Any]:
    from scarce.label.query.core_set import select_core_set

    rows = made(n, d)
    labeled = np.arange(n) < 100
    select_core_set(rows[:2000], labeled[:2000], 10)
    first = best(lambda: select_core_set(rows, labeled, picks), rounds)
    row: dict[str, Any] = {"n": n, "d": d, "picks": picks, "own_seconds": first[0], "own_cpu_seconds": first[1]}
    if available("skactiveml"):
        from skactiveml.pool import CoreSet

        y = np.where(labeled, 0.0, np.nan)
        peer = timed(lambda: CoreSet(random_state=0).query(rows, y, batch_size=picks))
        again = best(lambda: select_core_set(rows, labeled, picks), rounds)
        row |= beside((min(first[0], again[0]), min(first[1], again[1])), peer[:2])
        row["same_picks"] = bool((np.asarray(peer[2]) == first[2]).all())
    return row | {"own_extra_mib": extra(lambda: select_core_set(rows, labeled, picks))}


def badge(n: int, d: int, k: int, picks: int, rounds: int) -> dict[str, Any]:
    from scarce.label.query.badge import select_badge

    rows = made(n, d)
    y = np.full(n, np.nan)
    y[:200] = np.arange(200) % k
    row: dict[str, Any] = {"n": n, "d": d, "k": k, "picks": picks}
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(k, 0.3), n)
    left = np.flatnonzero(np.isnan(y))
    pool = rows[left]

    def ours() -> Any:
        return select_badge(pool, probs[left], picks, seed=0)

    ours()
    first = best(ours, rounds)
    row |= {"own_seconds": first[0], "own_cpu_seconds": first[1], "own_extra_mib": extra(ours)}
    if available("skactiveml"):
        from skactiveml.base import SkactivemlClassifier
        from skactiveml.pool import Badge
        from skactiveml.utils import check_random_state

        class Told(SkactivemlClassifier):
            """Answers with probabilities that were told before."""

            def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:  # noqa: ARG002
                return self

            def predict_proba(self, X: Any) -> Any:  # noqa: ARG002
                return probs[left]

        model = Told(classes=list(range(k)))
        peer = timed(lambda: Badge(random_state=0).query(rows, y, model, fit_clf=False, batch_size=picks))
        warm = timed(lambda: Badge(random_state=0).query(rows, y, model, fit_clf=False, batch_size=picks))
        again = best(ours, rounds)
        row |= beside((min(first[0], again[0]), min(first[1], again[1])), min(peer[:2], warm[:2]))
        drawn = select_badge(pool, probs[left], picks, seed=check_random_state(0, len(left) + 1))
        row["same_picks"] = bool((np.asarray(peer[2]) == left[drawn]).all())
    return row


def uncertainty(n: int, k: int, rounds: int) -> dict[str, Any]:
    from scarce.label.query._uncertainty import uncertainty as all_three

    probs = np.random.default_rng(0).random((n, k), np.float32)
    probs /= probs.sum(1, keepdims=True)
    all_three(probs[:1000])
    first = best(lambda: all_three(probs), rounds)
    row: dict[str, Any] = {"n": n, "k": k, "own_seconds": first[0], "own_cpu_seconds": first[1]}
    peers: dict[str, tuple[float, float]] = {}
    if available("skactiveml"):
        from skactiveml.pool import uncertainty_scores

        for method in ("entropy", "margin_sampling", "least_confident"):
            peers[f"skactiveml_{method}"] = best(lambda name=method: uncertainty_scores(probs, method=name), 2)[:2]
    if available("modAL"):
        from modAL import uncertainty as modal

        class Told:
            def predict_proba(self, X: Any, **_: Any) -> Any:
                return X

        names = {"entropy": "classifier_entropy", "margin": "classifier_margin", "least": "classifier_uncertainty"}
        for name, function in names.items():
            score = getattr(modal, function)
            peers[f"modal_{name}"] = best(lambda call=score: call(Told(), probs), 2)[:2]
    again = best(lambda: all_three(probs), rounds)
    own = min(first[0], again[0]), min(first[1], again[1])
    row |= {"own_seconds": round(own[0], 4), "own_cpu_seconds": round(own[1], 4)}
    for package in ("skactiveml", "modal"):
        sums = [peers[name] for name in peers if name.startswith(package)]
        if sums:
            wall, cpu = (sum(one[place] for one in sums) for place in (0, 1))
            row |= {f"{package}_sum_seconds": round(wall, 3), f"ratio_{package}": round(wall / own[0], 1),
                    f"cpu_ratio_{package}": round(cpu / own[1], 1)}  # fmt: skip
    row["seconds"] = {name: round(one[0], 3) for name, one in peers.items()}
    return row | {"own_extra_mib": extra(lambda: all_three(probs))}


def prob_cover(n: int, d: int, picks: int) -> dict[str, Any]:
    from scarce.label.query.prob_cover import pure_radius, select_prob_cover

    rows = made(n, d)
    small = made(3000, d)
    select_prob_cover(small, [0], 3, seed=0)
    radius = timed(lambda: pure_radius(rows, clusters=100, seed=0))
    own = timed(lambda: select_prob_cover(rows, [], picks, seed=0, radius=radius[2]))
    row: dict[str, Any] = {
        "n": n, "d": d, "picks": picks, "radius": round(radius[2], 3), "radius_seconds": round(radius[0], 2),
        "radius_cpu_seconds": round(radius[1], 2), "own_seconds": round(own[0], 2),
        "own_cpu_seconds": round(own[1], 2), "peer": "not run: its (N, N) distances are 28.8 GB at 60,000",
    }  # fmt: skip
    return row | {"own_extra_mib": extra(lambda: select_prob_cover(rows[: n // 6], [], 10, seed=0, radius=radius[2])),
                  "extra_at_n": n // 6}  # fmt: skip


PARTS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "core_set": (core_set, (100_000, 512, 1000)),
    "badge": (badge, (10_000, 128, 10, 100)),
    "core_set_60k": (core_set, (60_000, 128, 100)),
    "badge_60k": (badge, (60_000, 128, 10, 100)),
    "uncertainty": (uncertainty, (1_000_000, 100)),
    "prob_cover": (prob_cover, (60_000, 512, 100)),
}


def apart(name: str, rounds: int) -> dict[str, Any]:
    """Run one part in a process of its own and return its row."""
    values = [*PARTS[name][1], *([] if name == "prob_cover" else [rounds])]
    command = [sys.executable, __file__, "--part", name, json.dumps(values)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) | {"load": round(os.getloadavg()[0], 1)}
    print(json.dumps({name: row}), flush=True)
    return row


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(PARTS[options.part[0]][0](*json.loads(options.part[1]))))
        return
    place = Path(__file__).parent / "results" / "query.json"
    result = json.loads(place.read_text(encoding="utf-8")) if place.is_file() else {}
    packages = ("numpy", "numba", "scikit-learn", "scikit-activeml", "modAL-python")
    result |= {
        "question": "choosing what to label beside scikit-activeml and modAL", "cores": os.cpu_count(),
        "machine": platform.machine(), "python": platform.python_version(),
        "versions": {name: installed(name) for name in packages if installed(name)},
    }  # fmt: skip
    place.parent.mkdir(exist_ok=True)
    for name in options.parts.split(","):
        result[name] = apart(name, options.rounds)
        place.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
