"""A small dataset without files: labels, groups and features that separate the classes, one of them rare."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scarce.dataset import Dataset, Schema
from scarce.lineage import digest

COUNTS = {"good": 60, "scratch": 20, "stain": 8}


def tiny_dataset(counts: Mapping[str, int] = COUNTS, *, dimensions: int = 16, seed: int = 0) -> Dataset:
    """Return N real samples with ``label``, ``embedding.tiny`` (N, D) and ``pred_probs.tiny`` (N, K).

    Args:
        counts: class name to number of samples; ``good`` is the sound class.
        dimensions: D of the features.
        seed: of the features.
    """
    rng = np.random.default_rng(seed)
    labels = [name for name, count in counts.items() for _ in range(count)]
    codes = np.repeat(np.arange(len(counts)), list(counts.values()))
    names = [f"{label}/{place:03d}.png" for place, label in enumerate(labels)]
    schema = Schema(classes=tuple(counts), normal_classes=tuple(name for name in counts if name == "good"))
    ids = [digest("tiny", name)[:16] for name in names]
    centers = rng.normal(size=(len(counts), dimensions)) * 3
    features = (centers[codes] + rng.normal(size=(len(codes), dimensions))).astype(np.float32)
    distance = ((features[:, None] - centers[None]) ** 2).sum(2)
    score = np.exp(-0.5 * (distance - distance.min(1, keepdims=True)))
    ds = Dataset.from_columns(
        schema, {"id": ids, "uri": names, "source": ["tiny"] * len(ids), "label": labels, "content_hash": ids}
    )
    rank = np.argsort(ids)
    probs = (score / score.sum(1, keepdims=True)).astype(np.float32)
    return ds.with_columns({"embedding.tiny": features[rank], "pred_probs.tiny": probs[rank]})
