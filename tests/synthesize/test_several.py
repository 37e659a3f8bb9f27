"""Several defects on one picture, and pasted ones that stay visible."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scarce.recipe import Parents, Scene
from scarce.synthesize import AbstractDefect
from scarce.synthesize._blend import change
from scarce.synthesize._material import Material
from scarce.synthesize._patch import encode_mask, patch_boxes
from scarce.synthesize.cut_paste import CutPaste
from scarce.synthesize.dent import Dent
from scarce.synthesize.hole import Hole
from scarce.synthesize.stain import Stain

Image = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def sound(shared_data: Path) -> list[Image]:
    """Eight pictures of sound tiles."""
    with (shared_data / "magnetic_tile" / "index.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["class"] == "free"][::110]
    return [np.asarray(cv2.imread(str(shared_data / "magnetic_tile" / row["image"]), 0)) for row in rows[:8]]


def nobody(_: str) -> Image:
    raise AssertionError("no parent is needed")


def scenes(kind: AbstractDefect, images: list[Image], material: Material, parents: Parents) -> list[Scene]:
    drawn = [kind.params_for(np.random.default_rng(number), material) for number in range(len(images))]
    again = [kind.replay(Scene(image), params, parents) for image, params in zip(images, drawn, strict=True)]
    for one, image, params in zip(again, images, drawn, strict=True):
        assert (kind.replay(Scene(image), params, parents).image == one.image).all()
    return again


def ratio(scene: Scene) -> float:
    """Return the area of the largest box over that of the smallest."""
    assert scene.boxes is not None
    areas = np.prod(scene.boxes[:, 2:] - scene.boxes[:, :2], axis=1)
    return float(areas.max() / areas.min())


@pytest.mark.parametrize("kind", [Stain, Hole, Dent])
def test_each_has_a_size_and_severity_of_its_own(kind: type[AbstractDefect], sound: list[Image]) -> None:
    found = scenes(kind(n_defects=6, stay="anywhere"), sound, Material(), Parents(nobody))
    assert all(scene.boxes is not None and len(scene.boxes) == 6 for scene in found)
    assert np.median([ratio(scene) for scene in found]) > 3.5


def test_pasted_ones_differ_in_size_and_turn(sound: list[Image]) -> None:
    mask = np.zeros(sound[0].shape, bool)
    mask[40:52, 30:60] = True
    cut = {"patch": "one", **encode_mask(mask, (30, 40, 60, 52))}
    kind = CutPaste(n_defects=5, stay="anywhere")
    found = scenes(kind, sound, Material((0,), tuple(cut.items())), Parents(lambda _: sound[0]))
    assert np.median([ratio(scene) for scene in found]) > 1.6


def test_all_lie_under_one_light_even_where_the_surface_is_even() -> None:
    rng = np.random.default_rng(0)
    spread, between = [], []
    for number in range(16):
        image = rng.integers(138, 142, (256, 256), dtype=np.uint8)
        params = {"seed": 1000 + number, "severity": 0.7, "stay": "anywhere", "n": 5}
        scene = Dent().replay(Scene(image), params, Parents(nobody))
        assert scene.boxes is not None
        turns = []
        for x0, y0, x1, y1 in scene.boxes.astype(int):
            window = scene.image[y0:y1, x0:x1].astype(float) - 140
            if min(window.shape) < 8 or min(x0, y0, 256 - x1, 256 - y1) < 4:
                continue
            gy, gx = np.mgrid[: window.shape[0], : window.shape[1]]
            dark = np.clip(-window, 0, None)
            lit = np.clip(window, 0, None)
            away = [(part * (lit / lit.sum() - dark / dark.sum())).sum() for part in (gx, gy)]
            turns.append(np.array(away) / np.hypot(*away))
        if len(turns) > 2:
            spread.append(np.hypot(*np.mean(turns, axis=0)))
            between.append(np.mean(turns, axis=0))
    assert len(spread) >= 3
    assert np.median(spread) > 0.95  # 1 = all of a picture point the same way
    assert np.hypot(*np.mean(between, axis=0)) < 0.9  # pictures differ


def test_poisson_keeps_the_contrast_of_real_breaks(shared_data: Path, sound: list[Image]) -> None:
    root, kept = shared_data / "magnetic_tile", []
    with (root / "index.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["class"] == "break"][:24]
    for number, row in enumerate(rows):
        picture, mask = (np.asarray(cv2.imread(str(root / row[name]), 0)) for name in ("image", "mask"))
        for box in patch_boxes(mask > 0)[:1]:
            x0, y0, x1, y1 = box
            cut = mask[y0:y1, x0:x1] > 0
            canvas = sound[number % 8]
            if min(cut.shape) < 8 or cut.shape[0] > canvas.shape[0] - 8 or cut.shape[1] > canvas.shape[1] - 8:
                continue
            params = {"seed": number, "stay": "anywhere", "match": 1.0, "scale": 1.0, "angle": 0.0, "mirror": False,
                      "upend": False, "patch": "one", **encode_mask(mask > 0, box)}  # fmt: skip
            parents = Parents(lambda _, picture=picture: picture)
            soft, held = CutPaste().draw(canvas, {**params, "blend": "feather"}, parents)
            solved, same = CutPaste().draw(canvas, {**params, "blend": "poisson"}, parents)
            assert (held == same).all()
            kept.append(change(canvas, solved, held) / change(canvas, soft, held))
    assert len(kept) >= 12
    assert min(kept) >= 0.5
    assert np.median(kept) > 0.65
