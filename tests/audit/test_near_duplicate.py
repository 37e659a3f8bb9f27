from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from scarce import audit, clean, io, modality
from scarce.audit._group import forest, stars
from scarce.audit._join import candidate_pairs
from scarce.audit._saved import saved_twice
from scarce.audit.near_duplicate import NearDuplicate, duplicate_pairs, hamming_pairs
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError
from scarce.faults import Material
from scarce.faults.duplicated import Duplicated


def vectors(n: int, d: int, *, seed: int = 0, decay: bool = True) -> np.ndarray:
    rng = np.random.default_rng(seed)
    spectrum = 1 / np.sqrt(1 + np.arange(d) / 4) if decay else np.ones(d)
    rows = (rng.standard_normal((n, d)) * spectrum).astype(np.float32)
    copies = rng.choice(n, n // 10, replace=False)
    sources = rng.choice(n, n // 10)
    rows[copies] = (
        rows[sources] + rng.uniform(0.0, 0.15, (len(copies), 1)) * rng.standard_normal((len(copies), d)) * spectrum
    )
    return rows


def brute(rows: np.ndarray, threshold: float) -> set[tuple[int, int]]:
    unit = rows.astype(np.float64)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    i, j = np.nonzero(np.triu(unit @ unit.T >= threshold, 1))
    return set(zip(i.tolist(), j.tolist(), strict=True))


@pytest.mark.parametrize(
    ("n", "d", "decay"), [(3000, 128, True), (2500, 512, True), (2500, 96, False), (700, 16, True), (3, 4, True)]
)
@pytest.mark.parametrize("threshold", [0.9, 0.99])
def test_pairs_are_exact(n: int, d: int, decay: bool, threshold: float) -> None:
    rows = vectors(n, d, decay=decay, seed=n)
    found = duplicate_pairs(rows, threshold=threshold)
    assert {tuple(pair) for pair in found.tolist()} == brute(rows, threshold)
    assert (found[:, 0] < found[:, 1]).all()


def test_rows_without_direction_belong_to_no_pair() -> None:
    rows = np.ones((6, 5), np.float32)
    rows[1:4] = 0
    assert duplicate_pairs(rows).tolist() == [[0, 4], [0, 5], [4, 5]]
    rows[3, 0] = np.inf
    with pytest.raises(DataError, match="NaN or infinite in 1 of 6 rows, first in row 3"):
        duplicate_pairs(rows)
    assert duplicate_pairs(np.zeros((0, 5))).shape == (0, 2)


def test_a_crowd_is_refused_by_pairs_but_not_by_candidates(monkeypatch) -> None:
    from scarce.audit import _join

    rows = np.ones((5000, 8), np.float32) / np.sqrt(8).astype(np.float32)
    with pytest.raises(DataError, match="more than 1,000,000 pairs"):
        _join.all_pairs(rows, 0.99, most=1_000_000)
    pairs, _ = candidate_pairs(rows, 0.99)
    assert len(pairs) < 5000 * 30
    assert len(forest(5000, pairs, np.ones(len(pairs)))) == 4999


@pytest.mark.parametrize("most", [0, 3, 8])
def test_hamming_pairs_are_exact(most: int) -> None:
    rng = np.random.default_rng(most)
    hashes = rng.integers(0, 2**63, 1500, dtype=np.uint64)
    hashes[700:900] = hashes[:200] ^ (np.uint64(1) << rng.integers(0, 63, 200).astype(np.uint64))
    hashes[900:910] = hashes[0]
    different = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    i, j = np.nonzero(np.triu(different <= most, 1))
    assert hamming_pairs(hashes, most).tolist() == np.stack([i, j], axis=1).tolist()


def test_groups_do_not_chain_and_the_forest_does() -> None:
    pairs = np.array([[0, 1], [1, 2], [2, 3], [3, 4], [0, 2]])
    near = {frozenset(pair) for pair in pairs.tolist()}
    for star in stars(5, pairs, np.full(5, 0.95, np.float32)):
        assert all(frozenset((star.center, int(member))) in near for member in star.members)
    assert len(forest(5, pairs, np.array([0.9, 0.95, 0.91, 0.92, 0.99]))) == 4


def pictures(n: int, seed: int = 0) -> np.ndarray:
    import cv2

    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (n, 8, 8), dtype=np.uint8)
    return np.stack([cv2.resize(image, (32, 32), interpolation=cv2.INTER_CUBIC) for image in noise])


def dataset(thumbnails: np.ndarray, embedding: np.ndarray | None = None, labels: list[str] | None = None) -> Dataset:
    n = len(thumbnails)
    labels = labels or ["a"] * n
    values = {"id": [f"{row:05d}" for row in range(n)], "label": labels}
    ds = Dataset.from_columns(Schema(classes=tuple(sorted(set(labels)))), values)
    wide = (
        {"scan.thumbnail": thumbnails}
        if embedding is None
        else {"scan.thumbnail": thumbnails, "embedding.x": embedding}
    )
    return ds.with_columns(wide)


def test_copies_are_found_and_conflicting_labels_named() -> None:
    images = pictures(60)
    images[50] = images[3]
    images[51] = np.clip(images[4].astype(int) * 0.9 + 10, 0, 255).astype(np.uint8)
    images[52] = images[5][:, ::-1]
    labels = ["a"] * 60
    labels[50] = "b"
    result = NearDuplicate().measure(dataset(images, labels=labels))
    groups = {frozenset(row["members"]): row["why"] for row in result.findings if row["level"] == "group"}
    assert set(groups) == {frozenset(("00003", "00050")), frozenset(("00004", "00051")), frozenset(("00005", "00052"))}
    assert "conflicting labels a (1), b (1)" in groups[frozenset(("00003", "00050"))]
    assert (result.score[[3, 50, 4, 51, 5, 52]] > 0.9).all()
    assert (result.score > 0).sum() == 6


def test_parts_that_all_look_alike_are_no_copies() -> None:
    rng = np.random.default_rng(1)
    part = pictures(1, seed=7)[0].astype(int)
    images = np.clip(part + rng.normal(0, 6, (300, 32, 32)), 0, 255).astype(np.uint8)
    images[299] = np.clip(images[0].astype(int) + rng.normal(0, 0.7, (32, 32)), 0, 255).astype(np.uint8)
    result = NearDuplicate(surely=0.9999).measure(dataset(images))
    assert [row["members"] for row in result.findings if row["level"] == "group"] == [["00000", "00299"]]


def test_plain_surfaces_are_not_compared() -> None:
    flat = np.full((40, 32, 32), 120, np.uint8)
    flat[:, ::7, ::5] += 1
    assert not NearDuplicate().measure(dataset(flat)).findings


def test_a_crowd_of_copies_is_one_group() -> None:
    images = np.concatenate([pictures(200), np.repeat(pictures(1, seed=9), 3000, axis=0)])
    result = NearDuplicate().measure(dataset(images))
    pairs = [row for row in result.findings if row["level"] == "pair"]
    assert len(pairs) == 2999
    groups = sorted(len(row["members"]) for row in result.findings if row["level"] == "group")
    assert sum(groups) > 2900


def test_embeddings_alone_are_enough() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((200, 16)).astype(np.float32)
    rows[100] = rows[7] * 1.0001
    rows[101] = rows[8] * 3
    ds = Dataset.from_columns(Schema(modality="tabular", classes=("a",)), {"id": [f"{row:05d}" for row in range(200)]})
    result = NearDuplicate().measure(ds.with_columns({"embedding.x": rows}))
    assert [row["members"] for row in result.findings if row["level"] == "group"] == [["00007", "00100"]]


def test_tiles_found_are_the_same_tile(shared_data) -> None:
    import csv

    import cv2

    folder = shared_data / "magnetic_tile"
    rows = list(csv.DictReader((folder / "index.csv").open(encoding="utf-8")))[::2]
    images = [cv2.imread(str(folder / row["image"]), cv2.IMREAD_GRAYSCALE) for row in rows]
    thumbnails = np.stack([cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA) for image in images])
    found = NearDuplicate().pairs(dataset(thumbnails))
    tile = np.array([row["tile_group"] for row in rows])
    assert len(found.rows) > 20
    assert (tile[found.rows[:, 0]] == tile[found.rows[:, 1]]).mean() >= 0.98


@pytest.fixture(scope="module")
def tile_folder(shared_data: Path) -> Path:
    return shared_data / "magnetic_tile"


def test_other_exposures_of_a_tile_are_no_copies(tile_folder: Path, tmp_path: Path) -> None:
    """Tiles photographed several times, with planted copies among them: only the copies are merged."""
    with (tile_folder / "index.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))[:450]
    images = [cv2.imread(str(tile_folder / row["image"]), cv2.IMREAD_GRAYSCALE) for row in rows]
    good = Material(images, np.zeros(len(images), int), ("part",))
    bad, truth = Duplicated(rate=0.1, ways=("exact", "jpeg", "blur", "brighter", "flip")).plant(good, seed=3)
    ds = modality.scan(io.read(bad.write(tmp_path) / "index.csv"))
    ds = audit.run(ds.take(np.argsort(ds["uri"].astype(str))), ["exact_duplicate", "near_duplicate"])
    found = [row for row in ds.findings.to_pylist() if row["check"] == "near_duplicate"]
    origin = np.where(truth.source >= 0, truth.source, np.arange(len(ds)))
    groups = [ds.rows_of(row["members"]) for row in found if row["level"] == "group"]
    assert all(len(set(origin[rows])) == 1 for rows in groups)
    grouped = np.isin(np.flatnonzero(truth.faulty), np.concatenate(groups))
    assert grouped.mean() >= 0.98
    pairs = [ds.rows_of(row["members"]) for row in found if row["level"] == "pair" and row["score"] < 0.5]
    tile = np.array([rows[row]["tile_group"] for row in origin])
    assert len(pairs) >= 40
    assert np.mean([tile[i] == tile[j] for i, j in pairs]) >= 0.98
    merged = [action for action in clean.plan(ds, only="merge_duplicates") if action.apply]
    assert {row for action in merged for row in ds.rows_of(action.samples).tolist()} <= set(
        np.flatnonzero(np.isin(origin, origin[truth.faulty])).tolist()
    )


@pytest.mark.parametrize("change", ["half", "gamma", "jpeg", "soft", "cut"])
def test_one_picture_saved_twice_is_told_from_another_exposure(change: str, tile_folder: Path) -> None:
    with (tile_folder / "index.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))[5::90]
    level = np.arange(256) / 255
    for number, row in enumerate(rows):
        image = cv2.imread(str(tile_folder / row["image"]), cv2.IMREAD_GRAYSCALE)
        image = image[: len(image) // 2 * 2, : image.shape[1] // 2 * 2]
        changed = {
            "half": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
            "gamma": lambda image: np.rint(255 * level**0.8).astype(np.uint8)[image],
            "jpeg": lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 45])[1], 0),
            "soft": lambda image: cv2.GaussianBlur(image, (0, 0), 1.5),
            "cut": lambda image: image[len(image) // 40 :, : -(image.shape[1] // 30)],
        }[change](image)
        assert saved_twice(image, changed), row["image"]
        y, x = np.mgrid[: image.shape[0], : image.shape[1]]
        light = 1 + 0.25 * (x / image.shape[1] - 0.5) + 0.15 * (y / image.shape[0] - 0.5)
        noise = np.random.default_rng(number).normal(0, 2, image.shape)
        again = np.clip(image * light + noise, 0, 255).astype(np.uint8)
        assert not saved_twice(image, again), row["image"]
