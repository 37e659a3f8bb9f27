from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from scarce.errors import ConfigError, DataError
from scarce.synthesize._region import mask_box, object_mask
from scarce.synthesize.contamination import draw_contamination
from scarce.synthesize.crack import draw_crack
from scarce.synthesize.dent import draw_dent
from scarce.synthesize.discoloration import draw_discoloration
from scarce.synthesize.hole import draw_hole
from scarce.synthesize.missing_part import draw_missing_part
from scarce.synthesize.perlin_blend import draw_perlin_blend
from scarce.synthesize.scratch import draw_scratch
from scarce.synthesize.stain import draw_stain
from scarce.synthesize.tear import draw_tear

DRAW = {
    "contamination": draw_contamination,
    "crack": draw_crack,
    "dent": draw_dent,
    "discoloration": draw_discoloration,
    "hole": draw_hole,
    "missing_part": draw_missing_part,
    "perlin_blend": draw_perlin_blend,
    "scratch": draw_scratch,
    "stain": draw_stain,
    "tear": draw_tear,
}
SOFT = {"discoloration", "perlin_blend"}
SHAPES = [(28, 28), (256, 256, 3), (480, 640, 3), (1, 1), (3, 200), (200, 2, 3)]


def texture(*shape: int) -> np.ndarray[Any, Any]:
    noise = np.random.default_rng(0).normal(130, 25, shape)
    return np.clip(cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 1).reshape(shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", DRAW)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("level", [0, 128, 255])
def test_every_picture_gets_a_defect_and_keeps_its_shape(kind: str, shape: tuple[int, ...], level: int) -> None:
    image = np.full(shape, level, np.uint8)
    before = image.copy()
    for severity in (0.01, 0.5, 1.0):
        for seed in range(8):
            found, mask = DRAW[kind](image, seed=seed, severity=severity)
            assert found.shape == image.shape
            assert found.dtype == np.uint8
            assert mask.shape == shape[:2]
            assert mask.dtype == bool
            assert mask.any()
    assert np.array_equal(image, before)


@pytest.mark.parametrize("kind", DRAW)
def test_the_mask_marks_what_changed(kind: str) -> None:
    image = texture(256, 256, 3)
    for seed in range(30):
        found, mask = DRAW[kind](image, seed=seed, severity=0.6)
        change = np.abs(found.astype(int) - image.astype(int)).max(axis=2)
        near = cv2.dilate(mask.astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
        assert change[~near].max(initial=0) <= (0.4 * change.max() if kind in SOFT else int(kind == "dent"))
        assert change[mask].mean() > 8 > change[near & ~mask].mean() * 0.5
        strong = change > 0.5 * change.max()
        assert (strong & mask).sum() > 0.6 * strong.sum()


@pytest.mark.parametrize("kind", DRAW)
def test_the_same_seed_draws_the_same_and_another_seed_another(kind: str) -> None:
    image = texture(120, 120)
    first, second, other = (DRAW[kind](image, seed=seed)[0] for seed in (4, 4, 5))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("kind", DRAW)
def test_a_region_holds_the_defect(kind: str) -> None:
    image = texture(200, 300)
    inside = np.zeros((200, 300), bool)
    inside[50:90, 100:180] = True
    for seed in range(20):
        for region in ((100, 50, 180, 90), inside):
            found, mask = DRAW[kind](image, seed=seed, region=region, severity=0.9)
            assert mask.any()
            assert not (mask & ~inside).any()
            assert (
                np.abs(found.astype(int) - image)[
                    ~cv2.dilate(inside.astype(np.uint8), np.ones((31, 31))).astype(bool)
                ].max()
                == 0
            )


@pytest.mark.parametrize("kind", DRAW)
def test_severity_makes_it_larger_and_stronger(kind: str) -> None:
    image = texture(256, 256)
    areas, changes = [], []
    for severity in (0.1, 0.4, 0.9):
        drawn = [DRAW[kind](image, seed=seed, severity=severity) for seed in range(40)]
        areas.append(np.mean([mask.sum() for _, mask in drawn]))
        changes.append(np.mean([np.abs(found.astype(int) - image)[mask].mean() for found, mask in drawn]))
    assert areas == sorted(areas)
    assert areas[2] > 3 * areas[0]
    assert changes == sorted(changes)


def test_a_stain_keeps_the_texture_of_the_material() -> None:
    image = texture(256, 256)
    kept = []
    for seed in range(20):
        found, mask = draw_stain(image, seed=seed, severity=0.8)
        core = cv2.erode(mask.astype(np.uint8), np.ones((15, 15))) > 0  # without the rim
        fine = [one.astype(float) - cv2.GaussianBlur(one.astype(np.float32), (0, 0), 2) for one in (image, found)]
        if core.sum() > 100:
            kept.append(np.corrcoef(fine[0][core], fine[1][core])[0, 1])
    assert len(kept) > 5
    assert np.min(kept) > 0.8


def test_a_stain_tints_colored_material() -> None:
    image = np.full((100, 100, 3), 180, np.uint8)
    found, mask = draw_stain(image, seed=1, severity=0.9)
    assert np.ptp(found[mask].mean(axis=0)) > 3


def test_soft_edges() -> None:
    image = np.full((256, 256), 128, np.uint8)
    for draw in DRAW.values():
        found, _ = draw(image, seed=3, severity=0.7)
        assert len(np.unique(found)) > 12  # not one flat color


@pytest.mark.parametrize("kind", DRAW)
@pytest.mark.parametrize(
    "region", [(5, 5, 5, 9), (300, 0, 400, 10), (-9, -9, 0, 0), np.zeros((50, 50), bool), np.ones((4, 4))]
)
def test_a_region_without_pixels_is_refused(kind: str, region: Any) -> None:
    with pytest.raises(DataError, match="region"):
        DRAW[kind](np.zeros((50, 50), np.uint8), seed=0, region=region)


@pytest.mark.parametrize("kind", DRAW)
def test_wrong_input_is_refused(kind: str) -> None:
    for severity in (0.0, -1.0, 1.1, float("nan")):
        with pytest.raises(ConfigError, match="severity"):
            DRAW[kind](np.zeros((9, 9), np.uint8), seed=0, severity=severity)
    with pytest.raises(DataError, match="shape"):
        DRAW[kind](np.zeros((9, 9), np.float32), seed=0)


def test_the_object_is_found_on_plain_ground_only() -> None:
    image = np.full((100, 100), 5, np.uint8)
    image[20:80, 30:70] = 150
    found = object_mask(image)
    assert found is not None
    assert np.mean(found == (image > 100)) > 0.99
    assert object_mask(np.stack([image] * 3, axis=-1)) is not None
    assert object_mask(texture(100, 100)) is None
    assert object_mask(np.zeros((50, 50), np.uint8)) is None


def test_box_of_a_mask() -> None:
    mask = np.zeros((9, 9), bool)
    assert mask_box(mask).tolist() == [0, 0, 0, 0]
    mask[2:4, 5:9] = True
    assert mask_box(mask).tolist() == [5, 2, 9, 4]
