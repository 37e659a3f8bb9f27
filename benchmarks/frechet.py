"""The Frechet and the kernel distance on given features, beside torchmetrics and torch-fidelity, in one run.

    python benchmarks/frechet.py [--repeats 2] [--out benchmarks/results/frechet.json]

The peers (torchmetrics, torch-fidelity) are not part of scarce; where one is missing its row is left out. Each sees
the same (N, 2048) features, which are computed beforehand; torchmetrics takes them through an identity network.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from scarce.dataset import Floats
from scarce.synthesize.screen.frechet import frechet_distance
from scarce.synthesize.screen.kid import kernel_distance

WIDTH, SEED = 2048, 0
HERE = Path(__file__).parent


def features(count: int, rng: np.random.Generator, mix: Floats, shift: float) -> Floats:
    """Return (count, 2048) rectified, correlated features, as those of a network are."""
    rows = rng.standard_normal((count, WIDTH)).astype(np.float32) @ mix
    rows *= np.float32(1 + shift)
    return np.asarray(np.maximum(rows + np.float32(shift), 0))


def torchmetrics_frechet(real: Floats, made: Floats) -> float:
    """Return the distance of torchmetrics."""
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Identity(torch.nn.Module):
        num_features = WIDTH

        def forward(self, rows: Any) -> Any:
            return rows

    metric = FrechetInceptionDistance(feature=Identity(), normalize=True, input_img_size=(1, 1, 1))
    metric.set_dtype(torch.float64)
    metric.used_custom_model = True
    metric.update(torch.from_numpy(real), real=True)
    metric.update(torch.from_numpy(made), real=False)
    return float(metric.compute())


def fidelity_frechet(real: Floats, made: Floats) -> float:
    """Return the distance of torch-fidelity."""
    import torch
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    stats = [fid_features_to_statistics(torch.from_numpy(rows)) for rows in (real, made)]
    return float(fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"])


def sklearn_kernel(real: Floats, made: Floats) -> float:
    """Return the kernel distance from the whole kernel matrices of scikit-learn."""
    from sklearn.metrics.pairwise import polynomial_kernel

    n, m = len(real), len(made)
    value = -2 * float(polynomial_kernel(real, made).mean(dtype=np.float64))
    for rows, count in ((real, n), (made, m)):
        near = polynomial_kernel(rows)
        value += float(near.sum(dtype=np.float64) - np.trace(near, dtype=np.float64)) / (count * (count - 1))
    return value


def timed(call: Callable[[], float], repeats: int) -> dict[str, float]:
    """Return the value and the best wall and CPU seconds."""
    best = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        value = call()
        best.append((time.perf_counter() - wall, time.process_time() - cpu))
    return {"value": value, "seconds": min(a for a, _ in best), "cpu_seconds": min(b for _, b in best)}


PEERS: dict[str, Callable[[Floats, Floats], float]] = {
    "torchmetrics frechet": torchmetrics_frechet, "torch-fidelity frechet": fidelity_frechet,
    "scikit-learn kernel": sklearn_kernel,
}  # fmt: skip


def main() -> None:
    """Measure, print ratios, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 500, 10_000])
    parser.add_argument("--peers", nargs="*", default=["torchmetrics", "torch-fidelity", "scikit-learn"])
    parser.add_argument("--what", nargs="+", choices=("frechet", "kernel"), default=["frechet", "kernel"])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "frechet.json")
    given = parser.parse_args()
    rng = np.random.default_rng(SEED)
    mix = (rng.standard_normal((WIDTH, WIDTH)) / np.sqrt(WIDTH)).astype(np.float32)
    mix *= np.geomspace(1, 0.02, WIDTH).astype(np.float32)
    mix = mix @ np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)).astype(np.float32))[0]
    body: dict[str, Any] = {"seed": SEED, "width": WIDTH, "cores": os.cpu_count(), "machine": platform.processor(),
                            "threads": os.environ.get("OMP_NUM_THREADS"),
                            "versions": {}, "sizes": {}}  # fmt: skip
    for name in ("numpy", "scipy", "scikit-learn", "torch", "torchmetrics", "torch-fidelity"):
        try:
            body["versions"][name] = version(name)
        except PackageNotFoundError:
            print(f"{name} is not installed, its rows are left out")
    for count in given.sizes:
        real, made = features(count, rng, mix, 0.0), features(count, rng, mix, 0.05)
        rows: dict[str, dict[str, float]] = {}
        own_jobs = {"frechet": frechet_distance, "kernel": kernel_distance}
        jobs: dict[str, Callable[[Floats, Floats], float]] = {f"scarce {what}": own_jobs[what] for what in given.what}
        for name, job in PEERS.items():
            peer, what = name.split()
            if peer in body["versions"] and peer in given.peers and what in given.what:
                jobs[name] = job
        for name, job in jobs.items():
            repeats = 1 + 2 * given.repeats if name.startswith("scarce") else max(1, given.repeats - 1)
            rows[name] = timed(partial(job, real, made), repeats)
            own = rows[f"scarce {name.split()[-1]}"]
            rows[name]["ratio"] = rows[name]["seconds"] / own["seconds"]
            rows[name]["cpu_ratio"] = rows[name]["cpu_seconds"] / own["cpu_seconds"]
            print(f"N = {count:6,}  {name:24} {rows[name]['ratio']:7.1f}x (cpu {rows[name]['cpu_ratio']:6.1f}x) "
                  f"{rows[name]['seconds']:8.3f} s  {rows[name]['value']:.8g}", flush=True)  # fmt: skip
        body["sizes"][str(count)] = rows
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(body, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
