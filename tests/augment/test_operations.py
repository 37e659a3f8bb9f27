from __future__ import annotations

import itertools
from typing import Any

import cv2
import numpy as np
import pytest

from scarce.augment._base import AbstractOperation
from scarce.augment.brightness_contrast import BrightnessContrast
from scarce.augment.crop import Crop, crop_matrices
from scarce.augment.flip import flip_matrices
from scarce.augment.random_erasing import RandomErasing, erase
from scarce.augment.shift_scale_rotate import ShiftScaleRotate, similarity
from scarce.errors import ConfigError
from scarce.recipe import Parents, Scene, warp_images
from scarce.registry import load, names

PARENTS = Parents(lambda _: np.zeros((1, 1), np.uint8))


def picture(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def one(matrix: np.ndarray[Any, Any], image: np.ndarray[Any, Any], border: str = "reflect") -> np.ndarray[Any, Any]:
    return warp_images(image[None], matrix, border)[0]


@pytest.mark.parametrize("size", [(31, 31), (90, 90)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_flip_reaches_the_eight_symmetries_exactly(size: tuple[int, int], channels: tuple[int, ...]) -> None:
    image = picture(*size, *channels)
    for horizontal, vertical, diagonal in itertools.product([False, True], repeat=3):
        wanted = np.swapaxes(image, 0, 1) if diagonal else image
        wanted = wanted[::-1] if vertical else wanted
        wanted = wanted[:, ::-1] if horizontal else wanted
        found = one(flip_matrices([horizontal], [vertical], [diagonal], size), image)
        assert np.array_equal(found, wanted)


def test_flip_skips_the_diagonal_of_oblong_pictures() -> None:
    image = picture(20, 31)
    assert np.array_equal(one(flip_matrices([False], [True], [True], (20, 31)), image), image[::-1])


@pytest.mark.parametrize("shape", [(40, 40), (100, 100, 3)])
def test_a_quarter_turn_is_numpys(shape: tuple[int, ...]) -> None:
    image = picture(*shape)
    matrix = similarity(np.array([90.0]), np.array([1.0]), (np.zeros(1), np.zeros(1)), (shape[0], shape[1]))
    assert np.array_equal(one(matrix, image), np.rot90(image))


def test_a_shift_moves_right_and_down() -> None:
    image = picture(30, 50)
    operation = ShiftScaleRotate()
    params = {"angle": np.zeros(1), "scale": np.ones(1), "x": np.array([0.1]), "y": np.array([0.2])}
    found = one(operation.matrices(params, 30, 50), image, "constant")
    assert np.array_equal(found[6:, 5:], image[:-6, :-5])
    assert not found[:6].any()
    assert not found[:, :5].any()


def test_cut_bounds_what_a_shift_pushes_out() -> None:
    operation = ShiftScaleRotate(shift=0.3, scale=(0.8, 1.0), rotate=0.0, cut=0.03)
    drawn = operation.draw_many(np.random.default_rng(0).random((5000, 5)))
    out = np.maximum(np.abs(drawn["x"]), np.abs(drawn["y"])) - (1 - drawn["scale"]) / 2
    assert out.max() <= 0.03 + 1e-4
    assert out.max() > 0.025


def test_a_crop_is_the_window_resized_as_opencv_does() -> None:
    image = cv2.GaussianBlur(picture(100, 80), (0, 0), 2)
    window = {"x": [0.25], "y": [0.5], "width": [0.5], "height": [0.25]}
    found = one(crop_matrices(window, 100, 80), image)
    wanted = cv2.resize(image[48:77, 18:62], (0, 0), fx=2, fy=4, interpolation=cv2.INTER_LINEAR)[8:108, 4:84]
    assert np.abs(found.astype(int) - wanted.astype(int)).max() <= 2


def test_crops_keep_the_area_that_they_promise() -> None:
    drawn = Crop(area=(0.6, 0.9), ratio=(0.5, 2.0)).draw_many(np.random.default_rng(0).random((5000, 5)))
    area = drawn["width"] * drawn["height"]
    assert area.min() >= 0.6 - 1e-4
    assert area.max() <= 0.9 + 1e-4
    assert (drawn["x"] >= 0).all()
    assert (drawn["x"] + drawn["width"] <= 1 + 1e-4).all()
    assert (drawn["y"] + drawn["height"] <= 1 + 1e-4).all()


def test_brightness_follows_its_formula() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    params = {"brightness": 0.1, "contrast": 1.5, "pivot": 0.5}
    table = BrightnessContrast().replay(Scene(levels), params, PARENTS).image.ravel()
    values = (np.arange(256) - 127.5) * 1.5 + 127.5 + 25.5
    assert np.abs(table - np.clip(values, 0, 255)).max() <= 0.51


def test_a_pivot_of_zero_keeps_black_black() -> None:
    operation = BrightnessContrast(brightness=0.0, contrast=0.9, pivot=0.0)
    for seed in range(20):
        params = operation.draw(np.random.default_rng(seed))
        assert params is not None
        image = np.zeros((8, 8), np.uint8)
        assert not operation.replay(Scene(image), params, PARENTS).image.any()


def test_tint_touches_channels_apart_and_gray_not_at_all() -> None:
    operation = BrightnessContrast(brightness=0.0, contrast=0.0, tint=0.3)
    params = operation.draw(np.random.default_rng(1))
    assert params is not None
    gray = np.full((6, 6), 100, np.uint8)
    assert np.array_equal(operation.replay(Scene(gray), params, PARENTS).image, gray)
    color = operation.replay(Scene(np.stack([gray] * 3, axis=-1)), params, PARENTS).image[0, 0]
    assert np.allclose(color, 100 * np.array(params["tint"]), atol=1)
    assert len(set(color.tolist())) > 1


@pytest.mark.parametrize("fill", ["mean", "noise", "black"])
def test_erasing_covers_its_share_and_nothing_else(fill: Any) -> None:
    operation = RandomErasing(area=(0.1, 0.1), ratio=(1.0, 1.0), fill=fill, probability=1.0)
    image = np.full((100, 100, 3), 200, np.uint8)
    image[0] = 0
    for seed in range(10):
        params = operation.draw(np.random.default_rng(seed))
        assert params is not None
        found = operation.replay(Scene(image), params, PARENTS).image
        changed = (found != image).any(axis=2)
        rows, cols = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        assert 0.08 <= changed.mean() <= 0.11
        assert np.ptp(rows) * np.ptp(cols) <= 1100
        assert np.array_equal(found, operation.replay(Scene(image), params, PARENTS).image)


def test_erase_takes_a_box_at_the_edge() -> None:
    image = picture(10, 10)
    erase(image, (8, 8, 10, 10), fill="black")
    assert not image[8:, 8:].any()


@pytest.mark.parametrize("name", names("augment"))
def test_every_operation_leaves_its_input_alone_and_draws_the_same_twice(name: str) -> None:
    operation = load("augment", name, AbstractOperation)()
    if operation.modality != "image" or operation.partner:
        assert operation.draw_for("a", seed=3, operation=1, copy=2) == operation.draw_for(
            "a", seed=3, operation=1, copy=2
        )
        return
    image = picture(40, 50, 3)
    before = image.copy()
    params = operation.draw_for("some id", seed=3, operation=1, copy=2)
    assert params == operation.draw_for("some id", seed=3, operation=1, copy=2)
    if params is not None and not operation.geometric:
        operation.replay(Scene(image), params, PARENTS)
    assert np.array_equal(image, before)


@pytest.mark.parametrize("name", names("augment"))
def test_probability_is_kept(name: str) -> None:
    operation = load("augment", name, AbstractOperation).from_params({"probability": 0.3})
    drawn = [operation.draw_for(str(index), seed=0, operation=0, copy=0) for index in range(2000)]
    assert 0.26 < np.mean([one is not None for one in drawn]) < 0.34


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("flip", {"horizontal": 1.5}),
        ("flip", {"probability": -0.1}),
        ("crop", {"area": [0.9, 0.2]}),
        ("crop", {"ratio": [0.0, 1.0]}),
        ("shift_scale_rotate", {"scale": [0.0, 1.0]}),
        ("shift_scale_rotate", {"rotate": 270.0}),
        ("shift_scale_rotate", {"border": "wrap"}),
        ("brightness_contrast", {"contrast": 2.0}),
        ("random_erasing", {"area": [0.1, 0.95]}),
        ("random_erasing", {"fill": "red"}),
    ],
)
def test_settings_out_of_range_are_refused(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        load("augment", name, AbstractOperation).from_params(settings)
