"""The arithmetic behind spurious, slice and order, held against what must hold."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from scarce import audit, io, modality, testing
from scarce.audit._property import properties, read_exif
from scarce.audit.order import drift, file_position
from scarce.audit.slice import weakness
from scarce.audit.spurious import auroc_with_error, judged_classes, tell
from scarce.dataset import Dataset
from scarce.errors import DataError


def folds(n: int) -> np.ndarray:
    return np.random.default_rng(9).permutation(n) % 5


def test_area_and_error_equal_scikit_learn_and_the_bootstrap() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    own = np.arange(600) < 90
    score = np.round(rng.standard_normal(600) + own, 1)
    area, error = auroc_with_error(score, own, np.arange(600))
    assert area == pytest.approx(roc_auc_score(own, score))
    draws = []
    for _ in range(400):
        rows = np.r_[rng.choice(90, 90), 90 + rng.choice(510, 510)]
        draws.append(roc_auc_score(own[rows], score[rows]))
    assert error == pytest.approx(np.std(draws), rel=0.15)
    doubled = auroc_with_error(np.r_[score, score], np.r_[own, own], np.r_[np.arange(600), np.arange(600)])
    assert doubled[1] == pytest.approx(error, rel=0.02), "copies made the interval narrower"


def test_chance_is_not_told_and_a_rare_class_of_twenty_is() -> None:
    rng = np.random.default_rng(1)
    own = np.arange(1000) < 20
    lows = [tell(rng.standard_normal(1000), own, np.arange(1000), folds(1000), z=3.3).low for _ in range(200)]
    assert max(lows) < 0.6
    found = tell(rng.standard_normal(1000) + 5 * own, own, np.arange(1000), folds(1000), z=3.3)
    assert found.auroc > 0.97
    assert found.low > 0.8
    words = np.where(own & (np.arange(1000) > 0), "B", "A")
    assert tell(words, own, np.arange(1000), folds(1000)).auroc > 0.95
    assert tell(words, np.arange(1000) < 3, np.arange(1000), folds(1000)).auroc == 0.5


def test_of_two_classes_the_smaller_one_stands_for_both() -> None:
    assert judged_classes(np.r_[np.zeros(50, int), np.ones(20, int)], 2).tolist() == [1]
    assert judged_classes(np.r_[np.zeros(50, int), np.ones(20, int), np.full(5, 2)], 3).tolist() == [0, 1]


def test_errors_by_chance_make_no_slice_and_hard_classes_do_not_either() -> None:
    rng = np.random.default_rng(2)
    labels = np.r_[np.zeros(900, int), np.ones(100, int)]
    members = rng.random((1000, 150)) < rng.uniform(0.03, 0.5, 150)
    members[:, 0], members[:, 3] = labels == 1, rng.random(1000) < 0.15
    alarms = 0
    for seed in range(40):
        wrong = rng.random(1000) < np.where(labels == 1, 0.6, 0.05)
        found = weakness(wrong, labels, members, draws=100, seed=seed)
        assert found.excess[0] == pytest.approx(0), "a hard class is no slice"
        alarms += bool((found.p <= 0.05).any())
    assert alarms <= 7
    wrong[members[:, 3]] |= rng.random(members[:, 3].sum()) < 0.4
    found = weakness(wrong, labels, members)
    assert found.z.argmax() == 3
    assert found.p[3] < 0.01
    assert 0.05 < found.low[3] < found.excess[3]


def test_errors_that_come_in_groups_count_as_groups() -> None:
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(100), 10)
    wrong = np.repeat(rng.random(100) < 0.1, 10)
    members = np.repeat(rng.random((100, 60)) < 0.2, 10, axis=0)
    labels = np.zeros(1000, int)
    alone, grouped = weakness(wrong, labels, members), weakness(wrong, labels, members, groups)
    assert (alone.p <= 0.05).any(), "the case is too easy to show anything"
    assert not (grouped.p <= 0.05).any()


def test_no_test_row_takes_part_in_the_search() -> None:
    ds = testing.tiny_dataset({"good": 150, "stain": 60})
    test = np.random.default_rng(4).random(len(ds)) < 0.3
    ds = ds.with_columns({"split": np.where(test, "test", "train").tolist()})
    found = audit.run(ds, "slice")["audit.slice.score"]
    assert np.isnan(found[test]).all()
    assert np.isfinite(found[~test]).all()


def test_labels_in_order_and_bursts_are_no_drift() -> None:
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1, 2], 100)
    alarms = {"sorted": 0, "bursts": 0, "groups": 0}
    for seed in range(25):
        rows = rng.standard_normal((300, 6)) + 3 * labels[:, None]
        alarms["sorted"] += drift(rows, np.arange(300.0), labels, draws=99, seed=seed).p <= 0.05
        bursts = np.repeat(rng.standard_normal((60, 6)), 5, axis=0) + 0.1 * rng.standard_normal((300, 6))
        mixed = np.zeros(300, int)
        alarms["bursts"] += drift(bursts, np.arange(300.0), mixed, draws=99, seed=seed).p <= 0.05
        groups = np.repeat(np.arange(60), 5)
        alarms["groups"] += drift(bursts, np.arange(300.0), mixed, groups, draws=99, seed=seed).p <= 0.05
    assert max(alarms.values()) <= 5, alarms


@pytest.mark.parametrize("kind", ["step", "slow"])
def test_drift_inside_the_classes_is_found_with_its_place(kind: str) -> None:
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 3, 400)
    rows = rng.standard_normal((400, 6)) + 3 * labels[:, None]
    way = (np.arange(400) >= 260).astype(float) if kind == "step" else np.linspace(0, 1, 400)
    rows[:, 2] += 2 * way
    found = drift(rows, np.arange(400.0), labels)
    assert found.p <= 0.01
    assert found.strength > 0.02
    if kind == "step":
        assert found.change == pytest.approx(0.65, abs=0.05)
        assert found.abrupt > 0.8
    with pytest.raises(DataError, match="too few"):
        drift(rows[:20], np.arange(20.0), labels[:20])


def test_files_are_put_in_natural_order_inside_the_class() -> None:
    names = ["b/9.jpg", "b/10.jpg", "a/2.jpg", "a/1.jpg"]
    assert file_position(names, np.array([1, 1, 0, 0])).tolist() == [0.25, 0.75, 0.75, 0.25]


def test_times_are_used_and_changing_shares_are_told() -> None:
    ds = testing.tiny_dataset({"good": 200, "stain": 60})
    n = len(ds)
    day = [datetime.fromisoformat("2025-03-01") + timedelta(hours=3 * place) for place in range(n)]
    rows = np.argsort(np.random.default_rng(7).random(n) + (ds["label"] == 1))
    when = np.empty(n, object)
    when[rows] = day
    ds = audit.run(ds.with_columns({"captured_at": when.tolist()}), "order")
    why = [row["why"] for row in ds.findings.to_pylist()]
    assert any("shares of the classes change along time of capture" in line for line in why)
    assert not any("drift" in line for line in why)


def test_camera_and_time_come_from_exif(tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(8)
    for row in range(60):
        stain = row % 3 == 0
        exif = Image.Exif()
        exif[272] = "phone" if stain else "line camera"
        exif[306] = f"2025:05:{1 + row // 3:02d} 10:00:00"
        place = tmp_path / ("stain" if stain else "good") / f"{row}.jpg"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 40), dtype=np.uint8)).save(place, exif=exif)
    (tmp_path / "good" / "1.jpg").write_bytes((tmp_path / "good" / "1.jpg").read_bytes()[:300])
    assert read_exif(tmp_path / "stain" / "0.jpg") == ("phone", datetime.fromisoformat("2025-05-01 10:00"))
    assert read_exif(tmp_path / "nothing.txt") == ("", None)
    ds = modality.scan(io.read(tmp_path))
    names = [item.name for item in properties(ds.usable())]
    assert {"camera", "time of capture"} <= set(names)
    assert "folder 1" not in names, "the folders spell the class"
    found = [row["why"] for row in audit.run(ds, "spurious").findings.to_pylist() if row["check"] == "spurious"]
    assert any("the camera alone tells" in why for why in found)
    ignoring = audit.run(ds, "spurious", settings={"spurious": {"ignore": ["camera"]}})
    assert not any("camera alone" in row["why"] for row in ignoring.findings.to_pylist())


@pytest.mark.parametrize(
    ("place", "label", "known"),
    [
        ("fabric_defects/tilda_crops", None, "aspect ratio"),
        ("text_small/cr.csv", None, None),
        ("audio_digits/index.csv", "digit", None),
        ("tabular_imbalanced/phoneme.csv", "target", None),
    ],
)
def test_real_data_is_silent_but_for_its_known_shortcut(
    place: str, label: str | None, known: str | None, shared_data: Path
) -> None:
    """The crops of one fabric collection have another shape for each defect, as its description says."""
    ds: Dataset = audit.run(modality.scan(io.read(shared_data / place, label=label)), "spurious")
    found = [row["why"] for row in ds.findings.to_pylist() if (row["check"], row["level"]) == ("spurious", "class")]
    assert bool(found) == bool(known)
    assert all("aspect ratio" in why or "picture size" in why for why in found)
