from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from scarce.augment import cutmix, mixup, mosaic
from scarce.errors import ScarceError

Mix = Callable[..., tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]
MIXES = [mixup.mix, cutmix.mix, mosaic.mix]


@pytest.fixture(scope="module")
def batch(garments: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """40 real garments and their class codes."""
    rows = pq.read_table(garments).slice(0, 4000).take(list(range(0, 4000, 100)))
    images = [cv2.imdecode(np.frombuffer(cell.as_py(), np.uint8), cv2.IMREAD_GRAYSCALE) for cell in rows["image"]]
    _, codes = np.unique(rows["label"].to_pylist(), return_inverse=True)
    return np.stack(images), codes


@pytest.mark.parametrize("mix", MIXES)
def test_mixes_keep_their_input_and_say_the_same_twice(mix: Mix, batch: Any) -> None:
    images, codes = batch
    before = images.copy()
    found, shares = mix(images, codes, seed=3)
    again, _ = mix(images, codes, seed=3)
    assert np.array_equal(images, before)
    assert np.array_equal(found, again)
    assert found.shape == images.shape
    assert found.dtype == np.uint8
    assert shares.shape == (40, codes.max() + 1)
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert not np.array_equal(mix(images, codes, seed=4)[0], found)
    color = np.repeat(images[..., None], 3, axis=3)
    assert np.array_equal(mix(color, np.eye(codes.max() + 1)[codes], seed=3)[0][..., 1], found)


def test_the_label_says_what_the_pixels_show() -> None:
    """Pictures whose value is their class: the mean of a mix is the mean of its label."""
    images = np.repeat(np.arange(10, dtype=np.float32), 400).reshape(10, 20, 20)
    for mix in MIXES:
        found, shares = mix(images, np.arange(10), seed=1)
        assert np.allclose(found.mean(axis=(1, 2)), shares @ np.arange(10), atol=1e-4)


def test_shares_follow_their_distribution() -> None:
    images = np.repeat(np.arange(4000) % 2, 64).reshape(4000, 8, 8).astype(np.float32)
    labels = np.eye(4000, dtype=np.float32)
    _, shares = mixup.mix(images, labels, alpha=0.4, seed=0)
    own = np.diag(shares)
    assert abs(own.mean() - 0.5) < 0.03
    assert abs(own.var() - 1 / (4 * (2 * 0.4 + 1))) < 0.01


def test_boxes_of_a_mosaic_are_where_their_objects_are() -> None:
    images, boxes = [], []
    for place in range(4):
        image = np.zeros((60, 80), np.uint8)
        image[20:40, 16:48] = 50 * (place + 1)
        images.append(image)
        boxes.append(np.array([[16.0, 20, 48, 40]]))
    found, moved, areas = mosaic.tile(images, np.array([0.4, 0.7]), boxes)
    assert areas.sum() == pytest.approx(1)
    for place, [(x0, y0, x1, y1)] in enumerate(moved):
        rows, cols = np.nonzero(found > 0)
        inside = (rows + 1 > y0 - 1) & (rows < y1 + 1) & (cols + 1 > x0 - 1) & (cols < x1 + 1)
        assert np.abs([cols[inside].min() - x0, cols[inside].max() + 1 - x1]).max() <= 1.01
        assert np.abs([rows[inside].min() - y0, rows[inside].max() + 1 - y1]).max() <= 1.01
        assert found[int((y0 + y1) / 2), int((x0 + x1) / 2)] == 50 * (place + 1)


@pytest.mark.parametrize("wrong", [
    lambda: mixup.mix(np.zeros((3, 4, 4)), np.zeros(2, int), seed=0),
    lambda: mixup.mix(np.zeros((3, 4, 4)), np.zeros(3), seed=0),
    lambda: cutmix.mix(np.zeros((3, 4, 4)), np.zeros(3, int), alpha=0.0, seed=0),
    lambda: mosaic.mix(np.zeros((3, 4, 4)), np.zeros(3, int), spread=0.7, seed=0),
    lambda: mosaic.tile([np.zeros((4, 4))], np.array([0.5, 0.5])),
])  # fmt: skip
def test_wrong_input_is_refused(wrong: Any) -> None:
    with pytest.raises(ScarceError, match="augment"):
        wrong()
