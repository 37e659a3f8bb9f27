from __future__ import annotations

import numpy as np
import pytest

from scarce.dataset import Dataset, Schema
from scarce.encode.series import TRIPLES, Series, pattern_shares
from scarce.probe import LinearProbe


def test_shares_match_plain_convolution():
    curve = np.random.default_rng(0).normal(size=40)
    found = pattern_shares(curve[None])[0].reshape(-1, 84, 3)
    assert found.shape[0] == 3, "scales 1, 2 and 4 fit into 40 points"
    for scale, place in ((1, 0), (2, 1), (4, 2)):
        for number in (0, 41, 83):
            kernel = np.full(9, -1.0)
            kernel[list(TRIPLES[number])] = 2.0
            padded = np.pad(curve, 4 * scale)
            answer = np.array([kernel @ padded[i : i + 8 * scale + 1 : scale] for i in range(40)])
            wanted = [(answer > bias).mean() for bias in (-1, 0, 1)]
            np.testing.assert_allclose(found[place, number], wanted, atol=0.03)


def test_lengths_channels_and_holes():
    rng = np.random.default_rng(1)
    samples = [rng.normal(size=(2, n)).astype(np.float32) for n in (30, 64, 500)]
    samples[1][0, 10:14] = np.nan
    found = Series(length=64).embed(samples)
    assert found.shape == (3, 2 * (3 * 84 * 3 + 64 + 5))
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(Series(length=64).embed(samples[2:])[0], found[2])
    assert np.isfinite(Series(length=64).embed([np.full(20, np.nan), np.zeros(20)])).all()
    assert Series(length=64).embed([rng.normal(size=(6, 50))]).shape == (1, 3 * 84 * 3 + 6 * (64 + 5))
    values = {"id": ["a", "b"]}
    ds = Dataset.from_columns(Schema(modality="time_series"), values).with_columns({"scan.length": np.array([90, 100])})
    assert Series().prepare(ds).length == 95


@pytest.mark.parametrize(("name", "floor"), [("ECG200", 0.88), ("GunPoint", 0.913)])
def test_reaches_the_nearest_neighbor_baseline(shared_data, name, floor):
    held = np.load(shared_data / "time_series" / f"{name}.npz")
    encoder = Series(length=held["x_train"].shape[1])
    train, test = (encoder.embed(list(held[f"x_{part}"])) for part in ("train", "test"))
    classes, codes = np.unique(held["y_train"], return_inverse=True)
    probe = LinearProbe().fit(train, codes, len(classes))
    accuracy = (classes[probe.predict_proba(test).argmax(1)] == held["y_test"]).mean()
    assert accuracy >= floor, "1-nearest-neighbor on the raw curves reaches that"
