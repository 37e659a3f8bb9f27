from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scarce.errors import ConfigError, DataError, ReadError
from scarce.recipe import Parents, Scene, replay
from scarce.synthesize._library import open_patch, patch_of, read_patches
from scarce.synthesize.cut_paste import CutPaste, paste


def disk(size: int) -> np.ndarray[Any, Any]:
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return np.asarray(x * x + y * y < (0.4 * size) ** 2)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A pair, and a picture with transparency."""
    rng = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / "a_patch.png"), rng.integers(0, 256, (21, 31, 3), np.uint8))
    mask = np.zeros((21, 31), np.uint8)
    mask[5:15, 8:20] = 255
    cv2.imwrite(str(tmp_path / "a_mask.png"), mask)
    clear = rng.integers(0, 256, (17, 17, 4), np.uint8)
    clear[..., 3] = disk(17) * np.uint8(255)
    cv2.imwrite(str(tmp_path / "b.png"), clear)
    cv2.imwrite(str(tmp_path / "photo.png"), rng.integers(0, 256, (9, 9, 3), np.uint8))
    return tmp_path


def test_pairs_and_transparency_are_read(library: Path) -> None:
    first, second = read_patches(library)
    assert (first[0].name, first[1].shape, int(first[2].sum())) == ("a_patch.png", (21, 31, 3), 120)
    assert np.array_equal(second[2], disk(17))
    assert np.array_equal(first[1], cv2.imread(str(library / "a_patch.png"))[..., ::-1])


def test_a_library_serves_every_class_and_its_recipe_replays(library: Path) -> None:
    defect = CutPaste(patches=str(library), blend="alpha", n_defects=2)
    materials, lost = defect.materials(None, np.zeros(0, int))  # type: ignore[arg-type]
    assert (len(materials), lost) == (2, "")
    params = defect.params_for(np.random.default_rng(1), materials[0])
    image = np.full((200, 300, 3), 120, np.uint8)
    parents = Parents(lambda _: image)
    scene = replay(Scene(image), [("synthesize.cut_paste", params)], parents)
    assert scene.boxes is not None
    assert scene.boxes.shape == (2, 4)
    assert scene.mask is not None
    assert np.array_equal(scene.image != 120, (scene.image != 120) & scene.mask[..., None])
    cv2.imwrite(str(library / "a_patch.png"), np.zeros((21, 31, 3), np.uint8))
    with pytest.raises(DataError, match="changed"):
        patch_of(params)
    (library / "a_patch.png").unlink()
    with pytest.raises(ReadError, match="a_patch"):
        open_patch(str(library / "gone" / "a_patch.png"))


def test_bad_libraries_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="does not exist"):
        read_patches(tmp_path / "none")
    with pytest.raises(DataError, match="no patches"):
        read_patches(tmp_path)
    cv2.imwrite(str(tmp_path / "a_patch.png"), np.full((9, 9), 7, np.uint8))
    with pytest.raises(DataError, match="no mask"):
        read_patches(tmp_path)
    for number, (mask, word) in enumerate([(np.zeros((9, 9)), "empty"), (np.ones((8, 9)), "shape")]):
        folder = tmp_path / str(number)
        folder.mkdir()
        cv2.imwrite(str(folder / "a_patch.png"), np.full((9, 9), 7, np.uint8))
        cv2.imwrite(str(folder / "a_mask.png"), mask.astype(np.uint8))
        with pytest.raises(DataError, match=word):
            read_patches(folder)
    (tmp_path / "a_mask.png").write_bytes(b"no picture")
    with pytest.raises(ReadError, match="no picture"):
        read_patches(tmp_path)
    with pytest.raises(ConfigError, match="poison"):
        CutPaste(blend="poison")


@pytest.mark.parametrize("channels", [(), (3,)])
def test_poisson_takes_the_colors_of_its_place_and_keeps_the_texture(channels: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    image = np.full((120, 120, *channels), 180, np.uint8)
    patch = np.clip(60 + rng.normal(0, 12, (41, 41, *channels)), 0, 255).astype(np.uint8)
    patch = cv2.GaussianBlur(patch, (0, 0), 1)
    found = paste(image, patch, disk(41), xy=(30, 40), blend="poisson")
    inside = found[40:81, 30:71][disk(41)].astype(float)
    assert abs(inside.mean() - 180) < 15
    assert np.corrcoef(inside.ravel(), patch[disk(41)].ravel())[0, 1] > 0.5
    outside = np.ones((120, 120), bool)
    outside[40:81, 30:71] = False
    assert np.array_equal(found[outside], image[outside])


@pytest.mark.parametrize("xy", [(0, 0), (-10, -10), (100, 100), (118, 118)])
def test_poisson_at_the_edge_and_for_single_pixels(xy: tuple[int, int]) -> None:
    image, patch = np.full((120, 120, 3), 180, np.uint8), np.full((20, 20, 3), 40, np.uint8)
    for mask in (np.ones((20, 20), bool), np.arange(400).reshape(20, 20) == 0):
        if xy[0] < 0 and mask.sum() == 1:
            continue
        assert paste(image, patch, mask, xy=xy, blend="poisson").shape == image.shape
