from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scarce.synthesize import Look, learn_looks, mask_from_box
from scarce.synthesize.crack import draw_crack
from scarce.synthesize.discoloration import draw_discoloration
from scarce.synthesize.hole import draw_hole

Tile = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


@pytest.fixture(scope="module")
def tiles(shared_data: Path) -> dict[str, list[Tile]]:
    """Up to 12 pictures and masks of some classes; sound ones with an empty mask."""
    root = shared_data / "magnetic_tile"
    found: dict[str, list[Tile]] = {}
    with (root / "index.csv").open() as file:
        for row in csv.DictReader(file):
            of = found.setdefault(row["class"], [])
            if len(of) < 12:
                image = cv2.imread(str(root / row["image"]), cv2.IMREAD_GRAYSCALE)
                mask = cv2.imread(str(root / row["mask"]), 0) if row["mask"] else np.zeros(image.shape, np.uint8)
                of.append((np.asarray(image), np.asarray(mask) > 0))
    return found


def test_a_look_says_what_is_there() -> None:
    image = np.full((200, 100, 3), 100, np.uint8)
    image[..., 0] = 150
    mask = np.zeros((200, 100), bool)
    mask[90:100, 20:80] = True
    image[mask] = (75, 100, 50)
    (look,) = learn_looks(image, mask)
    root = np.sqrt(200 * 100)
    assert look.long * root == pytest.approx(60, rel=0.3)
    assert look.wide * root == pytest.approx(10, rel=0.3)
    assert look.angle % 180 == pytest.approx(0, abs=1)
    assert (look.x, look.y) == (pytest.approx(0.5, abs=0.02), pytest.approx(0.475, abs=0.02))
    assert look.change == pytest.approx((np.log(77 / 152), 0.0, np.log(52 / 102)), abs=0.01)
    assert Look.from_params(look.to_params()) == look


def test_nothing_is_learned_from_nothing() -> None:
    image = np.full((50, 50), 90, np.uint8)
    assert learn_looks(image, np.zeros((50, 50), bool)) == []
    assert learn_looks(image, np.ones((50, 50), bool)) == []  # nothing around it to compare with
    one = np.zeros((50, 50), bool)
    one[20, 20] = True
    (look,) = learn_looks(image, one)
    assert look.long > 0


@pytest.mark.parametrize(("kind", "name"), [("blowhole", "hole"), ("crack", "crack"), ("uneven", "discoloration")])
def test_drawn_defects_take_size_contrast_and_place_from_real_ones(
    tiles: dict[str, list[Tile]], kind: str, name: str
) -> None:
    draw = {"hole": draw_hole, "crack": draw_crack, "discoloration": draw_discoloration}[name]
    looks = [look for image, mask in tiles[kind] for look in learn_looks(image, mask)]
    assert len(looks) >= 8
    far = {"fitted": [], "free": []}  # type: ignore[var-annotated]
    for number, look in enumerate(looks[:16]):
        image = tiles["free"][number % 12][0]
        for how, given in (("fitted", look), ("free", None)):
            made = learn_looks(*draw(image, seed=number, look=given))
            if made:
                size = abs(np.log(max(one.long * one.wide for one in made) / (look.long * look.wide)))
                place = np.hypot(made[0].x - look.x, made[0].y - look.y)
                far[how].append([size, abs(made[0].change[0] - look.change[0]), place])
    fitted, free = (np.median(far[how], axis=0) for how in ("fitted", "free"))
    assert fitted[1] < 0.25
    assert fitted[0] < free[0]
    assert fitted[2] < free[2] or name == "discoloration"  # as wide as the tile


def darkness(image: np.ndarray[Any, Any], mask: np.ndarray[Any, Any]) -> tuple[float, float, float]:
    """Return the share of pixels below .75 of the surface, the darkest, and the brightest of the rim, over it."""
    far, near = (cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8)) > 0 for size in (15, 5))
    ratio = image / np.median(image[far & ~mask])
    return float((ratio[mask] < 0.75).mean()), *(float(np.quantile(ratio[part], share)) for part, share in
                                                 ((mask, 0.05), (near & ~mask, 0.95)))  # fmt: skip


def test_a_fitted_crack_is_dark_along_a_thin_core_as_the_real_ones_are(tiles: dict[str, list[Tile]]) -> None:
    real, made = [], []
    for number, (image, mask) in enumerate(tiles["crack"]):
        real.append(darkness(image, mask))
        for look in learn_looks(image, mask):
            canvas = tiles["free"][number % 12][0]
            drawn, marked = draw_crack(canvas, seed=number, look=look)
            made.append(darkness(drawn, marked))
    (dark, least, rim), (wanted, deepest, most) = np.median(made, axis=0), np.median(real, axis=0)
    assert dark == pytest.approx(wanted, abs=0.12)
    assert least == pytest.approx(deepest, abs=0.08)
    assert rim < most + 0.05


def test_a_fitted_crack_follows_the_real_one_and_stays_in_the_picture(tiles: dict[str, list[Tile]]) -> None:
    image = tiles["free"][0][0]
    high, wide = image.shape
    mask = np.zeros(image.shape, np.uint8)
    course = np.stack([wide * (0.3 + 0.15 * np.sin(np.linspace(0, np.pi, 40))), np.linspace(2, high * 0.8, 40)], axis=1)
    cv2.polylines(mask, [course.astype(np.int32)], isClosed=False, color=1, thickness=5)
    (look,) = learn_looks(np.where(mask > 0, image // 2, image), mask > 0)
    areas = []
    for seed in range(6):
        drawn, marked = draw_crack(image, seed=seed, look=look)
        areas.append(marked.sum() / mask.sum())
        (again,) = learn_looks(drawn, marked)
        assert abs((again.angle - look.angle + 90) % 180 - 90) < 30
        assert (image[~cv2.dilate(marked.astype(np.uint8), np.ones((9, 9))).astype(bool)]
                == drawn[~cv2.dilate(marked.astype(np.uint8), np.ones((9, 9))).astype(bool)]).all()  # fmt: skip
    assert np.median(areas) == pytest.approx(1, abs=0.3)


def test_looks_of_older_recipes_are_read(tiles: dict[str, list[Tile]]) -> None:
    (image, mask), canvas = tiles["crack"][0], tiles["free"][0][0]
    params = learn_looks(image, mask)[0].to_params()
    older = Look.from_params({name: params[name] for name in params if name not in ("profile", "lit")})
    assert older.profile == ()
    assert draw_crack(canvas, seed=1, look=older)[1].any()


def test_pixels_of_a_box_are_found(tiles: dict[str, list[Tile]]) -> None:
    overlaps = []
    for image, mask in tiles["blowhole"]:
        rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        found = mask_from_box(image, (cols[0] - 2, rows[0] - 2, cols[-1] + 3, rows[-1] + 3))
        if found is not None:
            overlaps.append((found & mask).sum() / (found | mask).sum())
    assert len(overlaps) >= 10
    assert np.median(overlaps) > 0.5


@pytest.mark.parametrize("box", [(500.0, 500.0, 600.0, 600.0), (10.0, 10.0, 10.0, 30.0), (0.0, 0.0, 50.0, 50.0)])
def test_boxes_without_a_defect(box: tuple[float, ...]) -> None:
    assert mask_from_box(np.full((50, 50), 90, np.uint8), box) is None
