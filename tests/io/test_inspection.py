"""Inspection folders as in MVTec AD, and their simpler cousins."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from scarce import io
from scarce.errors import DataError


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes())


def mvtec(root: Path) -> None:
    for name in (
        "train/good/000.png", "train/good/001.png", "test/good/000.png", "test/crack/000.png", "test/hole/000.png",
        "ground_truth/crack/000_mask.png", "ground_truth/hole/000_mask.png",
    ):  # fmt: skip
        put(root / name)


def masks(ds: object) -> dict[str, str | None]:
    table = ds.table  # type: ignore[attr-defined]
    return dict(zip(table["uri"].to_pylist(), table["mask_uri"].to_pylist(), strict=True))


def test_mvtec(tmp_path: Path) -> None:
    mvtec(tmp_path / "bottle")
    ds = io.read(tmp_path / "bottle")
    assert ds.steps[0].name == "inspection"
    assert ds.schema.classes == ("crack", "good", "hole")
    assert ds.schema.normal_classes == ("good",)
    assert len(ds) == 5
    assert masks(ds)["test/crack/000.png"] == "ground_truth/crack/000_mask.png"
    assert masks(ds)["test/hole/000.png"] == "ground_truth/hole/000_mask.png"
    assert masks(ds)["test/good/000.png"] is None
    assert masks(ds)["train/good/000.png"] is None


def test_a_training_folder_without_defects_is_no_split_to_learn_from(tmp_path: Path) -> None:
    mvtec(tmp_path)
    ds = io.read(tmp_path)
    assert "split" not in ds
    assert sorted(set(ds["meta.split"])) == ["test", "train"]
    assert any("has no crack, hole" in row["why"] for row in ds.findings.to_pylist())
    given = io.read(tmp_path, split="given")
    assert sorted(set(given["split"])) == ["test", "train"]


def test_several_inspection_sets_are_named(tmp_path: Path) -> None:
    mvtec(tmp_path / "bottle")
    mvtec(tmp_path / "cable")
    with pytest.raises(DataError, match=r"2 data sets.*bottle, cable"):
        io.read(tmp_path)


def test_masks_beside_class_folders(tmp_path: Path) -> None:
    for name in ("good/1.png", "crack/1.png", "crack/2.png", "masks/crack/1.png", "masks/crack/2_mask.png"):
        put(tmp_path / name)
    ds = io.read(tmp_path)
    assert masks(ds) == {
        "good/1.png": None,
        "crack/1.png": "masks/crack/1.png",
        "crack/2.png": "masks/crack/2_mask.png",
    }


def test_flat_masks(tmp_path: Path) -> None:
    for name in ("good/1.png", "crack/7.png", "masks/7.png"):
        put(tmp_path / name)
    assert masks(io.read(tmp_path))["crack/7.png"] == "masks/7.png"


def test_real_tiles_without_their_table(shared_data: Path, tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).symlink_to(shared_data / "magnetic_tile" / name, target_is_directory=True)
    ds = io.read(tmp_path)
    assert ds.steps[0].name == "inspection"
    assert len(ds) == 1344
    have = np.array([uri is not None for uri in ds["mask_uri"]])
    free = ds["label"] == ds.schema.classes.index("free")
    assert (have == ~free).all()
    for uri, mask in zip(ds["uri"], ds["mask_uri"], strict=True):
        assert mask is None or Path(uri).stem == Path(mask).stem
