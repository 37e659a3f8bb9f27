"""One to ten labels of every class on all 70,000 pictures of Fashion-MNIST, beside the published figures.

python benchmarks/few_labels.py --cache FOLDER [--draws 100] [--peer-draws 20]

The protocol of Poisson learning (Calder and others 2020): balanced random draws of labelled pictures, all 70,000 as
the pool, accuracy on those without a label. Its draws point into an order of the pictures that is not public, so ours
are as many, not the same. The published figures use auto-encoder features, ours are stated in the results; Poisson
learning on our features tells the method from the features. The shares of the classes are those of the
(balanced) labels, as for the published PoissonMBO. Damping and sharpness were chosen on other draws of these pictures
(4 on all of them, 5 on 8,000).
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np
import scipy
from fashion import ABOUT, features, hardware, load
from scipy import sparse

from scarce.label.spread import Graph, fit_poisson, neighbor_graph
from scarce.label.spread.spectral import shared_probs, slow_potential
from scarce.probe import leading

RESULTS = Path(__file__).parent / "results" / "few_labels.json"
RATES = (1, 2, 3, 5, 10)
PUBLISHED = {
    "laplace": {1: 18.4, 2: 32.5, 3: 44.0, 5: 57.9, 10: 70.6},
    "poisson": {1: 60.8, 2: 66.1, 3: 69.6, 5: 72.4, 10: 75.2},
    "poisson_mbo": {1: 62.0, 2: 67.2, 3: 70.4, 5: 73.1, 10: 76.1},
}


def graph_of(rows: np.ndarray, cache: Path) -> tuple[Graph, dict[str, float]]:
    """Return the graph and its slow modes, kept in ``cache``, and the seconds of one core that they took."""
    place, modes, seconds = cache / "fashion_graph.npz", cache / "fashion_modes.npz", cache / "fashion_seconds.json"
    if not (place.exists() and modes.exists()):
        begun = time.process_time()
        sample = rows[np.sort(np.random.default_rng(0).choice(len(rows), 20_000, replace=False))]
        middle = sample.mean(0)
        basis = leading((sample - middle).T @ (sample - middle) / len(sample), 96)[1]
        graph = neighbor_graph((rows - middle) @ basis, neighbors=10, modes=200, seed=0)
        built = time.process_time()
        np.savez(modes, speed=graph.slow[0], modes=graph.slow[1])
        sparse.save_npz(place, graph.weights)
        seconds.write_text(json.dumps({"graph": built - begun, "modes": time.process_time() - built}))
    graph = Graph(sparse.load_npz(place), 200)
    kept = np.load(modes)
    graph.__dict__["slow"] = (kept["speed"], kept["modes"])
    return graph, json.loads(seconds.read_text())


def answers(graph: Graph, labels: np.ndarray, *, peer: bool) -> dict[str, np.ndarray]:
    """Return method to (N,) answers: ours, or those of Poisson learning."""
    if peer:
        potential = fit_poisson(graph, labels, 10, start=slow_potential(graph, labels, 10, damping=0.0))
    else:
        potential = slow_potential(graph, labels, 10)
    shared = shared_probs(potential, labels, np.full(10, 0.1)).argmax(1)
    names = ("poisson", "poisson_with_shares") if peer else ("spectral_without_shares", "spectral")
    return dict(zip(names, (potential.argmax(1), shared), strict=True))


def measured(graph: Graph, truth: np.ndarray, each: int, *, draws: int, peer: bool) -> dict[str, dict[str, float]]:
    """Return method to mean, standard deviation (percent) and number of draws."""
    members = [np.flatnonzero(truth == code) for code in range(10)]
    scores: dict[str, list[float]] = {}
    for draw in range(draws):
        rng = np.random.default_rng([0, each, draw])
        rows = np.concatenate([rng.choice(rows_of, each, replace=False) for rows_of in members])
        labels = np.full(len(truth), -1)
        labels[rows] = truth[rows]
        rest = labels < 0
        for name, answer in answers(graph, labels, peer=peer).items():
            scores.setdefault(name, []).append(float((answer[rest] == truth[rest]).mean()))
    return {
        name: {"mean": round(100 * np.mean(row), 2), "sd": round(100 * np.std(row, ddof=1), 2), "draws": len(row)}
        for name, row in scores.items()
    }


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--peer-draws", type=int, default=20)
    parser.add_argument("--rates", type=int, nargs="*", default=RATES, help="others keep what was measured before")
    chosen = parser.parse_args()
    truth = load()[1]
    graph, seconds = graph_of(features(chosen.cache), chosen.cache)
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"percent": {}}
    table: dict[str, dict[str, dict[str, float]]] = {str(each): {} for each in RATES} | kept["percent"]
    body: dict[str, object] = {
        "features": ABOUT, "graph": "10 nearest neighbors, exact, on 96 principal components", "modes": 200,
        "cpu_seconds": {name: round(value, 1) for name, value in seconds.items()}, "seed": 0,
        "published_percent": PUBLISHED, "python": platform.python_version(), "numpy": np.__version__,
        "scipy": scipy.__version__, "hardware": hardware(), "percent": table,
    }  # fmt: skip
    for peer, draws in ((False, chosen.draws), (True, chosen.peer_draws)):
        if not draws:
            continue
        for each in chosen.rates:
            begun = time.process_time()
            table[str(each)] |= measured(graph, truth, each, draws=draws, peer=peer)
            spent = round((time.process_time() - begun) / draws, 2)
            print(each, json.dumps(table[str(each)]), f"{spent} s of one core a draw", flush=True)
            RESULTS.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
