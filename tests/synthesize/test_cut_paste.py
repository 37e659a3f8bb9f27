from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scarce.errors import ConfigError, DataError
from scarce.synthesize._patch import cut_patch, encode_mask, patch_boxes, place, turn_patch
from scarce.synthesize.cut_paste import CutPaste, feather, match_light, paste, placed_mask


def random_picture(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def disk(size: int) -> np.ndarray[Any, Any]:
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return np.asarray(x * x + y * y < (0.4 * size) ** 2)


@pytest.mark.parametrize("blend", ["alpha", "feather"])
@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("xy", [(30, 60), (0, 0), (-20, -10), (170, 110), (199, 149), (-39, -39)])
def test_equal_to_blending_the_whole_picture(blend: str, channels: tuple[int, ...], xy: tuple[int, int]) -> None:
    image, patch, mask = random_picture(150, 200, *channels), random_picture(40, 40, *channels, seed=1), disk(40)
    alpha = np.zeros((350, 400), np.float64)
    color = np.zeros((350, 400, *channels), np.float64)
    here = (slice(100 + xy[1], 140 + xy[1]), slice(100 + xy[0], 140 + xy[0]))
    alpha[here], color[here] = feather(mask) / 255 if blend == "feather" else mask, patch
    alpha, color = alpha[100:250, 100:300], color[100:250, 100:300]
    alpha = alpha[..., None] if channels else alpha
    wanted = image * (1 - alpha) + color * alpha
    assert np.abs(paste(image, patch, mask, xy=xy, blend=blend) - wanted).max() <= 1
    assert placed_mask(mask, xy, (150, 200)).sum() <= mask.sum()


def test_only_the_neighborhood_of_the_mask_changes_and_the_input_stays() -> None:
    image, patch, mask = random_picture(100, 100, 3), random_picture(41, 41, 3, seed=1), disk(41)
    before = image.copy()
    found = paste(image, patch, mask, xy=(20, 20))
    assert np.array_equal(image, before)
    outside = np.ones((100, 100), bool)
    outside[20:61, 20:61] = False
    assert np.array_equal(found[outside], image[outside])
    assert np.array_equal(found[40, 40], patch[20, 20])


def test_gray_and_color_meet() -> None:
    assert paste(random_picture(50, 50), random_picture(9, 9, 3), disk(9), xy=(3, 3)).shape == (50, 50)
    assert paste(random_picture(50, 50, 3), random_picture(9, 9), disk(9), xy=(3, 3)).shape == (50, 50, 3)


def test_a_patch_larger_than_the_picture_is_cut_off() -> None:
    found = paste(random_picture(20, 20), np.full((60, 60), 7, np.uint8), np.ones((60, 60), bool), xy=(-20, -20))
    assert (found == 7).all()


def test_a_defect_of_one_pixel() -> None:
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    found = paste(np.zeros((30, 30), np.uint8), np.full((9, 9), 200, np.uint8), mask, xy=(10, 10))
    assert found[14, 14] > 100
    (box,) = patch_boxes(mask)
    assert box[0] <= 4 < box[2]


@pytest.mark.parametrize(
    ("mask", "xy", "blend", "error"),
    [
        (np.zeros((9, 9), bool), (0, 0), "feather", DataError),
        (np.ones((8, 9), bool), (0, 0), "feather", DataError),
        (np.ones((9, 9), bool), (50, 0), "feather", DataError),
        (np.ones((9, 9), bool), (0, -9), "feather", DataError),
        (np.ones((9, 9), bool), (0, 0), "poison", ConfigError),
    ],
)
def test_wrong_input_is_explained(mask: Any, xy: tuple[int, int], blend: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"synthesize\.cut_paste"):
        paste(random_picture(50, 50), random_picture(9, 9), mask, xy=xy, blend=blend)


def test_light_is_matched_to_the_new_place() -> None:
    patch = np.full((20, 20), 100, np.uint8)
    patch[8:12, 8:12] = 50
    mask = patch < 80
    image = np.full((60, 60), 150, np.uint8)
    matched = match_light(patch, mask, image, xy=(5, 5))
    assert np.abs(matched[~mask].astype(int) - 150).max() <= 1
    assert abs(int(matched[10, 10]) - 75) <= 1  # the defect keeps its contrast
    assert np.array_equal(match_light(patch, mask, image, xy=(5, 5), share=0.0), patch)
    assert np.array_equal(match_light(patch, np.ones((20, 20), bool), image, xy=(5, 5)), patch)


def test_each_separate_defect_is_a_patch_and_specks_are_none() -> None:
    mask = np.zeros((200, 200), bool)
    mask[20:60, 20:50] = mask[120:160, 120:150] = True
    mask[190, 5] = True
    boxes = patch_boxes(mask)
    assert len(boxes) == 2
    for x0, y0, x1, y1 in boxes:
        assert mask[y0:y1, x0:x1].sum() == 1200
    assert patch_boxes(np.zeros((9, 9), bool)) == []


def test_the_outline_in_the_recipe_is_the_mask() -> None:
    image, mask = random_picture(120, 90), np.zeros((120, 90), bool)
    mask[30:71, 20:61] = disk(41)
    (box,) = patch_boxes(mask)
    params = encode_mask(mask, box)
    patch, found = cut_patch(image, params)
    assert np.array_equal(found, mask[box[1] : box[3], box[0] : box[2]])
    assert np.array_equal(patch, image[box[1] : box[3], box[0] : box[2]])
    assert len(params["outline"]) < 400
    large, scaled = cut_patch(random_picture(240, 180), params)
    assert large.shape == scaled.shape
    assert abs(scaled.mean() - found.mean()) < 0.03


def test_turning_keeps_the_defect_and_fits_the_picture() -> None:
    patch, mask = random_picture(40, 40), disk(40)
    params = {"mirror": False, "upend": False, "scale": 1.0, "angle": 0.0, "of": [200, 200]}
    same = turn_patch(patch, mask, params, (200, 200))
    assert np.array_equal(same[0], patch)
    assert np.array_equal(same[1], mask)
    mirrored = turn_patch(patch, mask, {**params, "mirror": True, "upend": True}, (200, 200))
    assert np.array_equal(mirrored[0], patch[::-1, ::-1])
    turned = turn_patch(patch, mask, {**params, "angle": 33.0, "scale": 1.5}, (200, 200))
    assert abs(turned[1].sum() / mask.sum() - 2.25) < 0.1
    small = turn_patch(patch, mask, {**params, "scale": 3.0}, (30, 20))
    assert small[0].shape[0] <= 30
    assert small[0].shape[1] <= 20


def test_a_place_lies_on_the_object() -> None:
    region = np.zeros((100, 100), bool)
    region[30:70, 30:70] = True
    for seed in range(30):
        x, y = place(np.random.default_rng(seed), disk(21), region, (100, 100))
        assert region[y : y + 21, x : x + 21][disk(21)].mean() > 0.9
        x, y = place(np.random.default_rng(seed), disk(21), None, (100, 100))
        assert 0 <= x <= 79
        assert 0 <= y <= 79


@pytest.mark.parametrize(
    "settings", [{"scale": [2.0, 1.0]}, {"match": 2.0}, {"rotate": 400.0}, {"severity": 0.0}, {"stay": "off"}]
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        CutPaste.from_params(settings)
