from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from scarce import recipe as recipes
from scarce.augment import Policy, apply_batch, policy
from scarce.augment.policy import PRESETS
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError, ReadError

SCRIPT = """
import sys, json, hashlib
import numpy as np
from scarce.recipe import render
parents = np.load(sys.argv[1])
for text in json.load(open(sys.argv[2]))[::-1]:
    pixels = render(text, lambda name: parents[name])
    print(hashlib.sha256(pixels.tobytes()).hexdigest())
"""


@pytest.fixture(scope="module")
def pictures(garments: Path) -> np.ndarray[Any, Any]:
    """60 real garments, (60, 28, 28) uint8."""
    cells = pq.read_table(garments, columns=["image"]).slice(0, 6000).take(list(range(0, 6000, 100)))["image"]
    return np.stack([cv2.imdecode(np.frombuffer(cell.as_py(), np.uint8), cv2.IMREAD_GRAYSCALE) for cell in cells])


def ids_of(n: int) -> list[str]:
    return [f"{index:016x}" for index in range(n)]


def opener(images: np.ndarray[Any, Any]) -> Callable[[str], np.ndarray[Any, Any]]:
    return lambda name: images[int(name, 16)]


@pytest.mark.parametrize("name", sorted(PRESETS))
@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3), (80, 60), (70, 91, 3)])
def test_copy_k_offline_is_epoch_k_online(name: str, shape: tuple[int, ...], pictures: np.ndarray[Any, Any]) -> None:
    images = np.stack([cv2.resize(one, (shape[1], shape[0])) for one in pictures[:24]])
    if len(shape) == 3:
        images = np.stack([images, 255 - images, images // 2], axis=-1)
    ids, chosen = ids_of(24), policy(name)
    for copy in (0, 7):
        online = apply_batch(images, ids, chosen, 3, copy)
        offline = [recipes.render(chosen.recipe(one, seed=3, copy=copy), opener(images)) for one in ids]
        assert all(np.array_equal(a, b) for a, b in zip(online, offline, strict=True))
    assert not np.array_equal(online, images)


def test_order_and_batch_size_change_no_pixel(pictures: np.ndarray[Any, Any]) -> None:
    ids, chosen = np.array(ids_of(60)), policy("garment")
    whole = apply_batch(pictures, ids, chosen, 0, 5)
    order = np.random.default_rng(0).permutation(60)
    for size in (1, 7, 60):
        parts = [order[start : start + size] for start in range(0, 60, size)]
        mixed = np.concatenate([apply_batch(pictures[rows], ids[rows], chosen, 0, 5) for rows in parts])
        assert np.array_equal(mixed, whole[order])


def test_another_process_renders_the_same_pixels(pictures: np.ndarray[Any, Any], tmp_path: Path) -> None:
    import hashlib

    chosen = policy("natural")
    texts = [chosen.recipe(one, seed=1, copy=2) for one in ids_of(20)]
    np.savez(tmp_path / "p.npz", **dict(zip(ids_of(60), pictures, strict=True)))
    (tmp_path / "r.json").write_text(json.dumps(texts))
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "p.npz"), str(tmp_path / "r.json")]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    here = [hashlib.sha256(recipes.render(text, opener(pictures)).tobytes()).hexdigest() for text in texts]
    assert found == here[::-1]


def test_a_recipe_is_short_and_reads_back() -> None:
    text = policy("natural").recipe("00000000000000aa", seed=4, copy=9)
    parsed = recipes.parse(text)
    assert (parsed.base, parsed.seed, parsed.copy) == ("00000000000000aa", 4, 9)
    assert parsed.opencv == ".".join(cv2.__version__.split(".")[:2])
    assert len(text) < 800
    assert recipes.write(parsed.base, parsed.ops, seed=4, copy=9) == text


@pytest.mark.parametrize("text", ["", "{", "[]", '{"v": 99}', '{"v": 1}', '{"v": 1, "base": "a", "ops": 3}', "null"])
def test_a_broken_recipe_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="recipe"):
        recipes.parse(text)


def test_pixels_of_another_opencv_are_warned_about(pictures: np.ndarray[Any, Any], caplog: Any) -> None:
    body = json.loads(policy("gray").recipe(ids_of(1)[0]))
    with caplog.at_level(logging.WARNING, logger="scarce.recipe"):
        recipes.render(json.dumps({**body, "cv": "1.0"}), opener(pictures))
    assert "OpenCV 1.0" in caplog.text


@pytest.mark.parametrize("border", recipes.BORDERS)
@pytest.mark.parametrize("channels", [1, 3])
def test_small_pictures_are_resampled_as_opencv_does(border: str, channels: int) -> None:
    rng = np.random.default_rng(2)
    modes = {"reflect": cv2.BORDER_REFLECT_101, "replicate": cv2.BORDER_REPLICATE, "constant": cv2.BORDER_CONSTANT}
    images = rng.integers(0, 256, (300, 20, 33, channels), np.uint8).squeeze()
    images = np.stack([cv2.GaussianBlur(one, (0, 0), 2) for one in images])
    matrices = np.broadcast_to(np.eye(3), (300, 3, 3)).copy()
    matrices[:, :2] += rng.normal(0, 0.1, (300, 2, 3)) * [1, 1, 30]
    found = recipes.warp_images(images, matrices, border)
    for one, matrix, warped in zip(images, matrices, found, strict=True):
        wanted = cv2.warpAffine(one, matrix[:2], (33, 20), None, cv2.INTER_LINEAR, modes[border])
        off = np.abs(wanted.astype(int) - warped.astype(int))
        assert off.mean() < 0.8  # both round to 1/32 pixel, not at the same places
        assert np.percentile(off, 95) <= 4


def test_one_resample_is_the_product_of_the_matrices() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 9, 3, 3))
    assert np.allclose(recipes.compose(a, b), a @ b)


def test_mask_and_boxes_follow_the_picture() -> None:
    chosen = Policy(tuple(op for op in policy("natural").operations if op.geometric))
    image, mask = np.zeros((120, 160, 3), np.uint8), np.zeros((120, 160), bool)
    mask[40:70, 50:100] = True
    image[mask] = 255
    for copy in range(20):
        text = chosen.recipe("0", copy=copy)
        box = np.array([[50.0, 40, 100, 70]])
        scene = recipes.render_full(text, lambda _: image, lambda _: mask, boxes=box)
        assert scene.mask is not None
        assert scene.boxes is not None
        assert np.mean(scene.mask == (scene.image[..., 0] > 127)) > 0.995
        rows, cols = np.flatnonzero(scene.mask.any(1)), np.flatnonzero(scene.mask.any(0))
        assert np.abs(scene.boxes[0] - [cols[0], rows[0], cols[-1] + 1, rows[-1] + 1]).max() <= 2
        assert np.array_equal(scene.boxes, np.clip(scene.boxes, 0, [160, 120, 160, 120]))


def test_a_box_that_left_the_picture_has_no_area() -> None:
    away = np.array([[1.0, 0, 500], [0, 1, 0], [0, 0, 1]])
    (box,) = recipes.warp_boxes(np.array([[10.0, 10, 20, 20]]), away, 100, 100)
    assert (box[2] - box[0]) * (box[3] - box[1]) == 0


def test_a_mask_of_another_size_is_fitted(pictures: np.ndarray[Any, Any]) -> None:
    scene = recipes.render_full(
        policy("gray").recipe(ids_of(1)[0]), opener(pictures), lambda _: np.ones((56, 56), bool)
    )
    assert scene.mask is not None
    assert scene.mask.shape == (28, 28)
    assert scene.mask.mean() > 0.9


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.float32), np.zeros((0, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)]
)
def test_a_picture_that_no_operation_takes_is_named(image: np.ndarray[Any, Any]) -> None:
    with pytest.raises(DataError, match="shape"):
        recipes.render(policy("gray").recipe("0"), lambda _: image)


def test_mask_files_are_found_through_their_source(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    cv2.imwrite(str(tmp_path / "m" / "ä b.png"), np.eye(9, dtype=np.uint8) * 255)
    (tmp_path / "m" / "bad.png").write_bytes(b"no picture")
    values = {"id": ["a", "b", "c"], "source": ["s"] * 3, "mask_uri": ["m/ä b.png", None, "m/bad.png"]}
    opened = recipes.mask_opener(Dataset.from_columns(Schema(), values, sources={"s": str(tmp_path)}))
    found = opened("a")
    assert found is not None
    assert np.array_equal(found, np.eye(9, dtype=bool))
    assert opened("b") is None
    with pytest.raises(ReadError, match="no picture"):
        opened("c")


def test_importing_is_light() -> None:
    code = "import scarce.recipe, scarce.augment, scarce.synthesize, scarce.rebalance, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"cv2", "torch", "sklearn", "pandas", "lance"} & set(loaded)
