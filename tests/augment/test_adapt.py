"""Pipelines of Albumentations and torchvision get recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scarce import recipe as recipes
from scarce.augment import Policy, adapt, apply_batch
from scarce.errors import ConfigError, DataError

Pictures = np.ndarray[Any, Any]
IDS = [f"s{index}" for index in range(6)]


@pytest.fixture(scope="module")
def pictures(shared_data: Path) -> Pictures:
    """Six real tiles, 72 x 64 RGB."""
    files = sorted((shared_data / "magnetic_tile").rglob("*.jpg"))[:6]
    return np.stack([cv2.resize(cv2.imread(str(file), cv2.IMREAD_COLOR_RGB), (64, 72)) for file in files])


def same_alone_and_in_a_batch(chosen: Policy, images: Pictures) -> Pictures:
    online = apply_batch(images, IDS, chosen, 3, 1)
    again = Policy.from_toml(chosen.to_toml())
    for k, one in enumerate(IDS):
        text = again.recipe(one, seed=3, copy=1)
        assert np.array_equal(online[k], recipes.render(text, lambda name: images[int(name[1:])]))
    assert np.array_equal(apply_batch(images[::-1], IDS[::-1], chosen, 3, 1)[::-1], online)
    return online


def test_a_torchvision_pipeline_gets_recipes(pictures: Pictures) -> None:
    torch = pytest.importorskip("torch")
    from torchvision.transforms import v2

    steps = [
        v2.ToImage(), v2.RandomHorizontalFlip(0.3), v2.RandomAffine(10, (0.1, 0.1)),
        v2.RandomApply([v2.ColorJitter(0.2, 0.2, 0.2, 0.1)], p=0.5), v2.RandomResizedCrop(48),
        v2.RandomChoice([v2.RandomVerticalFlip(), v2.RandomGrayscale()]), v2.RandomErasing(),
        v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.2] * 3),
    ]  # fmt: skip
    chosen = adapt.from_torchvision(v2.Compose(steps))
    state = torch.random.get_rng_state()
    changed = same_alone_and_in_a_batch(chosen, pictures)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (changed != pictures).mean() > 0.5
    assert chosen.normalize == ((0.5,) * 3, (0.2,) * 3)
    assert chosen.to_tensor
    assert same_alone_and_in_a_batch(chosen, pictures[..., 0].copy()).shape == (6, 72, 64)


def test_torchvisions_draws_are_those_of_torchvision(pictures: Pictures) -> None:
    torch = pytest.importorskip("torch")
    from torchvision.transforms import v2

    pipeline = v2.Compose([v2.RandomResizedCrop((72, 64)), v2.ColorJitter(0.3, 0.3)])
    chosen = adapt.from_torchvision(pipeline)
    drawn = chosen.draw_for("s0", seed=1)
    with torch.random.fork_rng():
        torch.manual_seed(drawn[0][1]["seed"])
        expected = pipeline(torch.from_numpy(pictures[0]).permute(2, 0, 1)).permute(1, 2, 0).numpy()
    found = apply_batch(pictures[:1], ["s0"], chosen, 1, 0)[0]
    assert np.array_equal(found, expected)


def test_masks_boxes_and_points_follow_torchvision(pictures: Pictures) -> None:
    pytest.importorskip("torch")
    from torchvision.transforms import v2

    chosen = adapt.from_torchvision(v2.RandomHorizontalFlip(1.0))
    mask = np.zeros((72, 64), bool)
    mask[5:20, 4:10] = True
    _, moved, boxes, points = chosen.apply(
        pictures[0], np.random.default_rng(0), mask, np.array([[4.0, 5, 10, 20]]), np.array([[4.0, 5]])
    )
    assert np.array_equal(moved, mask[:, ::-1])
    assert boxes.tolist() == [[54, 5, 60, 20]]
    assert abs(points[0, 0] - 60) <= 1  # torchvision mirrors points by whole pixels


def test_a_compose_of_version_one_runs_as_version_two(pictures: Pictures) -> None:
    pytest.importorskip("torch")
    import torchvision.transforms as v1

    old = v1.Compose([v1.RandomHorizontalFlip(0.3), v1.RandomRotation(10), v1.ColorJitter(0.2), v1.ToTensor()])
    chosen = adapt.from_torchvision(old)
    same_alone_and_in_a_batch(chosen, pictures)
    assert (chosen.to_tensor, chosen.normalize) == (True, ((0.0,), (1.0,)))
    with pytest.raises(ConfigError, match="cannot be written into a recipe"):
        adapt.from_torchvision(v1.Compose([v1.Lambda(abs)]))
    with pytest.raises(ConfigError, match="no code"):
        adapt.from_torchvision(abs)


def test_a_wrapped_pipeline_that_fails_says_so(pictures: Pictures) -> None:
    pytest.importorskip("torch")
    from torchvision.transforms import v2

    chosen = adapt.from_torchvision(v2.RandomCrop(500))
    with pytest.raises(DataError, match="torchvision pipeline fails on a picture of 64 x 72"):
        apply_batch(pictures, IDS, chosen)
    with pytest.raises(ConfigError, match="no transform"):
        Policy.from_toml(
            '[[operation]]\nop = "wrapped"\nlibrary = "torchvision"\ntransform = \'[{"name":"load","params":{}}]\'\n'
        ).apply(pictures[0], np.random.default_rng(0))


def test_a_wrapped_pipeline_that_breaks_the_domain_is_warned_about() -> None:
    pytest.importorskip("torch")
    from torchvision.transforms import v2

    for pipeline in (v2.RandomVerticalFlip(), v2.RandomApply([v2.RandomRotation(180)]), v2.RandomAffine(120)):
        [told] = adapt.warnings(adapt.from_torchvision(pipeline), "garment")
        assert "upside down" in told
    calm = adapt.from_torchvision(v2.Compose([v2.RandomHorizontalFlip(), v2.RandomRotation(10), v2.ColorJitter(0.1)]))
    assert adapt.warnings(calm, "garment") == []
    assert "mirrors" in adapt.warnings(calm, "medical")[0]
    assert "colors" in adapt.warnings(calm, "gray")[0]


@pytest.mark.slow
def test_an_albumentations_pipeline_gets_recipes(pictures: Pictures, tmp_path: Path) -> None:
    library: Any = pytest.importorskip("albumentations", reason="albumentations is in the dependency group peers")
    steps = [
        library.HorizontalFlip(), library.RandomResizedCrop((48, 48)),
        library.OneOf([library.Blur(), library.MedianBlur(p=0.2)], p=0.8), library.HueSaturationValue(p=1),
        library.OneOf([library.VerticalFlip(p=0.75), library.GaussNoise(p=0.25)], p=0.5), library.Resize(9, 9),
        library.Normalize(), library.ToTensorV2(),
    ]  # fmt: skip
    pipeline = library.Compose(steps)
    chosen = adapt.from_albumentations(pipeline)
    names = [one.plugin_name() for one in chosen.parts()]
    assert names == ["flip", "wrapped", "flip", "gaussian_noise"]
    changed = same_alone_and_in_a_batch(chosen, pictures)
    assert (changed != pictures).mean() > 0.5
    assert same_alone_and_in_a_batch(chosen, pictures[..., 0].copy()).shape == (6, 72, 64)
    assert chosen.to_tensor
    assert chosen.normalize is not None
    library.save(pipeline, tmp_path / "p.json")
    assert adapt.policy_of(str(tmp_path / "p.json")).operations == chosen.operations
    back = adapt.to_albumentations(chosen)
    assert adapt.from_albumentations(back).parts()[0] == chosen.parts()[0]
    with pytest.raises(ConfigError, match="median_blur"):
        adapt.to_albumentations(Policy.from_toml('[[operation]]\nop = "median_blur"'))


@pytest.mark.slow
def test_parts_of_an_albumentations_pipeline_draw_apart(pictures: Pictures) -> None:
    library: Any = pytest.importorskip("albumentations", reason="albumentations is in the dependency group peers")
    parts = [library.Blur((7, 7), p=0.5), library.InvertImg(p=0.5)]
    chosen = adapt.from_albumentations(library.Compose(parts))
    kinds = set()
    for epoch in range(24):
        [found] = apply_batch(pictures[:1], ["a"], chosen, 0, epoch)
        inverted = abs(float(found.mean()) - float(pictures[0].mean())) > 1
        smooth = float(cv2.Laplacian(found, cv2.CV_64F).var()) < 0.5 * float(
            cv2.Laplacian(pictures[0], cv2.CV_64F).var()
        )
        kinds.add((inverted, smooth))
    assert len(kinds) == 4


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*are not valid for transform")
def test_arguments_that_albumentations_drops_are_refused_with_the_new_name() -> None:
    library: Any = pytest.importorskip("albumentations", reason="albumentations is in the dependency group peers")
    for old, new in (
        (library.GaussNoise(var_limit=(10, 50)), "std_range"), (library.CoarseDropout(max_holes=3), "num_holes_range"),
        (library.ImageCompression(quality_lower=50), "quality_range"), (library.Rotate(value=0), "fill"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=f"is now {new}"):
            adapt.from_albumentations(library.Compose([library.HorizontalFlip(), library.OneOf([old])]))
    saved = library.to_dict(library.Compose([library.GaussNoise()]))
    saved["transform"]["transforms"][0]["var_limit"] = [10, 50]
    with pytest.raises(ConfigError, match="std_range"):
        adapt.from_albumentations(saved)
    with pytest.raises(ConfigError, match="no Albumentations pipeline"):
        adapt.from_albumentations(3)


@pytest.mark.slow
def test_boxes_that_an_albumentations_pipeline_loses_have_no_area(pictures: Pictures) -> None:
    library: Any = pytest.importorskip("albumentations", reason="albumentations is in the dependency group peers")
    chosen = adapt.from_albumentations(library.Crop(0, 0, 32, 36))
    boxes = np.array([[40.0, 40, 60, 60], [2, 4, 10, 12], [-9, -9, -1, -1]])
    _, found = chosen.apply(pictures[0], np.random.default_rng(0), boxes=boxes)
    assert np.allclose(found, [[0, 0, 0, 0], [4, 8, 20, 24], [0, 0, 0, 0]], atol=1e-4)
