from __future__ import annotations

import numpy as np
import pytest

from scarce import audit
from scarce.audit.blurred import blur_score
from scarce.audit.bright import bright_score
from scarce.audit.dark import dark_score
from scarce.audit.imbalance import imbalance_ratio
from scarce.audit.low_information import emptiness_score
from scarce.audit.odd_aspect_ratio import odd_aspect_score
from scarce.audit.odd_size import odd_size_score
from scarce.audit.outlier import neighbor_distance, outlier_score
from scarce.testing import tiny_dataset

RNG = np.random.default_rng(0)


def test_blur_is_judged_at_equal_contrast() -> None:
    contrast = np.r_[RNG.uniform(30, 60, 300), RNG.uniform(2, 4, 300)]
    sharpness = 0.5 * contrast**1.5 * RNG.uniform(0.7, 1.4, 600)
    assert (blur_score(sharpness, contrast) < 0.5).all()
    sharpness[:20] /= 15
    score = blur_score(sharpness, contrast)
    assert (score[:20] >= 0.5).all()
    assert (score[20:] < 0.5).all()


def test_dark_and_bright_need_both_level_and_distance() -> None:
    usual = RNG.uniform(150, 250, 400)
    usual[:5] = 20
    assert (dark_score(usual) >= 0.5).sum() == 5
    assert not (dark_score(RNG.uniform(10, 50, 400)) >= 0.5).any()
    shadows = RNG.uniform(0, 60, 400)
    shadows[:5] = 230
    assert (bright_score(shadows) >= 0.5).sum() == 5
    assert not (bright_score(RNG.uniform(235, 255, 400)) >= 0.5).any()


def test_blank_pictures_and_drawings() -> None:
    entropy = RNG.uniform(6, 7.5, 400)
    entropy[:3] = [0.0, 0.5, 1.0]
    assert np.flatnonzero(emptiness_score(entropy) >= 0.5).tolist() == [0, 1, 2]
    assert not (emptiness_score(RNG.uniform(0.4, 0.9, 400)) >= 0.5).any()


def test_odd_sizes_and_shapes() -> None:
    width, height = np.full(300, 640.0), np.full(300, 480.0)
    width[0], height[0] = 64, 48
    width[1], height[1] = 6400, 4800
    width[2], height[2] = 480, 640
    width[3], height[3] = 4000, 100
    assert np.flatnonzero(odd_size_score(width, height) >= 0.5).tolist() == [0, 1]
    assert np.flatnonzero(odd_aspect_score(width, height) >= 0.5).tolist() == [3]
    crops = RNG.uniform(40, 2000, (2, 300))
    assert not (odd_size_score(*crops) >= 0.5).any()


def test_imbalance_ratio() -> None:
    assert imbalance_ratio(np.array([100, 10, 0])) == 10
    assert imbalance_ratio(np.array([5])) == 1


def test_neighbor_distance_equals_sklearn_and_is_calibrated() -> None:
    from sklearn.neighbors import NearestNeighbors

    rows = RNG.standard_normal((1500, 24)).astype(np.float32) + 2
    expected = NearestNeighbors(n_neighbors=6, metric="cosine", algorithm="brute").fit(rows).kneighbors()[0][:, 4]
    found = neighbor_distance(rows, neighbors=5)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert (outlier_score(found) >= 0.99).mean() == pytest.approx(0.01, abs=0.02)
    rows[3] = np.nan
    assert np.isnan(neighbor_distance(rows)[3])
    assert neighbor_distance(rows[:1]).tolist() == [0.0]


def test_a_foreign_sample_stands_out() -> None:
    rows = RNG.standard_normal((800, 32)).astype(np.float32) * 0.3
    rows[:, 0] += 4
    rows[:4] = RNG.standard_normal((4, 32)) * 4
    score = outlier_score(neighbor_distance(rows))
    assert (score[:4] > 0.999).all()
    assert (score[4:] > 0.999).sum() <= 4


def test_blur_is_found_among_unlike_textures(shared_data, tmp_path) -> None:
    """Crops of many cloths: their sharpness differs more than blur changes it, what halving them costs does not."""
    import cv2

    from scarce import audit, io, modality
    from scarce.faults import Material
    from scarce.faults.blurred import Blurred

    paths = sorted((shared_data / "fabric_defects" / "tilda_crops").rglob("*.png"))
    good = Material([cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths], np.zeros(len(paths), int), ("a",))
    bad, truth = Blurred(rate=0.08).plant(good, seed=1)
    ds = audit.run(modality.scan(io.read(bad.write(tmp_path) / "index.csv")), only=["blurred"])
    found = (np.nan_to_num(ds["audit.blurred.score"]) >= 0.5)[np.argsort(ds["uri"].astype(str))]
    assert found[truth.faulty].mean() >= 0.9
    assert found[~truth.faulty].mean() <= 0.01


@pytest.mark.parametrize(
    "folder", ["magnetic_tile/images", "deep_pcb/template", "fabric_defects/tilda_crops", "fabric_defects/woven_crops"]
)
def test_plain_surfaces_are_not_flooded(folder: str, shared_data) -> None:
    from scarce import audit, io, modality

    ds = io.read(shared_data / folder)
    ds = modality.scan(ds.take(np.arange(0, len(ds), 6 if len(ds) > 500 else 1)))
    checks = ["blurred", "bright", "dark", "low_information", "odd_aspect_ratio", "odd_size"]
    ds = audit.run(ds, only=checks)
    for check in checks:
        assert (np.nan_to_num(ds[f"audit.{check}.score"]) >= 0.5).mean() <= 0.02, check


def told(**counts: int) -> dict[str, str]:
    ds = audit.run(tiny_dataset(counts), only="imbalance")
    return {",".join(row["members"]): row["why"] for row in ds.findings.to_pylist() if row["check"] == "imbalance"}


def test_imbalance_above_three_is_a_caution_and_above_ten_is_serious() -> None:
    found = told(good=220, scratch=74, stain=73, tear=22, hole=21)
    assert found[""] == (
        "imbalance 10.5:1 (serious): good 220 (53.7 %), scratch 74 (18.0 %), stain 73 (17.8 %), tear 22 (5.4 %), "
        "hole 21 (5.1 %)"
    )
    assert set(found) == {"", "stain", "tear", "hole"}
    assert found["stain"] == "caution: stain has 73 samples (17.8 %), 1 to 3.0"
    assert found["tear"].startswith("caution: tear has 22 samples (5.4 %), 1 to 10.0")
    assert found["hole"].startswith("serious: hole has 21 samples (5.1 %), 1 to 10.5")


def test_even_classes_raise_no_alarm() -> None:
    found = told(good=90, scratch=60, stain=30)
    assert set(found) == {""}
    assert found[""].startswith("imbalance 3.0:1 (fine)")
