"""Real garments as small folds; networks of a few steps."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import numpy as np
import pyarrow.parquet as pq
import pytest

from scarce.dataset import Dataset, FoldView, Schema

CLASSES = ("normal", "Trouser", "Bag")
SOURCE = ("T-shirt", "Trouser", "Bag")


def rows_of(garments: Path, counts: tuple[int, ...], *, skip: int = 0) -> tuple[list[int], list[str]]:
    labels = np.array(pq.read_table(garments, columns=["label"])["label"].to_pylist())
    rows: list[int] = []
    for name, count in zip(SOURCE, counts, strict=True):
        rows += np.flatnonzero(labels == name)[skip : skip + count].tolist()
    names = dict(zip(SOURCE, CLASSES, strict=True))
    return rows, [names[labels[row]] for row in rows]


@pytest.fixture(scope="session")
def fold(garments: Path) -> FoldView:
    """48 + 24 + 12 training garments, T-shirts being the normal class, and 20 + 20 + 8 that are judged."""
    rows, labels = rows_of(garments, (68, 44, 20))
    judged = np.zeros(len(rows), bool)
    for name, count in zip(CLASSES, (20, 20, 8), strict=True):
        judged[np.flatnonzero(np.array(labels) == name)[-count:]] = True
    ds = Dataset.from_columns(
        Schema(classes=CLASSES, normal_classes=("normal",)),
        {
            "id": [f"{row:06d}" for row in rows], "uri": [f"{garments.name}#{row}:image" for row in rows],
            "source": ["garments"] * len(rows), "label": labels,
        },
        sources={"garments": str(garments.parent)},
    )  # fmt: skip
    ids = np.array([f"{row:06d}" for row in rows])
    return ds.fold(ids[~judged], ids[judged])


@pytest.fixture(scope="session")
def featured(fold: FoldView) -> FoldView:
    """The same fold with features: the pixels of the thumbnails, halved in size."""
    from scarce.modality import open_samples

    images = np.stack([np.asarray(image) for image in open_samples(fold.dataset, np.arange(len(fold.dataset)))])
    gray = images.reshape(len(images), 28, 28, -1)[..., 0].astype(np.float32)
    features = gray.reshape(-1, 7, 4, 7, 4).mean((2, 4)).reshape(len(images), -1) / 255
    ds = fold.dataset.with_columns({"embedding.pixels": features})
    return ds.fold(fold.train_ids, fold.eval_ids)
