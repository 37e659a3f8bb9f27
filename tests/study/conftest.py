from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from scarce.dataset import Dataset, Schema
from scarce.probe import Projection


@pytest.fixture(scope="session")
def pictures(garments: Path) -> Dataset:
    """2,000 balanced garments with principal components of the pixels as features."""
    table = pq.read_table(garments, columns=["image", "label", "split"]).to_pylist()
    rows = [row for row in table if row["split"] == "test"]
    raw = [row["image"]["bytes"] if isinstance(row["image"], dict) else row["image"] for row in rows]
    pixels = np.stack([cv2.imdecode(np.frombuffer(item, np.uint8), cv2.IMREAD_GRAYSCALE).ravel() for item in raw])
    points = pixels.astype(np.float32) / 255
    classes = tuple(sorted({row["label"] for row in rows}))
    ds = Dataset.from_columns(
        Schema(modality="image", task="class", classes=classes),
        {
            "id": [f"s{row:05d}" for row in range(len(rows))], "label": [row["label"] for row in rows],
            "label_source": ["given"] * len(rows),
            "split": ["test" if row % 5 == 0 else "train" for row in range(len(rows))],
        },
    )  # fmt: skip
    return ds.with_columns({"embedding.pca": Projection.fit(points, components=32)(points)})
