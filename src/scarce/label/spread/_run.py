"""Spread the labels of a dataset over its unlabelled samples."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scarce import registry
from scarce.dataset import Dataset, Floats, Ints
from scarce.errors import ConfigError, DataError
from scarce.label._write import EVALUATED, Labels, free_rows, spoken, with_labels
from scarce.label.spread._base import AbstractSpread, balanced
from scarce.label.spread._graph import Graph, neighbor_graph
from scarce.lineage import Step
from scarce.metric import clopper_pearson

DEFAULT: Final = "spectral"
FOLDS: Final = 5
FEWEST_TO_CHECK: Final = 20
"""With fewer labels that can be held out, probabilities are left as they are and called unchecked."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is spread, how far, and what becomes a label.

    Attributes:
        method: name of the method; ``auto`` = spectral.
        embedding: whose features make the graph; empty = the newest.
        neighbors: edges of each sample.
        shares: class name to wanted share; empty = those of the labels; ``{"*": 1}`` = all the same.
        confidence: probabilities from here on become labels.
        settings: parameters of the method.
    """

    method: str = "auto"
    embedding: str = ""
    neighbors: int = 10
    shares: Mapping[str, float] | None = None
    confidence: float = 0.8
    settings: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Checked:
    """How good spread labels are, by labels that were held out.

    Attributes:
        samples: how many were held out; 0 = too few to check.
        right: how many of them were named rightly.
        temperature: what probabilities were sharpened (< 1) or flattened (> 1) by.
        confident: how many of them reached the wanted confidence.
        confident_right: how many of those were right.
    """

    samples: int = 0
    right: int = 0
    temperature: float = 1.0
    confident: int = 0
    confident_right: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values with 95 % intervals."""
        body: dict[str, Any] = {"held_out": self.samples, "temperature": round(self.temperature, 3)}
        for name, right, n in (
            ("accuracy", self.right, self.samples), ("precision", self.confident_right, self.confident)
        ):  # fmt: skip
            low, high = clopper_pearson(right, n) if n else (None, None)
            body[name] = {"value": right / n if n else None, "n": n, "low": low, "high": high}
        return body


def run(
    ds: Dataset, options: Options | None = None, *, seed: int = 0, workers: int | None = None
) -> tuple[Dataset, dict[str, Any]]:
    """Label what the labelled samples' neighbors make clear; return the dataset and what was done.

    Labels of people in train and pool are spread over the kept real samples there; evaluation samples are neither
    source nor target. Only confident ones become labels (source ``model``, with soft labels); the rest stay without.

    Args:
        ds: has features.
        options: see :class:`Options`.
        seed: of the modes and the folds.
        workers: threads; None = all cores.

    Raises:
        DataError: no features, no label, or a class with a share and without a label.
        UnknownNameError: no such method.
    """
    options, started = options or Options(), time.perf_counter()
    if not 0.0 <= options.confidence <= 1.0:
        raise ConfigError("label.spread", f"confidence = {options.confidence}", "wanted is 0 to 1")
    kind = registry.load("label.spread", plugin_of(options.method), AbstractSpread)  # type: ignore[type-abstract]
    plugin = kind.from_params(options.settings or {})
    nodes, column, features = _nodes(ds, options.embedding)
    labels = np.where(spoken(ds), ds["label"], -1)[nodes].astype(np.int64)
    shares = _shares(ds, labels, options.shares)
    graph = neighbor_graph(features, neighbors=options.neighbors, seed=seed, workers=workers)
    checked = check(graph, labels, shares, plugin, confidence=options.confidence, seed=seed)
    probs = tempered(plugin.spread(graph, labels, shares), checked.temperature)
    best, top = probs.argmax(axis=1), probs.max(axis=1)
    chosen = (labels < 0) & free_rows(ds, "model")[nodes] & (top >= options.confidence)
    params = {
        "method": plugin.plugin_name(), **plugin.params(), "embedding": column, "neighbors": options.neighbors,
        "shares": [round(float(share), 6) for share in shares], "confidence": options.confidence,
    }  # fmt: skip
    step = Step(stage="label", name="spread", params=params, seed=seed).stamped(seconds=time.perf_counter() - started)
    new = Labels(nodes[chosen], best[chosen], "model", probs[chosen])
    counts = np.bincount(best[chosen], minlength=len(shares))
    body = {
        "method": plugin.plugin_name(), "labels": int((labels >= 0).sum()), "unlabelled": int((labels < 0).sum()),
        "written": int(chosen.sum()), "left": int(((labels < 0) & ~chosen).sum()),
        "per_class": {cls: int(count) for cls, count in zip(ds.schema.classes, counts, strict=True)},
        "check": checked.to_json(), "seconds": round(time.perf_counter() - started, 2),
    }  # fmt: skip
    return with_labels(ds, new, step), body


def plugin_of(method: str) -> str:
    """Return the plugin's name of a method; ``auto`` is spectral.

    Raises:
        UnknownNameError: no such method.
    """
    name = DEFAULT if method == "auto" else method
    return registry.load("label.spread", name, AbstractSpread).plugin_name()  # type: ignore[type-abstract]


def check(
    graph: Graph, labels: Ints, shares: Floats, plugin: AbstractSpread, *, confidence: float, seed: int
) -> Checked:
    """Hold labels out in folds, spread the others, and see how the held-out ones are named.

    Every class keeps a label in every fold; classes with one label are never held out. With fewer than
    ``FEWEST_TO_CHECK`` such labels nothing is claimed. The temperature is fitted on the same held-out labels that the
    precision is counted on: one number on at least twenty labels.

    Args:
        graph: as the method takes it.
        labels: (N,) codes, -1 = not labelled.
        shares: (K,) of the classes.
        plugin: the method.
        confidence: from where on a label counts as confident.
        seed: of the folds.
    """
    rng = np.random.default_rng([seed, 5])
    fold = np.full(len(labels), -1)
    for code in np.unique(labels[labels >= 0]):
        rows = rng.permutation(np.flatnonzero(labels == code))
        if len(rows) > 1:
            fold[rows] = np.arange(len(rows)) % min(FOLDS, len(rows))
    held = np.flatnonzero(fold >= 0)
    if len(held) < FEWEST_TO_CHECK:
        return Checked()
    probs: Floats = np.empty((len(held), len(shares)))
    for number in range(fold.max() + 1):
        out = fold[held] == number
        if out.any():
            probs[out] = plugin.spread(graph, np.where(fold == number, -1, labels), shares)[held[out]]
    from scarce.metric.calibration import fit_temperature

    truth = labels[held]
    temperature = float(fit_temperature(np.log(np.maximum(probs, 1e-9)), truth))
    probs = tempered(probs, temperature)
    right, sure = probs.argmax(axis=1) == truth, probs.max(axis=1) >= confidence
    return Checked(len(held), int(right.sum()), temperature, int(sure.sum()), int((right & sure).sum()))


def tempered(probs: Floats, temperature: float) -> Floats:
    """Return (N, K) probabilities whose logarithms are divided by the temperature."""
    flat = np.full(probs.shape[1], 1.0 / probs.shape[1])
    return balanced(np.log(np.maximum(probs, 1e-12)) / temperature, flat, rounds=0)


def _nodes(ds: Dataset, embedding: str) -> tuple[Ints, str, Floats]:
    found = [column for column in ds.wide if column.startswith("embedding.")]
    column = f"embedding.{embedding}" if embedding else (found[-1] if found else "embedding")
    if column not in ds.wide:
        there = f"there is {', '.join(found) or 'no embedding'}"
        raise DataError("label.spread", f"there is no {column}", there, "run scarce encode")
    features = np.asarray(ds.wide[column], np.float32)
    use = ds["keep"].astype(bool) & (ds["origin"] == "real") & ~np.isin(ds["split"].astype(str), EVALUATED)
    nodes = np.flatnonzero(use & np.isfinite(features).all(axis=1))
    return nodes, column, features[nodes]


def _shares(ds: Dataset, labels: Ints, wanted: Mapping[str, float] | None) -> Floats:
    classes = ds.schema.classes
    counts = np.bincount(labels[labels >= 0], minlength=len(classes)).astype(np.float64)
    if not counts.any():
        raise DataError("label.spread", "no sample of train or pool has a label that a person gave",
                        do="label at least one sample of every class")  # fmt: skip
    if not wanted:
        return np.asarray(counts / counts.sum())
    unknown = [name for name in wanted if name != "*" and name not in classes]
    if unknown or any(not share >= 0 for share in wanted.values()):
        what = f"shares are {dict(wanted)}"
        raise DataError("label.spread", what, f"the classes are {', '.join(classes)}", "give shares >= 0 of these")
    shares = np.array([wanted.get(name, wanted.get("*", 0.0)) for name in classes], np.float64)
    missing = [name for name, share, count in zip(classes, shares, counts, strict=True) if share > 0 and not count]
    if missing or not shares.sum() > 0:
        what = f"{', '.join(missing) or 'no class'} has a share and no label" if missing else "all shares are 0"
        raise DataError("label.spread", what, do="label at least one sample of every class, or set its share to 0")
    return np.asarray(shares / shares.sum())
