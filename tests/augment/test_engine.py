from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scarce import recipe as recipes
from scarce.augment import OneOf, Policy, apply_batch
from scarce.augment._base import AbstractOperation
from scarce.augment.brightness_contrast import BrightnessContrast
from scarce.augment.coarse_dropout import CoarseDropout
from scarce.augment.crop import Crop
from scarce.augment.elastic import Elastic
from scarce.augment.equalize import Equalize
from scarce.augment.flip import Flip
from scarce.augment.gamma import Gamma
from scarce.augment.gaussian_blur import GaussianBlur
from scarce.augment.gaussian_noise import GaussianNoise, noise_levels
from scarce.augment.grid_distortion import GridDistortion
from scarce.augment.hue_saturation_value import HueSaturationValue, color_matrices
from scarce.augment.jpeg import Jpeg
from scarce.augment.median_blur import MedianBlur
from scarce.augment.motion_blur import line_kernel
from scarce.augment.optical_distortion import OpticalDistortion
from scarce.augment.perspective import Perspective
from scarce.augment.rotate import Rotate
from scarce.augment.rotate_90 import Rotate90
from scarce.augment.shear import Shear
from scarce.augment.to_gray import ToGray
from scarce.augment.translate import Translate
from scarce.augment.wrapped import Wrapped
from scarce.errors import ConfigError
from scarce.recipe import Parents, Scene
from scarce.registry import load, names

PARENTS = Parents(lambda _: np.zeros((1, 1), np.uint8))
KINDS = [load("augment", name, AbstractOperation) for name in names("augment")]
ALL = [kind for kind in KINDS if kind.modality == "image" and not kind.partner and kind is not Wrapped]
VISIBLE = {"gaussian_blur": {"radius": [0.02, 0.04]}, "solarize": {"threshold": [0.1, 0.2]}}
"""Settings that show on small dark pictures."""
Picture = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def tile(shared_data: Path) -> Picture:
    """A real picture of a defect, 96 x 96 RGB."""
    first = min((shared_data / "magnetic_tile").rglob("*.jpg"))
    found = cv2.resize(cv2.imread(str(first), cv2.IMREAD_COLOR_RGB), (96, 96), interpolation=cv2.INTER_AREA)
    warm = found.astype(np.float32) * [1.0, 0.85, 0.7] + [0, 10, 20]
    return np.clip(warm, 0, 255).astype(np.uint8)


def every(operation: AbstractOperation, image: Picture, seed: int = 0, **more: Any) -> Any:
    return Policy((operation,)).apply(image, np.random.default_rng(seed), **more)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.plugin_name())
@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3), (120, 97), (97, 120, 3)])
def test_each_operation_is_the_same_alone_in_a_batch_and_from_its_recipe(
    kind: type[AbstractOperation], shape: tuple[int, ...], tile: Picture
) -> None:
    base = cv2.resize(tile, (shape[1], shape[0]))
    base = base if len(shape) == 3 else base[..., 0].copy()
    images = np.stack([np.roll(base, 7 * turn, axis=0) for turn in range(6)])
    before, ids = images.copy(), [f"s{index}" for index in range(6)]
    chosen = Policy((kind.from_params({"probability": 0.8, **VISIBLE.get(kind.plugin_name(), {})}),))
    together = apply_batch(images, ids, chosen, 5, 2)
    backward = apply_batch(images[::-1], ids[::-1], chosen, 5, 2)[::-1]
    alone = [recipes.render(chosen.recipe(one, seed=5, copy=2), lambda name: images[int(name[1:])]) for one in ids]
    assert np.array_equal(images, before)
    assert np.array_equal(together, backward)
    assert np.array_equal(together, np.stack(alone))
    assert together.dtype == np.uint8
    if not (kind is ToGray and len(shape) == 2):
        assert not np.array_equal(together, images)
    again = kind.from_params({"probability": 0.0})
    assert np.array_equal(apply_batch(images, ids, Policy((again,)), 5, 2), images)


def test_a_long_mixed_policy_is_the_same_alone_and_in_a_batch(tile: Picture) -> None:
    chosen = Policy((
        Flip(), Elastic(probability=0.5), Gamma(probability=0.5), Rotate(probability=0.5),
        HueSaturationValue(probability=0.5),
        GaussianNoise(probability=0.3), Perspective(probability=0.5), BrightnessContrast(tint=0.1, probability=0.5),
        OneOf(
            ((GaussianBlur(),), (MedianBlur(), Crop()), (GridDistortion(probability=0.5), ToGray(probability=0.5))),
            (3, 1, 2), 0.8,
        ),
        CoarseDropout(), OpticalDistortion(), Equalize(probability=0.2),
    ))  # fmt: skip
    for size in (40, 130):
        images = np.stack([cv2.resize(np.roll(tile, k, axis=1), (size, size)) for k in range(12)])
        ids = [f"{k:016x}" for k in range(12)]
        online = apply_batch(images, ids, chosen, 1, 4)
        for k, one in enumerate(ids):
            text = chosen.recipe(one, seed=1, copy=4)
            assert np.array_equal(
                online[k], recipes.render(text, lambda name, pictures=images: pictures[int(name, 16)])
            )
        parts = [apply_batch(images[k : k + 5], ids[k : k + 5], chosen, 1, 4) for k in range(0, 12, 5)]
        assert np.array_equal(np.concatenate(parts), online)


def test_moves_are_one_resample_and_colors_one_table(tile: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("warpAffine", "warpPerspective", "remap", "LUT", "transform"):
        real = getattr(cv2, name)
        monkeypatch.setattr(
            cv2, name, lambda *args, _real=real, _name=name, **more: (calls.append(_name), _real(*args, **more))[1]
        )
    big = cv2.resize(tile, (160, 160))
    color = (BrightnessContrast(), Gamma(), BrightnessContrast(brightness=0.1))
    Policy((Flip(horizontal=1.0), *color[:1], Rotate(), *color[1:], Shear(), Crop())).apply(
        big, np.random.default_rng(0)
    )
    assert calls == ["warpAffine", "LUT"]
    calls.clear()
    Policy((BrightnessContrast(tint=0.1), HueSaturationValue(), ToGray(probability=1.0), BrightnessContrast())).apply(
        big, np.random.default_rng(0)
    )
    assert calls == ["transform"]
    calls.clear()
    Policy((Rotate(), OpticalDistortion(), Perspective())).apply(big, np.random.default_rng(0))
    assert calls == ["remap"]


def test_fused_colors_are_the_steps_one_by_one(tile: Picture) -> None:
    steps = (
        BrightnessContrast(brightness=0.05, tint=0.05),
        HueSaturationValue(hue=20.0),
        Gamma(),
        ToGray(probability=0.0),
    )
    drawn = [(step, step.draw(np.random.default_rng(k))) for k, step in enumerate(steps)]
    values = tile.astype(np.float64)
    for step, params in drawn[:3]:
        assert params is not None
        rows = {key: np.asarray([value]) for key, value in params.items()}
        tone = step.tone(rows, np.zeros(1, np.int64), 3)
        if tone.gain is not None and tone.offset is not None:
            values = values * tone.gain[0] + tone.offset[0]
        elif tone.matrix is not None:
            values = values @ tone.matrix[0, :, :3].T + tone.matrix[0, :, 3]
        elif tone.curve is not None:
            values = tone.curve(np.clip(values, 0, 255)[None])[0]
    ops = [(f"augment.{step.plugin_name()}", params) for step, params in drawn if params]
    found = recipes.replay(Scene(tile), ops, PARENTS).image
    assert np.abs(found - np.clip(values, 0, 255)).max() <= 2.0


@pytest.mark.parametrize("operation", [
    Elastic(strength=(0.02, 0.02)), GridDistortion(), OpticalDistortion(strength=(0.2, 0.2)), Perspective(scale=0.2),
    Shear(x=(20.0, 20.0)), Rotate(angle=(30.0, 30.0)), Translate(x=(0.1, 0.1)),
])  # fmt: skip
def test_masks_boxes_and_points_follow(operation: AbstractOperation) -> None:
    image = np.zeros((200, 240), np.uint8)
    for x, y in ((90, 80), (150, 120)):
        image[y - 6 : y + 6, x - 6 : x + 6] = 255
    chosen = Policy((Flip(horizontal=1.0), operation))
    boxes, points = np.array([[84.0, 74, 96, 86], [144, 114, 156, 126]]), np.array([[90.0, 80], [150, 120]])
    moved, mask, around, at = chosen.apply(image, np.random.default_rng(3), image > 0, boxes, points)
    assert (mask == (moved > 127)).mean() > 0.999
    for (x0, y0, x1, y1), (x, y) in zip(around, at, strict=True):
        part = mask.copy()
        part[: max(0, int(y0) - 4)] = part[int(y1) + 5 :] = False
        part[:, : max(0, int(x0) - 4)] = part[:, int(x1) + 5 :] = False
        rows, cols = np.nonzero(part)
        assert np.abs([cols.min() - x0, rows.min() - y0, cols.max() + 1 - x1, rows.max() + 1 - y1]).max() <= 2.0
        assert np.abs([cols.mean() + 0.5 - x, rows.mean() + 0.5 - y]).max() <= 1.0


def test_quarter_turns_are_numpys() -> None:
    image = np.random.default_rng(0).integers(0, 256, (70, 70, 3), np.uint8)
    for quarters in range(4):
        found = Rotate90().replay(Scene(image), {"quarters": quarters}, PARENTS).image
        assert np.array_equal(found, np.rot90(image, quarters))
    oblong = image[:40]
    found = Rotate90().replay(Scene(oblong), {"quarters": 3}, PARENTS).image
    assert np.array_equal(found, np.rot90(oblong, 2))


def test_turning_the_hue_keeps_gray_and_the_luma() -> None:
    matrix = color_matrices(np.array([120.0]), np.array([1.0]), np.array([1.0]))[0, :, :3]
    assert np.allclose(matrix @ [1, 1, 1], 1)
    assert np.allclose(np.array([0.299, 0.587, 0.114]) @ matrix, [0.299, 0.587, 0.114], atol=2e-3)
    assert np.allclose(np.linalg.matrix_power(matrix, 3), np.eye(3), atol=1e-9)


def test_gray_and_saturation_agree_with_opencv(tile: Picture) -> None:
    found = ToGray().replay(Scene(tile), {}, PARENTS).image
    wanted = cv2.cvtColor(tile, cv2.COLOR_RGB2GRAY)
    assert np.abs(found.astype(int) - wanted[..., None]).max() <= 1


def test_noise_has_the_asked_deviation() -> None:
    noise = noise_levels(3, (300, 300), 12.0)
    assert abs(noise.std() - 12) < 0.2
    assert abs(noise.mean()) < 0.2
    flat = np.full((200, 200, 3), 128, np.uint8)
    moved = every(GaussianNoise(deviation=(0.05, 0.05)), flat).astype(int) - 128
    assert abs(moved.std() - 12.75) < 0.4


def test_a_blur_line_is_as_long_as_asked() -> None:
    for angle in (0.0, 30.0, 90.0):
        kernel = line_kernel(9.0, angle)
        assert kernel.sum() == pytest.approx(1, abs=1e-5)
        y, x = np.mgrid[: len(kernel), : len(kernel)] - len(kernel) // 2
        along = x * np.cos(np.deg2rad(angle)) - y * np.sin(np.deg2rad(angle))
        assert (kernel * along**2).sum() == pytest.approx(81 / 12, rel=0.1)


def test_jpeg_is_opencvs_round_trip(tile: Picture) -> None:
    found = Jpeg().replay(Scene(tile), {"quality": 60}, PARENTS).image
    _, body = cv2.imencode(".jpg", tile[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])
    assert np.array_equal(found, cv2.imdecode(body, cv2.IMREAD_COLOR)[..., ::-1])


@pytest.mark.parametrize("wrong", [
    lambda: Rotate(angle=(-200.0, 0.0)), lambda: Shear(x=(5.0, -5.0)), lambda: MedianBlur(size=(4,)),
    lambda: GridDistortion(cells=1), lambda: Gamma(gamma=(0.0, 1.0)), lambda: CoarseDropout(holes=(1, 99)),
    lambda: OneOf(()), lambda: OneOf(((Flip(),),), weights=(-1.0,)), lambda: OneOf(((Flip(),),), probability=1.5),
])  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError):
        wrong()


def test_a_group_gives_each_sample_one_choice_as_often_as_weighed() -> None:
    group = OneOf(((GaussianBlur(),), (MedianBlur(), Flip(horizontal=1.0))), weights=(3, 1), probability=0.5)
    chosen = Policy((group,))
    found = [tuple(name for name, _ in chosen.draw_for(f"s{k}", seed=1)) for k in range(2000)]
    shares = {key: found.count(key) / 2000 for key in set(found)}
    assert set(shares) == {(), ("augment.gaussian_blur",), ("augment.median_blur", "augment.flip")}
    assert abs(shares[()] - 0.5) < 0.04
    assert abs(shares["augment.gaussian_blur",] - 0.375) < 0.04
    assert Policy.from_toml(chosen.to_toml()) == chosen
    assert chosen.only(group.choices[0]).operations == (OneOf(((GaussianBlur(),),), (3,), 0.5),)


def test_toml_takes_p_groups_and_what_a_network_wants(tile: Picture) -> None:
    text = """
    normalize = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]
    to_tensor = true
    [[operation]]
    op = "one-of"
    p = 0.5
    choices = [{ op = "gaussian_blur", p = 0.7 }, [{ op = "flip" }, { op = "to_gray" }]]
    """
    chosen = Policy.from_toml(text)
    assert [one.probability for one in chosen.parts()] == [0.7, 1.0, 0.1]
    assert Policy.from_toml(chosen.to_toml()) == chosen
    found = chosen.finish(tile[None])
    assert found.shape == (1, 3, 96, 96)
    assert np.allclose(found[0, 1], (tile[..., 1] / 255 - 0.456) / 0.224, atol=1e-5)
    for wrong in ("normalize = [[0.5], [0.0]]", 'operation = "flip"', '[[operation]]\nop = "one_of"\nchoices = []'):
        with pytest.raises(ConfigError):
            Policy.from_toml(wrong)
