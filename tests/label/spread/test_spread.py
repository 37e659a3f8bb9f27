"""A few labels, spread over real garments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from scarce.dataset import Array, Dataset, Schema
from scarce.errors import ConfigError, DataError, UnknownNameError
from scarce.label import spread
from scarce.label.spread._graph import nearest, slow_modes
from scarce.label.spread.spectral import slow_potential
from scarce.probe import Projection


@pytest.fixture(scope="module")
def pictures(garments: Path) -> tuple[Array, Array, tuple[str, ...]]:
    """2,000 balanced garments: (N, 32) principal components of the pixels, codes, class names."""
    table = pq.read_table(garments, columns=["image", "label", "split"]).to_pylist()
    rows = [row for row in table if row["split"] == "test"]
    raw = [row["image"]["bytes"] if isinstance(row["image"], dict) else row["image"] for row in rows]
    pixels = np.stack([cv2.imdecode(np.frombuffer(item, np.uint8), cv2.IMREAD_GRAYSCALE).ravel() for item in raw])
    classes, codes = np.unique([row["label"] for row in rows], return_inverse=True)
    points = pixels.astype(np.float32) / 255.0
    return Projection.fit(points, components=32)(points), codes, tuple(classes.tolist())


@pytest.fixture(scope="module")
def graph(pictures: tuple[Array, Array, tuple[str, ...]]) -> spread.Graph:
    return spread.neighbor_graph(pictures[0], modes=80)


def some(codes: Array, each: int, seed: int) -> Array:
    """All codes but a few of every class replaced by -1."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.choice(np.flatnonzero(codes == code), each, replace=False) for code in range(10)])
    out = np.full(len(codes), -1)
    out[rows] = codes[rows]
    return out


def accuracy(probs: Array, labels: Array, codes: Array) -> float:
    rest = labels < 0
    return float((probs.argmax(axis=1)[rest] == codes[rest]).mean())


def test_neighbors_are_those_of_scikit_learn(pictures: Any) -> None:
    from sklearn.neighbors import NearestNeighbors

    points = pictures[0]
    rows, far = nearest(points, 10)
    wanted, _ = NearestNeighbors(n_neighbors=11, algorithm="brute").fit(points).kneighbors(points)
    np.testing.assert_allclose(far, wanted[:, 1:], atol=2e-3)
    assert (rows != np.arange(len(points))[:, None]).all()


def test_slow_modes_are_those_of_the_dense_matrix(pictures: Any) -> None:
    graph = spread.neighbor_graph(pictures[0][:600], modes=20)
    speed, modes = slow_modes(graph.weights, 20)
    scale = 1 / np.sqrt(graph.degree)
    dense = np.eye(600) - scale[:, None] * graph.weights.toarray() * scale
    np.testing.assert_allclose(speed, np.clip(np.linalg.eigvalsh(dense)[:20], 0, 2), atol=1e-3)
    np.testing.assert_allclose(dense @ modes, modes * speed, atol=1e-2)


def test_parts_that_hang_on_nothing_are_tied_to_the_nearest(pictures: Any) -> None:
    from scipy.sparse.csgraph import connected_components

    points = pictures[0][:90].copy()
    points[:30] += 100.0
    points[30:60] += 300.0
    graph = spread.neighbor_graph(points, neighbors=3)
    assert connected_components(graph.weights, directed=False)[0] == 1
    far = np.linalg.norm(points[30:60, None] - points[None, :30], axis=2)
    first, second = np.unravel_index(far.argmin(), far.shape)
    assert graph.weights[30 + first, second] > 0


def test_potentials_solve_their_equation(graph: spread.Graph, pictures: Any) -> None:
    labels = some(pictures[1], 3, 0)
    found = spread.fit_poisson(graph, labels, 10)
    flow = graph.degree[:, None] * found - graph.weights @ found
    seeds = labels >= 0
    assert np.abs(flow[~seeds]).max() < 1e-3
    start = slow_potential(graph, labels, 10, damping=0.0)
    again = spread.fit_poisson(graph, labels, 10, start=start)
    np.testing.assert_allclose(again, found, atol=1e-3 * np.abs(found).max())
    right = np.eye(10)[labels[seeds]]
    np.testing.assert_allclose(flow[seeds], right - right.mean(axis=0), atol=1e-3)


def test_label_propagation_is_harmonic(graph: spread.Graph, pictures: Any) -> None:
    labels = some(pictures[1], 20, 0)
    probs = spread.fit_laplace(graph, labels, 10)
    mean = (graph.weights @ probs) / graph.degree[:, None]
    np.testing.assert_allclose(probs[labels < 0], mean[labels < 0], atol=1e-3)
    np.testing.assert_array_equal(probs[labels >= 0].argmax(axis=1), labels[labels >= 0])


def test_three_labels_a_class_name_most_garments_and_more_than_the_peers(graph: spread.Graph, pictures: Any) -> None:
    codes = pictures[1]
    share = np.full(10, 0.1)
    found: dict[str, list[float]] = {"spectral": [], "poisson": [], "laplace": []}
    for seed in range(5):
        labels = some(codes, 3, seed)
        found["spectral"].append(accuracy(spread.fit_spectral(graph, labels, share), labels, codes))
        found["poisson"].append(accuracy(spread.fit_poisson(graph, labels, 10), labels, codes))
        found["laplace"].append(accuracy(spread.fit_laplace(graph, labels, 10), labels, codes))
    mean = {name: float(np.mean(values)) for name, values in found.items()}
    assert mean["spectral"] > max(mean["poisson"], mean["laplace"])
    assert mean["spectral"] > 0.6


def test_every_class_gets_its_share() -> None:
    rng = np.random.default_rng(0)
    shares = np.array([0.7, 0.2, 0.1, 0.0])
    probs = spread.balanced(rng.normal(size=(5000, 4)), shares)
    np.testing.assert_allclose(probs.mean(axis=0), shares, atol=2e-3)
    np.testing.assert_allclose(probs.sum(axis=1), 1.0)


def as_dataset(pictures: Any, each: int) -> Dataset:
    points, codes, classes = pictures
    labels = some(codes, each, 1)
    names = [classes[code] if code >= 0 else None for code in labels]
    held = np.flatnonzero(labels < 0)[:50]
    split = np.full(len(codes), "train", object)
    split[held] = "test"
    ds = Dataset.from_columns(
        Schema(modality="image", task="class", classes=classes),
        {
            "id": [f"s{row:05d}" for row in range(len(codes))], "label": names,
            "label_source": ["given" if name else None for name in names], "split": split.tolist(),
        },
    )  # fmt: skip
    return ds.with_columns({"embedding.pca": points})


def test_only_confident_labels_are_written_and_held_out_labels_say_how_good_they_are(pictures: Any) -> None:
    ds = as_dataset(pictures, 10)
    options = spread.Options(confidence=0.9, shares={"*": 1.0})
    done, body = spread.run(ds, options, seed=0)
    new = (done["label_source"].astype(str) == "model") & (done["label"] >= 0)
    assert body["written"] == new.sum() > 300
    assert not new[ds["split"] == "test"].any()
    before = ds["label"] >= 0
    np.testing.assert_array_equal(done["label"][before], ds["label"][before])
    precision = body["check"]["precision"]
    true = float((done["label"] == pictures[1])[new].mean())
    assert precision["low"] - 0.03 <= true <= precision["high"] + 0.03
    assert true > body["check"]["accuracy"]["value"]
    again, _ = spread.run(ds, options, seed=0)
    np.testing.assert_array_equal(again["label"], done["label"])


def test_nothing_is_claimed_with_one_label_a_class(pictures: Any) -> None:
    _, body = spread.run(as_dataset(pictures, 1))
    assert body["check"]["held_out"] == 0
    assert body["check"]["precision"]["value"] is None


def test_bad_input_is_refused(pictures: Any) -> None:
    ds = as_dataset(pictures, 1)
    with pytest.raises(DataError, match="no embedding"):
        spread.run(Dataset(ds.schema, ds.table))
    with pytest.raises(DataError, match="has a label that a person gave"):
        spread.run(ds.with_columns({"label": [None] * len(ds), "label_source": [None] * len(ds)}))
    with pytest.raises(UnknownNameError, match="spectral"):
        spread.run(ds, spread.Options(method="spectrum"))
    with pytest.raises(ConfigError, match="confidence"):
        spread.run(ds, spread.Options(confidence=1.5))
    with pytest.raises(DataError, match="give shares"):
        spread.run(ds, spread.Options(shares={"Hat": 1.0}))
    with pytest.raises(DataError, match="not finite"):
        spread.neighbor_graph(np.full((5, 2), np.nan))
    with pytest.raises(DataError, match="there are 10 classes"):
        spread.fit_poisson(spread.neighbor_graph(pictures[0][:20]), np.full(20, 10), 10)
