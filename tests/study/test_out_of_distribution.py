"""The study of foreign samples on real garments, short, and the sets of foreign pictures."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from scarce.dataset import Dataset
from scarce.errors import ConfigError, DataError, ReadError
from scarce.evaluate.guard import Known
from scarce.evaluate.out_of_distribution.max_logit import MaxLogit
from scarce.modality import open_samples
from scarce.study._foreign_sets import foreign_set, glyphs
from scarce.study.out_of_distribution import OutOfDistribution, _calibrated, _judged, conclusion, table_of

SHORT = OutOfDistribution(most=150, judged=80, epochs=4, seeds=2, batch=16)


def test_the_study_goes_on_where_it_stopped_and_ends_the_same(some_garments: Dataset, tmp_path: Path) -> None:
    journal = tmp_path / "out_of_distribution.jsonl"
    begun = SHORT.run(some_garments, journal=journal, minutes=0.0, seed=0)
    assert begun.body["seeds_done"] == 1
    found = SHORT.run(some_garments, journal=journal, minutes=60.0, seed=0)
    body = found.body
    assert body["seeds_done"] == 2
    assert body["foreign"] == {"glyphs": 80, "digits": 80}
    assert body["judged_on"] == "test"
    assert body["published"] is None
    assert {"energy", "knn", "mahalanobis", "max_logit", "softmax_score", "vim", "energy, T = 10"} <= set(
        body["detectors"]
    )
    for one in body["detectors"].values():
        for own in one["sets"].values():
            assert own["auroc"]["low"] <= own["auroc"]["mean"] <= own["auroc"]["high"]
        assert one["passed"]["0.99"]["mean"] >= one["passed"]["0.9"]["mean"]
        assert one["cost"]["0.99"]["mean"] <= one["cost"]["0.9"]["mean"]
    assert max(one["sets"]["digits"]["auroc"]["mean"] for one in body["detectors"].values()) > 0.8
    assert list(body["choices"]["glyphs"]["sets"]) == ["digits"]
    assert list(body["choices"]["digits"]["sets"]) == ["glyphs"]
    assert SHORT.run(some_garments, journal=journal, minutes=60.0, seed=0).body == body
    head, table = table_of(body)
    assert [row[0] for row in table] == ["energy", "knn", "mahalanobis", "max_logit", "softmax_score", "vim"]
    assert all(len(head) == len(row) for row in table)
    assert "Chosen on glyphs" in conclusion(body)
    assert "energy, T = 1" in found.page
    assert found.page.count("<table") == 2
    json.dumps(body)


def test_a_threshold_keeps_known_samples_and_finds_foreign_ones() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 4000)
    tried, judged = (
        Known(logits=rng.standard_normal((4000, 3)) + 6 * np.eye(3)[labels], features=None, labels=labels)
        for _ in range(2)
    )
    others = {"noise": Known(logits=rng.standard_normal((300, 3)), features=None, labels=np.full(300, -1))}
    found = _judged(MaxLogit().fit(None, tried.logits, labels), tried, judged, others)
    assert found["passed"]["0.95"] == pytest.approx(0.95, abs=0.03)
    assert found["sets"]["noise"]["found"]["0.95"] > 0.95
    assert found["sets"]["noise"]["auroc"] > 0.98
    assert found["cost"]["0.9"] > found["cost"]["0.99"] >= 0


def test_calibration_is_chosen_on_held_back_samples_and_judged_on_others() -> None:
    rng = np.random.default_rng(0)
    parts = []
    for _ in range(2):
        logits = rng.standard_normal((3000, 3))
        chance = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        labels = (chance.cumsum(1) > rng.random((3000, 1))).argmax(1)
        parts.append(Known(logits=4 * logits, features=None, labels=labels))
    found = _calibrated(*parts)
    assert found["chosen"] != "none"
    assert found["judged"]["none"] > 0.15
    assert found["judged"]["temperature"] < 0.04


def test_glyphs_are_letters_and_repeat_with_the_seed() -> None:
    first, again = (glyphs(40, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (40, 28, 28)
    assert len({image.tobytes() for image in first}) > 30
    assert first[:, [0, -1]].mean() < first[:, 10:18, 10:18].mean()
    assert len(glyphs(20, np.random.default_rng(0), [None])) == 20


def test_sets_are_read_from_idx_files_and_folders(tmp_path: Path) -> None:
    digits = foreign_set("digits", tmp_path / "work", most=50, seed=0)
    assert len(digits) == 50
    images = np.stack([np.asarray(image) for image in open_samples(digits, np.arange(50))])
    assert images.shape[:3] == (50, 28, 28)
    kept = tmp_path / "kin"
    kept.mkdir()
    pixels = images.reshape(50, 28, 28, -1)[..., 0]
    (kept / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + pixels.tobytes()))
    read = foreign_set(str(kept), tmp_path / "work", most=100, seed=0)
    same = np.stack([np.asarray(image).reshape(28, 28, -1)[..., 0] for image in open_samples(read, np.arange(50))])
    np.testing.assert_array_equal(same, pixels)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, image in enumerate(pixels[:5]):
        cv2.imwrite(str(folder / f"{number}.png"), image)
    assert len(foreign_set(str(folder), tmp_path / "work", most=3, seed=0)) == 3


def test_bad_input_is_explained(some_garments: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two unknown sets"):
        OutOfDistribution(unknown=("glyphs",)).run(some_garments, journal=None, minutes=1.0, seed=0)
    with pytest.raises(ConfigError, match="of different names"):
        OutOfDistribution(unknown=("glyphs", "glyphs")).run(some_garments, journal=None, minutes=1.0, seed=0)
    with pytest.raises(ReadError, match="no folder"):
        OutOfDistribution(unknown=("glyphs", str(tmp_path / "none"))).run(
            some_garments, journal=None, minutes=1.0, seed=0
        )
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty folder"):
        foreign_set(str(tmp_path / "empty"), tmp_path, most=3, seed=0)
