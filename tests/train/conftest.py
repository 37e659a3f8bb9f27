"""Real garments as small folds; networks of a few steps."""

from __future__ import annotations

import csv
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import numpy as np
import pyarrow.parquet as pq
import pytest

from scarce import io
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


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread, as small networks are quickest, and give the others back."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def boards(shared_data: Path) -> Dataset:
    """Six boards of deep_pcb with their boxes."""
    folder = shared_data / "deep_pcb"
    drawn: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with (folder / "boxes.csv").open() as file:
        for row in csv.DictReader(file):
            drawn[row["id"]].append({"label": row["class"], **{key: int(row[key]) for key in ("x1", "y1", "x2", "y2")}})
    ds = io.read(folder / "pairs.csv")
    ds = ds.take(np.flatnonzero(np.arange(len(ds)) % 250 == 0))
    ds = ds.with_columns({"meta.boxes": [json.dumps(drawn[Path(uri).stem]) for uri in ds["uri"]]})
    names = tuple(sorted({box["label"] for boxes in drawn.values() for box in boxes}))
    return replace(ds, schema=replace(ds.schema, classes=names))
