"""What array functions refuse, in our own words; and key points that follow a mosaic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scarce.augment import cutmix, mixup, mosaic
from scarce.augment.mosaic import Mosaic
from scarce.augment.policy import build, policy
from scarce.errors import ConfigError, DataError, ScarceError
from scarce.recipe import Scene
from scarce.synthesize.cut_paste import paste
from scarce.synthesize.scratch import draw_scratch
from scarce.synthesize.stain import draw_stain

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 255, (8, 32, 40, 3), dtype=np.uint8)
LABELS = np.arange(8) % 3
MASK = np.zeros((32, 40), bool)
MASK[8:24, 8:24] = True


@pytest.mark.parametrize("mix", [mixup.mix, cutmix.mix, mosaic.mix])
def test_mixes_refuse_what_they_cannot_take(mix: Callable[..., Any]) -> None:
    for seed in (-1, 0.5, None):
        with pytest.raises(ConfigError, match="seed"):
            mix(IMAGES, LABELS, seed=seed)
    with pytest.raises(DataError, match="no one array"):
        mix([IMAGES[0], IMAGES[1][:5]], LABELS[:2], seed=0)
    with pytest.raises(DataError, match="cannot be mixed"):
        mix(["a", "b"], LABELS[:2], seed=0)
    listed, _ = mix(list(IMAGES), LABELS, seed=3)
    assert np.array_equal(listed, mix(IMAGES, LABELS, seed=3)[0])


def test_a_mosaic_needs_room_for_four() -> None:
    with pytest.raises(DataError, match="no room for four"):
        mosaic.mix(IMAGES[:, :1, :1], LABELS, seed=0)
    assert mosaic.mix(IMAGES[:, :2, :2], LABELS, seed=0)[0].shape == (8, 2, 2, 3)


@pytest.mark.parametrize("draw", [draw_scratch, draw_stain])
def test_drawing_refuses_a_negative_seed(draw: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match="seed = -1"):
        draw(IMAGES[0], seed=-1)


def test_boxes_and_points_of_a_wrong_shape_are_refused() -> None:
    chosen, rng = policy("surface"), np.random.default_rng(0)
    for boxes in (np.zeros((2, 5)), [["a"] * 4], np.full((1, 4), np.nan)):
        with pytest.raises(DataError, match="boxes of shape"):
            chosen.apply(IMAGES[0], rng, None, boxes)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="ends before it begins"):
        chosen.apply(IMAGES[0], rng, None, np.array([[1, 1, 9, 9], [20, 20, 5, 5.0]]))
    with pytest.raises(DataError, match="points of shape"):
        chosen.apply(IMAGES[0], rng, None, None, np.zeros((3, 3)))
    _, boxes, points = chosen.apply(IMAGES[0], rng, None, [[0, 0, 5, 5]], [[0, 0], [3, 4]])  # type: ignore[arg-type]
    assert boxes.shape == (1, 4)
    assert points.shape == (2, 2)


@pytest.mark.parametrize(
    ("mask", "xy", "what"),
    [(np.full((32, 40), np.nan), (0, 0), "no number"), (MASK, None, "no place"), (MASK, ("a", "b"), "no place"),
     (MASK, (float("nan"), 0), "no place")],
)  # fmt: skip
def test_pasting_refuses_masks_and_places_that_are_none(mask: Any, xy: Any, what: str) -> None:
    with pytest.raises(ScarceError, match=what):
        paste(IMAGES[0], IMAGES[1], mask, xy=xy)


def test_key_points_follow_a_mosaic() -> None:
    own = np.zeros((60, 80, 3), np.uint8)
    own[20:24, 40:44] = 255
    points = np.array([[42.0, 22.0]])
    for middle in ([0.6, 0.7], [0.4, 0.7], [0.6, 0.3], [0.35, 0.35]):
        dark = [Scene(np.zeros((60, 80, 3), np.uint8)) for _ in range(3)]
        found = Mosaic().combine(Scene(own, None, None, points), {"middle": middle}, dark)
        rows, cols = np.nonzero(found.image[..., 0] > 100)
        assert found.points is not None
        assert found.points[0] == pytest.approx([cols.mean() + 0.5, rows.mean() + 0.5], abs=1.0)
    assert build([("mosaic", {})]).mixes
