from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from scarce.augment import Policy, apply_batch, guess_domain, policy
from scarce.augment._preset import WORDS
from scarce.augment._uniform import uniforms
from scarce.augment.policy import PRESETS, keys_of
from scarce.dataset import Dataset, Schema
from scarce.errors import ConfigError, DataError, UnknownNameError
from scarce.recipe import warp_images


@pytest.fixture(scope="module")
def pictures(garments: Path) -> np.ndarray[Any, Any]:
    """2,200 real garments of all classes, (N, 28, 28) uint8."""
    cells = pq.read_table(garments, columns=["image"])["image"].to_pylist()[::5]
    return np.stack([cv2.imdecode(np.frombuffer(cell, np.uint8), cv2.IMREAD_GRAYSCALE) for cell in cells])


def settings(name: str, operation: str) -> dict[str, Any]:
    found = [op.params() for op in policy(name).operations if op.plugin_name() == operation]
    return found[0] if found else {}


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_give_a_reason_and_survive_toml(name: str) -> None:
    chosen = policy(name)
    assert len(chosen.why) > 60
    assert Policy.from_toml(chosen.to_toml()) == chosen


def test_a_garment_is_not_turned_upside_down_nor_cropped() -> None:
    assert settings("garment", "flip")["vertical"] == 0
    assert settings("garment", "flip")["diagonal"] == 0
    assert settings("garment", "crop")["area"][0] >= 0.85
    assert settings("garment", "shift_scale_rotate")["shift"] <= 0.1
    assert settings("garment", "random_erasing")["area"][1] <= 0.1


def test_a_surface_is_drawn_in_all_eight_symmetries_alike() -> None:
    operation = policy("surface").operations[0]
    drawn = operation.draw_many(np.random.default_rng(0).random((8000, 4)))
    codes = drawn["horizontal"] * 4 + drawn["vertical"] * 2 + drawn["diagonal"]
    assert np.abs(np.bincount(codes, minlength=8) - 1000).max() < 120


def test_gray_pictures_get_no_color_operation_and_natural_ones_do() -> None:
    assert not any(op.uses_color() for op in policy("gray").operations)
    assert any(op.uses_color() for op in policy("natural").operations)
    assert not any(op.uses_color() for op in policy("natural").without_color().operations)


@pytest.mark.parametrize("name", ["text_in_picture", "medical"])
def test_no_flips_where_the_side_matters(name: str) -> None:
    assert not settings(name, "flip")


@pytest.mark.full
def test_garments_stay_whole_on_the_full_set(fashion: Path) -> None:
    with gzip.open(fashion / "train-images-idx3-ubyte.gz") as file:
        shares = seen(np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28), "garment")
    assert shares.min() >= 0.85


def test_garments_stay_whole(pictures: np.ndarray[Any, Any]) -> None:
    shares = np.concatenate([seen(pictures, "garment", copy=copy) for copy in range(3)])
    assert shares.min() >= 0.85
    assert shares.mean() >= 0.96
    assert seen(pictures, "natural").min() < 0.8  # a preset that is not made for garments does cut them


def test_erasing_leaves_a_garment_recognizable(pictures: np.ndarray[Any, Any]) -> None:
    (operation,) = (op for op in policy("garment").operations if op.plugin_name() == "random_erasing")
    alone = Policy((operation,))
    found = apply_batch(pictures, [str(row) for row in range(len(pictures))], alone)
    lost = ((found != pictures) & (pictures > 30)).sum((1, 2)) / np.maximum((pictures > 30).sum((1, 2)), 1)
    assert (lost > 0).any()
    assert lost.max() <= 0.25
    assert np.mean(lost) <= 0.02


def seen(images: np.ndarray[Any, Any], name: str, *, copy: int = 0) -> np.ndarray[Any, Any]:
    """Return the share of each garment's bounding box that the moved picture still shows.

    The box is drawn solid in the middle of a frame twice as large and moved by the same matrix, so that what leaves the
    small frame can be counted.
    """
    chosen, rows = policy(name), np.flatnonzero((images > 30).any((1, 2)))
    images = images[rows]
    numbers = uniforms(0, keys_of([f"{row:016x}" for row in rows]), len(chosen.operations), copy, 6)
    matrices = np.broadcast_to(np.eye(3), (len(rows), 3, 3)).copy()
    for operation, uniform in zip(chosen.operations, numbers, strict=True):
        if operation.geometric:
            drawn = operation.draw_many(uniform[:, : operation.uniforms + 1])
            step = operation.matrices(drawn, 28, 28)
            matrices[drawn["applied"]] = (step @ matrices)[drawn["applied"]]
    down, across = (images > 30).any(2), (images > 30).any(1)
    solid = np.zeros((len(rows), 56, 56), np.uint8)
    solid[:, 14:42, 14:42] = between(down)[:, :, None] & between(across)[:, None, :]
    there, back = np.eye(3), np.eye(3)
    there[:2, 2], back[:2, 2] = 14, -14
    moved = warp_images(solid * np.uint8(255), there @ matrices @ back, "constant").astype(float)
    shares: np.ndarray[Any, Any] = moved[:, 14:42, 14:42].sum((1, 2)) / moved.sum((1, 2))
    return shares


def between(marked: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return True from the first to the last True of each row."""
    first = np.maximum.accumulate(marked, axis=1)
    last = np.maximum.accumulate(marked[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(first & last)


def test_a_batch_equals_the_recipe_replayed_and_color_and_plane_shapes() -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 28, 28, 1), np.uint8)
    ids = [str(index) for index in range(9)]
    found = apply_batch(images, ids, policy("gray"), 1, 2)
    assert found.shape == images.shape
    assert np.array_equal(found[..., 0], apply_batch(images[..., 0], ids, policy("gray"), 1, 2))


def test_one_sample_twice_in_a_batch_may_look_different() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 28, 28), np.uint8)
    images[1] = images[0]
    chosen = policy("gray")
    same = apply_batch(images, ["a", "a"], chosen, 0, 3)
    other = apply_batch(images, ["a", "a"], chosen, 0, np.array([3, 4]))
    assert np.array_equal(same[0], same[1])
    assert np.array_equal(same[0], other[0])
    assert not np.array_equal(other[0], other[1])


def test_apply_gives_back_what_it_was_given() -> None:
    image, mask = np.full((50, 40, 3), 90, np.uint8), np.ones((50, 40), bool)
    chosen = policy("natural")
    alone = chosen.apply(image, np.random.default_rng(5))
    both = chosen.apply(image, np.random.default_rng(5), mask, np.array([[1.0, 2, 30, 40]]))
    assert np.array_equal(alone, both[0])
    assert both[1].shape == (50, 40)
    assert both[2].shape == (1, 4)


@pytest.mark.parametrize("images", [np.zeros((2, 4, 4)), np.zeros((4, 4), np.uint8), np.zeros((3, 4, 4), np.uint8)])
def test_a_wrong_batch_is_refused(images: np.ndarray[Any, Any]) -> None:
    with pytest.raises(DataError, match="batch"):
        apply_batch(images, ["a", "b"], policy("gray"))


def test_an_empty_batch_stays_empty() -> None:
    assert apply_batch(np.zeros((0, 28, 28), np.uint8), [], policy("garment")).shape == (0, 28, 28)


def test_unknown_names_come_with_the_closest() -> None:
    with pytest.raises(UnknownNameError, match="garment"):
        policy("garments")
    with pytest.raises(UnknownNameError, match="flip"):
        Policy.from_toml('[[operation]]\nop = "flipp"')
    with pytest.raises(ConfigError, match="horizontal"):
        Policy.from_toml('[[operation]]\nop = "flip"\nhorizontl = 0.5')
    with pytest.raises(UnknownNameError, match="operation"):
        Policy.from_toml("operations = []")
    with pytest.raises(ConfigError, match="TOML"):
        Policy.from_toml("[[")
    with pytest.raises(ConfigError, match="op"):
        Policy.from_toml("[[operation]]\nprobability = 1.0")


def test_an_own_policy_is_written_with_any_name() -> None:
    own = Policy(policy("gray").operations, 'mine "of\\today"\n', "because")
    assert Policy.from_toml(own.to_toml()) == own


@pytest.mark.parametrize(
    ("classes", "normal", "gray", "domain"),
    [
        (("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Bag", "Ankle boot"), (), 1, "garment"),
        (("free", "blowhole", "uneven", "break", "crack", "fray"), ("free",), 1, "surface"),
        (("good", "unit 7"), ("good",), 0, "surface"),
        (("benign", "malignant"), (), 0, "medical"),
        (tuple("0123456789"), (), 1, "text_in_picture"),
        (("class_a", "class_b"), (), 1, "gray"),
        (("cat", "dog"), (), 0, "natural"),
        ((), (), 0, "natural"),
    ],
)  # fmt: skip
def test_the_domain_is_guessed_with_a_reason(
    classes: tuple[str, ...], normal: tuple[str, ...], gray: int, domain: str
) -> None:
    ds = Dataset.from_columns(Schema(classes=classes, normal_classes=normal), {"id": ["a", "b"]})
    found, why = guess_domain(ds.with_columns({"scan.gray": np.full(2, bool(gray))}))
    assert found == domain
    assert len(why) > 15


def test_words_are_words() -> None:
    for words in WORDS.values():
        assert len(words) >= 12
        assert all(word.isalpha() and word.islower() for word in words)


def test_policies_name_their_operations_for_the_lineage() -> None:
    params = policy("medical").params()
    assert [entry["op"] for entry in params["operations"]] == ["shift_scale_rotate", "brightness_contrast"]
