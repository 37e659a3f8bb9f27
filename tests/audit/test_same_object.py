from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from scarce import audit, clean, io, modality, split
from scarce.audit._group import components
from scarce.audit._same import local_detail, shifted_correlations
from scarce.audit.same_object import SameObject, clear_ratio
from scarce.dataset import Dataset
from scarce.testing import check_audit

HEIGHT, WIDTH = 150, 190
SHOTS = 4


def surface(rng: np.random.Generator, height: int = HEIGHT + 40, width: int = WIDTH + 40) -> np.ndarray:
    """A grainy surface of its own with a few scratches; all have the same statistics."""
    image = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), 2.0)
    image = 120 + 22 * image / image.std()
    for _ in range(6):
        ends = [(int(x), int(y)) for x, y in zip(rng.integers(0, width, 2), rng.integers(0, height, 2), strict=True)]
        cv2.line(image, *ends, float(rng.integers(60, 190)), 2)
    return image


def shot(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One picture of a surface: another window, a light that falls off, other exposure, noise."""
    top, left = rng.integers(0, 20, 2)
    part = image[top : top + HEIGHT, left : left + WIDTH]
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    light = 1 + rng.uniform(-0.4, 0.4) * (x / WIDTH - 0.5) + rng.uniform(-0.4, 0.4) * (y / HEIGHT - 0.5)
    part = part * light * rng.uniform(0.6, 1.3) + rng.normal(0, 4, part.shape)
    return np.clip(part, 0, 255).astype(np.uint8)


def scanned(folder: Path, pictures: Sequence[np.ndarray], labels: Sequence[str]) -> Dataset:
    for place, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        (folder / label).mkdir(exist_ok=True, parents=True)
        cv2.imwrite(str(folder / label / f"{place:04d}.png"), picture)
    return modality.scan(io.read(folder))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """20 surfaces in 4 pictures each and 60 in one; the first surface carries two labels."""
    rng = np.random.default_rng(0)
    objects = np.r_[np.repeat(np.arange(20), SHOTS), np.arange(20, 80)]
    images = [surface(rng) for _ in range(80)]
    pictures = [shot(images[which], rng) for which in objects]
    labels = ["good" if which % 2 else "bad" for which in objects]
    labels[1] = "good"
    return scanned(tmp_path_factory.mktemp("planted"), pictures, labels)


def objects_of(ds: Dataset) -> np.ndarray:
    """Return the object of each row from its file name."""
    place = np.array([int(Path(uri).stem) for uri in ds["uri"]])
    return np.where(place < 20 * SHOTS, place // SHOTS, place)


def test_other_pictures_of_one_object_are_found(planted: Dataset) -> None:
    truth, found = objects_of(planted), SameObject().pairs(planted)
    right = truth[found.rows[:, 0]] == truth[found.rows[:, 1]]
    assert right.all()
    assert right.sum() >= 0.95 * 20 * SHOTS * (SHOTS - 1) / 2


def test_findings_name_the_groups_and_their_labels(planted: Dataset) -> None:
    result = SameObject().measure(planted)
    truth = objects_of(planted)
    groups = [row for row in result.findings if row["level"] == "group"]
    assert len(groups) == 20
    assert all(row["why"].startswith(f"{SHOTS} pictures of one object") for row in groups)
    torn = [row for row in groups if "conflicting labels bad (3), good (1)" in row["why"]]
    assert [set(truth[planted.rows_of(row["members"])]) for row in torn] == [{0}]
    assert torn[0]["score"] == 1
    assert len([row for row in result.findings if row["level"] == "pair"]) == 20 * (SHOTS - 1)
    assert ((result.score > 0.4) == (truth < 20)).all()


def test_the_contract_holds(planted: Dataset) -> None:
    check_audit(SameObject(), planted)


def test_the_split_keeps_them_together_and_nothing_is_merged(planted: Dataset) -> None:
    ds = audit.run(planted, ["exact_duplicate", "near_duplicate", "same_object"])
    assert not [action for action in clean.plan(ds, only="merge_duplicates") if action.check == "same_object"]
    ds = split.run(ds, seed=0)
    truth, side = objects_of(ds), ds["split"]
    assert all(len(set(side[truth == which])) == 1 for which in range(20))


def test_a_given_split_through_an_object_is_a_leak(planted: Dataset) -> None:
    place = np.array([int(Path(uri).stem) for uri in planted["uri"]])
    ds = planted.with_columns({"split": np.where((place % SHOTS == 0) & (place < 80), "test", "train").tolist()})
    ds = audit.run(ds, ["same_object", "leakage"])
    test = ds["split"] == "test"
    np.testing.assert_allclose(ds["audit.leakage.score"][test], 0.8)
    assert any("same object of a train sample in test" in row["why"] for row in ds.findings.to_pylist())


def test_parts_of_one_type_are_no_single_object(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    pictures = []
    for base in [surface(rng) for _ in range(3)]:
        for _ in range(60):
            own = cv2.GaussianBlur(rng.standard_normal(base.shape).astype(np.float32), (0, 0), 2.0)
            pictures.append(shot(base + 9 * own / own.std(), rng))
    ds = scanned(tmp_path, pictures, ["a"] * len(pictures))
    assert len(np.unique(SameObject().pairs(ds).rows)) <= 2


def test_pieces_of_one_weave_are_no_single_object(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    y, x = np.mgrid[0 : HEIGHT + 40, 0 : WIDTH + 40]
    weave = 30 * np.sin(x * 2 * np.pi / 11) * np.sin(y * 2 * np.pi / 13)
    pictures = [shot(surface(rng), rng) for _ in range(60)]
    pictures += [shot(120 + weave + 0.25 * (surface(rng) - 120), rng) for _ in range(8)]
    ds = scanned(tmp_path, pictures, ["a"] * len(pictures))
    assert len(SameObject().pairs(ds).rows) == 0
    assert len(SameObject(peak=1.0).pairs(ds).rows) > 8


def test_copies_alone_make_no_group(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    pictures = [shot(surface(rng), rng) for _ in range(40)]
    ds = scanned(tmp_path, [*pictures, pictures[5]], ["a"] * 41)
    ds = audit.run(ds, ["exact_duplicate", "same_object"])
    assert [row["level"] for row in ds.findings.to_pylist() if row["check"] == "same_object"] == ["pair"]


def test_pictures_that_cannot_be_judged_have_no_score(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    pictures = [shot(surface(rng), rng) for _ in range(30)]
    small, flat = pictures[0][:40, :40], np.full((HEIGHT, WIDTH), 90, np.uint8)
    ds = scanned(tmp_path, [*pictures, small, flat], ["a"] * 32)
    Path(tmp_path / "a" / "0007.png").unlink()
    order = np.argsort(ds["uri"].astype(str))
    score = SameObject().measure(ds).score[order]
    assert np.flatnonzero(np.isnan(score)).tolist() == [7, 30, 31]


def test_what_it_does_not_suit_is_said(garments: Path, planted: Dataset) -> None:
    assert "48 pixels or more a side, here are 0" in SameObject().unmet(modality.scan(io.read(garments)))
    assert "most = 140" in SameObject(most=100).unmet(planted)
    assert not SameObject().unmet(planted)


def test_correlation_is_that_of_the_overlap() -> None:
    image = surface(np.random.default_rng(5))
    one, other = (
        np.rint(42 * local_detail(part.astype(np.uint8), 3.0)).astype(np.int8)
        for part in (image[:100, :120], image[9:104, 14:130])
    )
    own = shifted_correlations([one, other], np.array([[0, 0], [0, 1], [1, 0]]))
    inner, shifted = one[9:100, 14:120].astype(float), other[:91, :106].astype(float)
    expected = (inner * shifted).mean() / np.sqrt(np.mean(one.astype(float) ** 2) * np.mean(other.astype(float) ** 2))
    np.testing.assert_allclose(own[:, 0], [1, expected, expected], atol=1e-4)
    assert (own[:, 1] < 0.3).all()


def test_groups_must_stand_out() -> None:
    assert clear_ratio(np.r_[np.full(100, 0.3), np.full(50, 0.95)], 0.7) == 0.7
    assert clear_ratio(np.r_[np.full(20, 0.2), np.linspace(0.5, 2, 500)], 0.7) == pytest.approx(0.4)
    even = np.linspace(0.01, 3, 500) ** 0.25
    assert not (even <= clear_ratio(even, 0.7)).any()


@pytest.mark.slow
def test_tiles_are_found(shared_data: Path) -> None:
    place = shared_data / "magnetic_tile"
    if not place.is_dir():
        pytest.skip("magnetic_tile is not here")
    with (place / "index.csv").open(encoding="utf-8") as lines:
        tile = {row["image"].partition("/")[2]: row["tile_group"] for row in csv.DictReader(lines)}
    ds = modality.scan(io.read(place / "images"))
    truth = np.array([tile[uri] for uri in ds["uri"]])
    result = SameObject().measure(ds)
    pairs = np.array([ds.rows_of(row["members"]) for row in result.findings if row["level"] == "pair"])
    part = components(len(ds), pairs)
    upper = np.triu_indices(len(ds), 1)
    together, same = (part[:, None] == part[None])[upper], (truth[:, None] == truth[None])[upper]
    assert (together & same).sum() / together.sum() >= 0.9
    assert (together & same).sum() / same.sum() >= 0.9
    assert np.bincount(part).max() <= 20
    torn = {
        tile for row in result.findings if "conflicting" in row["why"] for tile in truth[ds.rows_of(row["members"])]
    }
    assert {"tile_020", "tile_034", "tile_036"} <= torn
