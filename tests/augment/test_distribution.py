"""What a policy does to a set, sheets of other kinds than pictures, and input that does not fit."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from scarce import io
from scarce.augment import Policy, offline, policy, sheet, strength
from scarce.augment.automatic import rand_augment
from scarce.augment.brightness_contrast import BrightnessContrast
from scarce.augment.distribution import distribution
from scarce.augment.flip import Flip
from scarce.augment.hue_saturation_value import HueSaturationValue
from scarce.cli import app
from scarce.dataset import Dataset
from scarce.errors import DataError


@pytest.fixture
def texts(shared_data: Path, tmp_path: Path) -> Path:
    """Thirty real questions of two classes, the last ten for testing."""
    with (shared_data / "text_small" / "trec.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] in {"0", "1"}][:30]
    with (tmp_path / "texts.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "label", "split"])
        table.writerows((row["text"], f"c{row['label']}", "train" if k < 20 else "test") for k, row in enumerate(rows))
    return tmp_path / "texts.csv"


@pytest.fixture(scope="module")
def tiles(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("tiles")
    for name in ("blowhole", "free"):
        own = shared_data / "magnetic_tile" / "images" / name
        for place, file in enumerate(sorted(own.glob("*.jpg"))[:8]):
            folder = root / ("train" if place < 6 else "test") / name
            folder.mkdir(parents=True, exist_ok=True)
            image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
            cv2.imwrite(str(folder / f"{file.stem}.png"), cv2.resize(image, (48, 40)))
    return io.read(root)


def test_classes_grow_and_brighter_copies_are_brighter(tiles: Dataset) -> None:
    found = distribution(tiles, Policy((BrightnessContrast(brightness=0.0, contrast=0.0),)), per_sample=3)
    assert found.classes == {"blowhole": (6, 24), "free": (6, 24)}
    assert found.features["brightness"][0] == found.features["brightness"][1]
    assert abs(found.features["brightness"][0][0] - mean_light(tiles)) < 1e-3
    strong = distribution(tiles, Policy((BrightnessContrast(brightness=0.5, contrast=0.0),)))
    assert strong.features["brightness"][1][1] > 2 * strong.features["brightness"][0][1]
    body = json.loads(json.dumps(found.to_json()))
    assert body["features"]["contrast"]["before"]["mean"] > 0


def mean_light(ds: Dataset) -> float:
    from scarce.modality import open_samples

    return (
        float(np.mean([np.asarray(one).mean() for one in open_samples(ds, np.flatnonzero(ds["split"] == "train"))]))
        / 255
    )


def test_texts_have_a_sheet_and_features_and_no_tuning(texts: Path, tmp_path: Path) -> None:
    ds = io.read(texts)
    chosen = Policy.from_toml('[[operation]]\nop = "random_deletion"\nshare = 0.5')
    found = distribution(ds, chosen)
    assert found.features["words"][1][0] < found.features["words"][0][0]
    told = sheet.write(ds, chosen, tmp_path / "s.txt", samples=2, copies=3).read_text()
    assert told.count("\n    ") == 6
    assert {"[c0]", "[c1]"} <= set(told.split())
    with pytest.raises(DataError, match="text samples is not tuned"):
        strength.tune(ds, chosen)
    with pytest.raises(DataError, match="changes image samples"):
        sheet.write(ds, policy("garment"), tmp_path / "s.txt")


def test_the_command_tells_the_distribution_and_shows_texts(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('[[operation]]\nop = "random_swap"\n')
    line = ["augment", str(texts), "--policy", str(tmp_path / "p.toml"), "--preview", str(tmp_path / "o.txt"), "--json"]
    found = CliRunner().invoke(app, line)
    assert found.exit_code == 0, found.output
    body = json.loads(found.stdout)
    assert sum(row["before"] for row in body["distribution"]["classes"].values()) == 20
    assert sum(row["after"] for row in body["distribution"]["classes"].values()) == 120
    assert body["distribution"]["features"]["words"]["before"] == body["distribution"]["features"]["words"]["after"]
    assert (tmp_path / "o.txt").is_file()
    refused = CliRunner().invoke(app, [*line[:4], "--tune"])
    assert refused.exit_code == 2
    assert "not tuned" in refused.output


def test_a_sheet_of_series_is_a_picture(shared_data: Path, tmp_path: Path) -> None:
    ds = io.read(shared_data / "time_series" / "GunPoint.npz")
    target = sheet.write(ds, policy("series"), tmp_path / "s.png", samples=3, copies=2)
    image = cv2.imread(str(target))
    assert image.shape == (3 * sheet.HIGH, 3 * sheet.WIDE, 3)
    assert (image[: sheet.HIGH, : sheet.WIDE] < 100).any()


def test_names_of_randaugment_say_n_and_m() -> None:
    assert policy("rand_augment_n3_m14").operations == rand_augment(3, 14.0).operations
    assert policy("rand-augment").operations == policy("rand_augment_n2_m9").operations


def test_input_that_does_not_fit(tiles: Dataset, tmp_path: Path) -> None:
    gray = np.full((40, 48), 90, np.uint8)
    chosen, rng = Policy((Flip(horizontal=1.0), HueSaturationValue(value=0.0))), np.random.default_rng
    assert np.array_equal(chosen.apply(gray, rng(0)), gray)  # a color policy leaves gray pictures gray
    other = np.zeros((80, 96), bool)
    other[:40] = True
    _, mask, boxes = chosen.apply(gray, rng(0), other, np.array([[-9.0, -9, -2, -2], [40, 30, 400, 300], [3, 4, 3, 4]]))
    assert mask.shape == gray.shape  # a mask of another size is brought to the picture's
    assert mask.sum() == gray.size // 2
    assert (boxes[:, 2:] - boxes[:, :2])[:, 0].tolist() == [0, 8, 0]  # outside: no area; over the edge: cut
    _, empty = chosen.apply(gray, rng(0), np.zeros((40, 48), bool))
    assert not empty.any()
    for wrong in (gray.astype(np.float32), gray[None, None], np.zeros((0, 5), np.uint8)):
        with pytest.raises(DataError, match="cannot be changed"):
            chosen.apply(wrong, rng(0))
    cell: Any = json.dumps(
        [{"label": "blowhole", "bbox": [-30, 5, 10, 8]}, {"label": "blowhole", "bbox": [40, 5, 90, 8]}]
    )
    done = offline.write(tiles.with_columns({"meta.boxes": [cell] * len(tiles)}), chosen, tmp_path / "o", per_sample=1)
    assert not done.failed
    with done.manifest.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            assert [box["bbox"] for box in json.loads(row["boxes"])] == [[0.0, 5.0, 8.0, 8.0]]
