"""Does our label-error search give cleanlab's masks, faster and with less memory? And what does the adaptive rule find?

    python benchmarks/label_error.py [--sizes 50000x10,1000000x10,200000x1000] [--rounds 3]

Peer and ours run in the same process, alternating; the ratio of the best times comes first, then that of
CPU seconds over all threads. Results are kept in
benchmarks/results/label_error.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np

RULES = (
    "prune_by_noise_rate",
    "both",
    "confident_learning",
    "prune_by_class",
    "predicted_neq_given",
    "low_self_confidence",
)


def made(n: int, k: int, noise: float = 0.12, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Noisy labels and soft float32 probabilities of a model that is right about 85 % of the time."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, k, n)
    wrong = rng.random(n) < noise
    given = np.where(wrong, np.where(rng.random(n) < 0.7, (true + 1) % k, rng.integers(0, k, n)), true)
    probs = np.empty((n, k), np.float32)
    for a in range(0, n, 20_000):
        b = min(n, a + 20_000)
        raw = rng.standard_gamma(0.3, (b - a, k)).astype(np.float32)
        raw[np.arange(b - a), true[a:b]] += rng.gamma(3.0, 0.1 * k**0.5 + 0.5, b - a)
        probs[a:b] = raw / raw.sum(axis=1, keepdims=True)
    return given, probs, given != true


class Peak:
    """Extra resident memory of a block in MiB, sampled every 5 ms."""

    def __enter__(self) -> Self:
        self.base, self.top, self.stop = _resident(), 0.0, False
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def _watch(self) -> None:
        while not self.stop:
            self.top = max(self.top, _resident() - self.base)
            time.sleep(0.005)

    def __exit__(self, *_: object) -> None:
        self.stop = True
        self.thread.join()


def _resident() -> float:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


def timed(work: Callable[[], Any]) -> tuple[float, float, Any, float]:
    """Seconds, extra MiB, result and CPU seconds over all threads; the last are steadier on a busy machine."""
    with Peak() as peak:
        start, cpu = time.perf_counter(), time.process_time()
        result = work()
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return seconds, peak.top, result, cpu


def f1(truth: np.ndarray, flags: np.ndarray) -> float:
    return float(2 * (truth & flags).sum() / max(truth.sum() + flags.sum(), 1))


def speed(size: str, rounds: int, *, adaptive: bool = True) -> list[dict[str, Any]]:
    from cleanlab.filter import find_label_issues

    from scarce.audit.label_error import flag_label_errors

    n, k = map(int, size.split("x"))
    given, probs, wrong = made(n, k)
    flag_label_errors(given[:3000], probs[:3000], rule="prune_by_noise_rate")
    start = time.perf_counter()
    float(probs.sum())
    read = time.perf_counter() - start
    rows = []
    for rule in RULES if n * k < 1e8 else RULES[:3]:
        theirs, ours = [], []
        for _ in range(rounds):
            theirs.append(timed(lambda rule=rule: find_label_issues(given, probs, filter_by=rule, n_jobs=1)))
            ours.append(timed(lambda rule=rule: flag_label_errors(given, probs, rule=rule)))
        peer, own = (min(run[0] for run in runs) for runs in (theirs, ours))
        peer_cpu, own_cpu = (min(run[3] for run in runs) for runs in (theirs, ours))
        mask, mine = np.asarray(theirs[0][2]), ours[0][2]
        row = {
            "ratio": round(peer / own, 1), "cpu_ratio": round(peer_cpu / own_cpu, 1),
            "size": size, "rule": rule, "cleanlab_seconds": round(peer, 4),
            "own_seconds": round(own, 4), "own_over_one_read": round(own / read, 1),
            "jaccard": round(float((mask & mine).sum() / max((mask | mine).sum(), 1)), 5),
            "cleanlab_extra_mib": round(max(run[1] for run in theirs)),
            "own_extra_mib": round(max(run[1] for run in ours)),
        }  # fmt: skip
        rows.append(row)
        print(json.dumps(row), flush=True)
    if not adaptive:
        return rows
    seconds, memory, mask, _ = timed(lambda: flag_label_errors(given, probs))
    row = {
        "size": size,
        "rule": "adaptive",
        "own_seconds": round(seconds, 3),
        "own_extra_mib": round(memory),
        "f1": round(f1(wrong, mask), 4),
    }
    rows.append(row)
    print(json.dumps(row), flush=True)
    return rows


def quality(folder: Path) -> list[dict[str, Any]]:
    from cleanlab.filter import find_label_issues

    from scarce.audit.label_error import judge_labels

    rows = []
    for path in sorted((folder / "label_error").glob("*.npz")):
        body = np.load(path)
        given, true, probs = body["given"].astype(int), body["true"].astype(int), body["pred_probs"]
        wrong = given != true
        peers = {rule: round(f1(wrong, find_label_issues(given, probs, filter_by=rule, n_jobs=1)), 4) for rule in RULES}
        opinion = judge_labels(given, probs)
        row = {
            "data": path.stem, "own_f1": round(f1(wrong, opinion.wrong > 0.5), 4), "cleanlab_f1": peers,
            "errors": round(float(wrong.mean()), 4), "estimated": round(opinion.rate, 4),
            "interval": [round(opinion.low, 4), round(opinion.high, 4)],
        }  # fmt: skip
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="50000x10,1000000x10,200000x1000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--classic", action="store_true", help="time only the rules that cleanlab has, too")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SCARCE_DATA", "../shared/data")))
    options = parser.parse_args()
    result = {
        "question": "label errors: cleanlab's masks and our adaptive rule", "seed": 0, "cores": os.cpu_count(),
        "load": os.getloadavg(), "machine": platform.machine(), "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "numba", "cleanlab")},
        "speed": [
            row
            for size in options.sizes.split(",")
            if size
            for row in speed(size, options.rounds, adaptive=not options.classic)
        ],
        "quality": quality(options.data) if options.data.is_dir() else [],
    }  # fmt: skip
    place = Path(__file__).parent / "results" / "label_error.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
