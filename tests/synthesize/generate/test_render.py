from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from scarce import io, modality
from scarce.dataset import Dataset
from scarce.errors import ConfigError, DataError, ReadError, ScarceError
from scarce.synthesize import generate
from scarce.synthesize.generate.render import Render, damage_surface

if TYPE_CHECKING:
    from collections.abc import Sequence

SMALL: dict[str, Any] = {"size": 64, "samples": 4, "lights": 2, "threads": 2}


@pytest.fixture(scope="module")
def blender(root: Path) -> str:
    """The Python of an environment with bpy."""
    python = Path(os.environ.get("SCARCE_BLENDER", root / ".venv-render" / "bin" / "python"))
    if not python.is_file():
        pytest.skip(
            "Blender is not here: .ci/render installs it (Python 3.11), or set SCARCE_BLENDER to a Python with bpy"
        )
    return str(python)


@pytest.fixture(scope="module")
def fabric(shared_data: Path) -> Dataset:
    """Sound and faulty fabric."""
    if not (shared_data / "fabric_defects").is_dir():
        pytest.skip("fabric_defects is not here")
    ds = io.read(shared_data / "fabric_defects")
    sound = ds.schema.normal_classes[0]
    rows = [row for row, label in enumerate(ds.table["label"].to_pylist()) if label == sound][:8]
    others = [row for row, label in enumerate(ds.table["label"].to_pylist()) if label != sound][:4]
    part = ds.take(np.array(sorted(rows + others)))
    return part.with_columns({"split": ["train"] * len(part)})


def test_a_surface_is_damaged_as_the_class_says(tmp_path: Path) -> None:
    surface = np.full((64, 64, 3), 150, np.uint8)
    for name in ("stain", "oil stains", "Scratch"):
        out, mask = damage_surface(surface, name, 1, 0.8)
        changed = (out != surface).any(axis=2)
        assert mask.any()
        assert changed[mask].mean() > 0.5
    with pytest.raises(ConfigError, match="nothing says how 'Bag' looks"):
        damage_surface(surface, "Bag", 1, 0.5)
    stamp = np.zeros((10, 20, 4), np.uint8)
    stamp[2:8, 4:16] = (0, 0, 255, 255)
    cv2.imwrite(str(tmp_path / "stamp.png"), stamp)
    out, mask = damage_surface(surface, str(tmp_path / "stamp.png"), 3, 0.5)
    assert 4 < mask.sum() < 600
    assert out[mask][:, 0].mean() > 200
    cv2.imwrite(str(tmp_path / "plain.png"), stamp[..., :3])
    with pytest.raises(ReadError, match="transparency"):
        damage_surface(surface, str(tmp_path / "plain.png"), 3, 0.5)


def test_a_missing_blender_is_explained_and_settings_are_checked(parts: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="bpy==5"):
        generate.run(parts, Render(python=str(tmp_path / "none")), counts={"Bag": 1}, out=tmp_path / "g")
    with pytest.raises(ConfigError, match="angle_step"):
        Render(angle_step=0)
    assert Render().per_order() == 12


def test_a_process_that_dies_is_told_apart_from_bad_meshes(parts: Dataset, tmp_path: Path) -> None:
    shell = tmp_path / "python"
    shell.write_text("#!/bin/sh\necho out of memory >&2\nexit 9\n", "utf-8")
    shell.chmod(0o755)
    with pytest.raises(ScarceError, match=r"code 9, out of memory.*0 of 1 views"):
        generate.run(parts, Render(python=str(shell), damage="stain"), counts={"Bag": 1}, out=tmp_path / "g")
    with pytest.raises(ReadError, match="no file"):
        generate.run(parts, Render(python=str(shell), mesh="/none.obj"), counts={"Bag": 1}, out=tmp_path / "g")


@pytest.mark.render
def test_a_cloth_of_real_fabric_is_seen_from_all_sides(blender: str, fabric: Dataset, tmp_path: Path) -> None:
    name = fabric.schema.classes[fabric.schema.defect_codes[0]]
    plugin = Render(python=blender, damage="stain", severity=1.0, angle_step=60.0, **SMALL)
    got = generate.run(fabric, plugin, counts={name: 6}, out=tmp_path / "g", seed=2)
    assert got.accepted == {name: 6}
    ds = got.dataset
    rows = ds.rows_of(got.ids)
    assert len(set(ds["meta.angle"][rows])) >= 3
    assert set(ds["meta.light"][rows]) == {"0", "1"}
    assert set(ds["meta.revision"][rows]) == {"5.0.1"}
    hit = contrast(modality.open_samples(ds, rows), [tmp_path / "g" / uri for uri in ds["mask_uri"][rows]])
    assert np.mean(hit) > 5
    again = generate.run(fabric, plugin, counts={name: 6}, out=tmp_path / "h", seed=2)
    assert again.ids == got.ids


@pytest.mark.render
def test_a_mesh_and_texture_of_your_own(blender: str, fabric: Dataset, tmp_path: Path) -> None:
    name = fabric.schema.classes[fabric.schema.defect_codes[0]]
    corners = [(x, y, z) for x in (0, 4) for y in (0, 2) for z in (0, 1)]
    faces = ((1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7), (1, 3, 7, 5), (2, 6, 8, 4))
    mesh = "".join(f"v {x} {y} {z}\n" for x, y, z in corners) + "".join("f {} {} {} {}\n".format(*f) for f in faces)
    (tmp_path / "box.obj").write_text(mesh, "utf-8")
    cv2.imwrite(str(tmp_path / "blue.png"), np.full((64, 64, 3), (200, 60, 30), np.uint8))
    common: dict[str, Any] = {"python": blender, "texture": str(tmp_path / "blue.png"), "damage": "scratch", **SMALL}
    plugin = Render(mesh=str(tmp_path / "box.obj"), severity=1.0, **common)
    got = generate.run(fabric, plugin, counts={name: 2}, out=tmp_path / "g", seed=5)
    assert got.accepted == {name: 2}
    pictures = modality.open_samples(got.dataset, got.dataset.rows_of(got.ids))
    assert all(
        (np.asarray(picture)[..., 2].astype(int) - np.asarray(picture)[..., 0]).max() > 40 for picture in pictures
    )
    (tmp_path / "bad.obj").write_text("v 0 0 0\n", "utf-8")
    with pytest.raises(ScarceError, match="mesh"):
        generate.run(fabric, Render(mesh=str(tmp_path / "bad.obj"), **common), counts={name: 1}, out=tmp_path / "b")
    with pytest.raises((ScarceError, DataError)):
        generate.run(fabric, Render(mesh=str(tmp_path / "blue.png"), **common), counts={name: 1}, out=tmp_path / "c")


def contrast(pictures: Sequence[Any], masks: Sequence[Path]) -> list[float]:
    """Return by how many gray levels the masked pixels differ from those just around them."""
    found = []
    for picture, path in zip(pictures, masks, strict=True):
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 127
        ring = (cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0) & ~mask
        gray = np.asarray(picture).mean(axis=2)
        found.append(abs(float(gray[mask].mean() - gray[ring].mean())))
    return found
