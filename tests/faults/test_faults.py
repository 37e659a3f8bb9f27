from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from scarce import io, registry
from scarce.errors import DataError
from scarce.faults import AbstractFault, Material
from scarce.faults.duplicated import WAYS, copied
from scarce.faults.label_flip import LabelFlip, flip_labels, look_alike_class


def material(n: int = 60) -> Material:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (40, 30) if row % 2 else (40, 30, 3), dtype=np.uint8) for row in range(n)]
    labels = np.r_[np.zeros(max(0, n - 20), int), np.ones(10, int), np.full(10, 2)][-n:]
    split = np.array([("train", "test")[row % 3 == 0] for row in range(n)], object)
    return Material(images, labels, ("good", "hole", "stain"), split)


def rows_of_a_table(n: int = 60) -> Material:
    rng = np.random.default_rng(0)
    good = material(n)
    return Material.of_table(
        {"width": rng.normal(5, 1, n), "depth": rng.normal(9, 2, n)}, good.labels, good.classes, good.split
    )


@pytest.mark.parametrize("name", registry.names("faults"))
def test_every_fault_tells_the_truth(name: str) -> None:
    good = rows_of_a_table() if name == "unit_mistake" else material()
    before = [image.copy() for image in good.images]
    fault = registry.load("faults", name, AbstractFault).from_params({"rate": 0.2})
    bad, truth = fault.plant(good, seed=3)
    n = len(bad.images)
    assert all((old == new).all() for old, new in zip(before, good.images, strict=True)), "the input was changed"
    assert truth.faulty.shape == truth.source.shape == truth.labels.shape == truth.how.shape == (n,)
    assert truth.faulty.any()
    assert (truth.how[truth.faulty] != "").all()
    for row in np.flatnonzero(~truth.faulty):
        assert truth.source[row] == row
        assert np.array_equal(bad.images[row], good.images[row])
        assert bad.labels[row] == good.labels[row]
    again, same = fault.plant(good, seed=3)
    assert all(np.array_equal(one, two) for one, two in zip(bad.images, again.images, strict=True))
    assert (bad.labels == again.labels).all()
    other = fault.plant(good, seed=4)[1]
    assert not (np.array_equal(truth.faulty, other.faulty) and np.array_equal(truth.source, other.source))
    assert (truth.faulty == same.faulty).all()


@pytest.mark.parametrize("way", WAYS)
def test_copies_keep_shape_and_change_as_named(way: str) -> None:
    for image in material(4).images:
        copy = copied(image, way, np.random.default_rng(0))
        assert copy.shape == image.shape
        assert copy.dtype == np.uint8
        assert np.array_equal(copy, image) == (way == "exact")


def test_noise_follows_its_matrix() -> None:
    noise = np.array([[0.8, 0.2, 0.0], [0.0, 1.0, 0.0], [0.1, 0.3, 0.6]])
    labels = np.repeat([0, 1, 2], 20_000)
    drawn = flip_labels(labels, noise, seed=1)
    found = np.stack([np.bincount(drawn[labels == code], minlength=3) for code in range(3)]) / 20_000
    np.testing.assert_allclose(found, noise, atol=0.01)


def test_rare_flips_go_both_ways() -> None:
    good = material()
    bad, truth = LabelFlip(kind="rare", rare="stain", rate=0.3).plant(good, seed=0)
    assert (truth.labels[bad.labels != truth.labels] == 2).sum() == 3
    assert (bad.labels[truth.faulty] == 2).sum() == 3


def test_material_is_written_and_read_back(tmp_path) -> None:
    good = material(12)
    good = Material(good.images, np.arange(12) % 3, good.classes, good.split)
    folder = good.write(tmp_path / "färbe")
    ds = io.read(folder / "index.csv")
    assert len(ds) == 12
    assert ds.schema.classes == ("good", "hole", "stain")
    order = np.argsort(ds["uri"].astype(str))
    assert ds["label"][order].tolist() == good.labels.tolist()
    assert ds["split"][order].tolist() == good.split.tolist()


def test_wrong_material_and_rates_are_refused() -> None:
    good = material()
    with pytest.raises(DataError, match="do not fit together"):
        Material(good.images, good.labels[:5], good.classes)
    with pytest.raises(DataError, match="rate = 0"):
        LabelFlip(rate=0.0).plant(good)
    with pytest.raises(DataError, match="no split"):
        registry.load("faults", "leaked", AbstractFault)().plant(Material(good.images, good.labels, good.classes))
    with pytest.raises(DataError, match="crop"):
        copied(good.images[0], "crpo", np.random.default_rng(0))


def test_a_hurried_annotator_errs_where_pictures_look_alike(garments: Path) -> None:
    table = pq.read_table(garments).slice(0, 2000).to_pydict()
    cells = [cell["bytes"] if isinstance(cell, dict) else cell for cell in table["image"]]
    images = [cv2.imdecode(np.frombuffer(cell, np.uint8), cv2.IMREAD_GRAYSCALE) for cell in cells]
    classes, labels = np.unique(table["label"], return_inverse=True)
    good = Material(images, labels, tuple(classes.tolist()))
    bad, truth = LabelFlip(kind="annotator", rate=0.1).plant(good, seed=2)
    doubt, other = look_alike_class(images, labels, len(classes))
    assert truth.faulty.sum() == 200
    assert (bad.labels[truth.faulty] == other[truth.faulty]).all()
    assert doubt[truth.faulty].mean() > 1.5 * doubt.mean()
