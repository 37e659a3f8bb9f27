from __future__ import annotations

import gzip

import numpy as np

from scarce.encode.pixel import WIDTH, Pixel, pixel_features
from scarce.probe import LinearProbe


def test_range_shape_and_independence():
    rng = np.random.default_rng(0)
    pictures = [
        rng.integers(0, 255, (40, 30, 3)).astype(np.uint8),
        np.zeros((64, 64), np.uint8),
        np.full((8, 90), 255, np.uint8),
    ]
    found = Pixel().embed(pictures)
    assert found.shape == (3, WIDTH)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_array_equal(Pixel().embed(pictures[1:2])[0], found[1])
    assert pixel_features([]).shape == (0, WIDTH)


def test_color_and_direction_are_seen():
    ramp = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    across, down = pixel_features([ramp, ramp.T.copy()])
    assert np.linalg.norm(across - down) > 1
    red, blue = np.zeros((2, 64, 64, 3), np.uint8)
    red[..., 0], blue[..., 2] = 200, 200
    a, b = pixel_features([red, blue])
    assert np.linalg.norm(a - b) > 1


def test_beats_raw_pixels_on_real_garments(fashion):
    def read(name: str, offset: int) -> np.ndarray:
        with gzip.open(fashion / name) as file:
            return np.frombuffer(file.read(), np.uint8, offset=offset)

    images = read("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)[:1800]
    labels = read("t10k-labels-idx1-ubyte.gz", 8)[:1800].astype(np.int64)

    def accuracy(features: np.ndarray) -> float:
        probe = LinearProbe().fit(features[:1000], labels[:1000], 10)
        return float((probe.predict_proba(features[1000:]).argmax(1) == labels[1000:]).mean())

    ours = accuracy(Pixel(size=32).embed(list(images)))
    raw = accuracy(images.reshape(len(images), -1).astype(np.float32) / 255)
    assert ours > raw + 0.02
    assert ours > 0.82
