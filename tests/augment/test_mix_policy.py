"""Mixes as entries of a policy: in batches, on disk, and as rows with recipes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scarce import augment, io
from scarce import recipe as recipes
from scarce.augment import Policy, adapt, apply_batch, offline
from scarce.augment._partner import pool_of
from scarce.augment.copy_paste import CopyPaste, paste_object
from scarce.augment.cutmix import Cutmix
from scarce.augment.flip import Flip
from scarce.augment.mixup import Mixup
from scarce.augment.mosaic import Mosaic
from scarce.augment.rotate import Rotate
from scarce.dataset import Dataset
from scarce.errors import DataError
from scarce.invariant import invariants
from scarce.modality import open_samples
from scarce.recipe import Scene, mask_opener

MIXES = {"mixup": Mixup(), "cutmix": Cutmix(), "mosaic": Mosaic(), "copy_paste": CopyPaste(probability=1.0)}
Pictures = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def masked(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Real defects with their masks and boxes, and sound tiles: 64 x 64."""
    root = tmp_path_factory.mktemp("masked")
    rows = []
    for name in ("blowhole", "break", "free"):
        own = next(place for place in sorted((shared_data / "magnetic_tile" / "images").iterdir()) if place.is_dir()
                   and name in place.name.lower() and any(place.rglob("*.jpg")))  # fmt: skip
        for place, file in enumerate(sorted(own.rglob("*.jpg"))[:8]):
            mask = cv2.imread(
                str(shared_data / "magnetic_tile" / "masks" / file.parent.name / f"{file.stem}.png"),
                cv2.IMREAD_GRAYSCALE,
            )
            image = cv2.resize(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), (64, 64), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(root / f"{name}_{place}.png"), image)
            row = {"file": f"{name}_{place}.png", "label": name, "split": "test" if place > 5 else "train",
                   "mask_uri": "", "boxes": ""}  # fmt: skip
            if mask is not None and mask.any():
                small = cv2.resize((mask > 0).astype(np.uint8), (64, 64), interpolation=cv2.INTER_AREA)
                cv2.imwrite(str(root / f"{name}_{place}_mask.png"), 255 * small)
                x, y, wide, high = cv2.boundingRect(small)
                row["mask_uri"] = f"{name}_{place}_mask.png"
                row["boxes"] = json.dumps([{"bbox": [x, y, wide, high], "label": name}])
            rows.append(row)
    with (root / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return io.read(root / "manifest.csv")


def opened(ds: Dataset, name: str) -> Pictures:
    return np.asarray(open_samples(ds, ds.rows_of([name]))[0])


def scene_of(ds: Dataset, name: str) -> Scene:
    return Scene(opened(ds, name), mask_opener(ds)(name))


@pytest.mark.parametrize("name", MIXES)
def test_a_mix_is_the_same_in_a_batch_and_from_its_recipe(name: str, masked: Dataset) -> None:
    rows = np.flatnonzero((masked["split"] == "train") & (masked["label"] >= 0))
    ids = [str(one) for one in masked.ids[rows]]
    pool = pool_of(masked, rows, lambda one: scene_of(masked, one))
    images, labels = np.stack([opened(masked, one) for one in ids]), np.eye(3, dtype=np.float32)[masked["label"][rows]]
    chosen = Policy((Flip(), MIXES[name], Rotate()))
    online, soft = chosen.apply_mixed(images, labels, ids, pool, seed=2, epoch=3)
    backward, _ = chosen.apply_mixed(images[::-1], labels[::-1], ids[::-1], pool, seed=2, epoch=3)
    assert np.array_equal(online, backward[::-1])
    assert np.allclose(soft.sum(axis=1), 1)
    changed = 0
    for k, one in enumerate(ids):
        drawn = chosen.draw_with(one, pool, seed=2, copy=3)
        text = recipes.write(one, drawn, seed=2, copy=3)
        view = recipes.render(text, lambda other: opened(masked, other), mask_opener(masked))
        assert np.array_equal(view, online[k])
        changed += "partner" in text
    assert changed >= len(ids) // 2
    assert (soft.max(axis=1) < 1).any() == (name != "copy_paste")
    with pytest.raises(DataError, match="apply_mixed"):
        apply_batch(images, ids, chosen)
    with pytest.raises(DataError, match="no partner was drawn"):
        chosen.apply(images[0], np.random.default_rng(0))


@pytest.mark.parametrize("name", MIXES)
def test_rows_name_all_their_parents_and_carry_the_shared_label(name: str, masked: Dataset) -> None:
    grown = augment.run(masked, Policy((MIXES[name],)), counts={"blowhole": 6}, seed=1)
    new = np.flatnonzero(grown["origin"] == "augmented")
    trained = {str(masked.ids[row]) for row in np.flatnonzero(masked["split"] == "train")}
    assert len(new) == 6
    for family in grown.table["parents"].take(new).to_pylist():
        assert len(family) >= 2
        assert set(family) <= trained
    assert not invariants(grown)
    assert ("label_probs" in grown) == (name != "copy_paste")
    if name == "mixup":
        assert (grown["label_probs"][new][:, grown.schema.classes.index("blowhole")] >= 0.5 - 1e-6).all()
    again = augment.run(masked, Policy((MIXES[name],)), counts={"blowhole": 6}, seed=1)
    assert again.ids.tolist() == grown.ids.tolist()


def test_a_mix_on_disk_names_partners_shares_masks_and_boxes(masked: Dataset, tmp_path: Path) -> None:
    chosen = Policy((Mosaic(), CopyPaste(any_class=True), Mixup(probability=0.5)))
    one = offline.write(masked, chosen, tmp_path / "a", per_sample=2, seed=1, workers=1)
    two = offline.write(masked, chosen, tmp_path / "b", per_sample=2, seed=1, workers=2)
    assert not one.failed
    with one.manifest.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert one.manifest.read_text() == two.manifest.read_text()
    for row in rows:
        assert (tmp_path / "a" / row["file"]).read_bytes() == (tmp_path / "b" / row["file"]).read_bytes()
        assert len(row["partners"].split()) >= 3
        assert abs(sum(json.loads(row["label_shares"]).values()) - 1) < 1e-3 if row["label_shares"] else True
        for box in json.loads(row["boxes"] or "[]"):
            x, y, wide, high = box["bbox"]
            assert min(x, y) >= 0
            assert max(x + wide, y + high) <= 64.01
    assert any(row["label_shares"] for row in rows)
    assert max(len(json.loads(row["boxes"] or "[]")) for row in rows) > 1
    shown = [row for row in rows if row["mask_uri"]]
    assert shown
    assert all((tmp_path / "a" / row["mask_uri"]).is_file() for row in shown)
    back = io.read(one.manifest)
    assert sum(bool(item) for item in back.table["mask_uri"].to_pylist()) == len(shown)
    before = one.manifest.read_text()
    (tmp_path / "a" / rows[0]["file"]).unlink()
    assert offline.write(masked, chosen, tmp_path / "a", per_sample=2, seed=1).written == 1
    assert one.manifest.read_text() == before
    assert offline.preview(masked, chosen, tmp_path / "sheet.png", samples=3, copies=2).is_file()


def test_a_pasted_object_is_where_its_mask_and_box_say(masked: Dataset) -> None:
    image = np.full((64, 64), 10, np.uint8)
    mask = np.zeros((32, 32), bool)
    mask[8:20, 4:16] = True
    other = Scene(np.where(mask, 200, 90).astype(np.uint8), mask, np.array([[4.0, 8, 16, 20]]))
    found = paste_object(Scene(image, None, np.array([[1.0, 2, 3, 4]])), other, zoom=1.0, place=(0.5, 1.0))
    assert found.mask is not None
    assert found.boxes is not None
    assert found.boxes.tolist() == [[1, 2, 3, 4], [20, 40, 44, 64]]
    assert (found.image[found.mask] > 100).all()
    assert (found.image[~cv2.dilate(found.mask.astype(np.uint8), np.ones((5, 5))).astype(bool)] == 10).all()
    assert image.max() == 10
    for lost in (np.zeros((32, 32), bool), np.ones((32, 32), bool)):
        params = {"zoom": 1.0, "place": (0.5, 0.5)}
        same = CopyPaste().combine(Scene(image), params, [other._replace(mask=lost)])
        assert np.array_equal(same.image, image)
    huge = paste_object(Scene(image), other, zoom=50.0, place=(0.0, 0.0))
    assert huge.image.shape == (64, 64)


def test_objects_with_boxes_alone_are_pasted_with_a_soft_edge(masked: Dataset, tmp_path: Path) -> None:
    bare = masked.with_columns({"mask_uri": [None] * len(masked)})
    rows = np.flatnonzero((bare["split"] == "train") & (bare["label"] == bare.schema.classes.index("blowhole")))
    pool = pool_of(bare, rows, lambda one: Scene(opened(bare, one)))
    assert len(pool.boxes) == len(rows) == pool.marked.sum()
    grown = augment.run(bare, Policy((CopyPaste(probability=1.0),)), counts={"blowhole": 4}, seed=1)
    new = np.flatnonzero(grown["origin"] == "augmented")
    assert len(new) == 4
    for row, pixels in zip(new.tolist(), open_samples(grown, new), strict=True):
        body = json.loads(str(grown["recipe"][row]))
        assert "object_boxes" in json.dumps(body)
        assert not np.array_equal(pixels, opened(bare, body["base"]))
        full = recipes.render_full(str(grown["recipe"][row]), lambda one: opened(bare, one), mask_opener(bare))
        assert full.mask is None
        assert full.boxes is not None
        assert np.array_equal(full.image, pixels)
    done = offline.write(bare, Policy((CopyPaste(probability=1.0),)), tmp_path / "a", per_sample=1, seed=1, workers=1)
    with done.manifest.open(encoding="utf-8") as file:
        written = [row for row in csv.DictReader(file) if row["label"] == "blowhole"]
    assert all(not row["mask_uri"] and len(json.loads(row["boxes"])) == 2 for row in written)
    online, _ = Policy((CopyPaste(probability=1.0),)).apply_mixed(
        np.stack([opened(bare, str(one)) for one in bare.ids[rows]]), np.eye(3, dtype=np.float32)[bare["label"][rows]],
        [str(one) for one in bare.ids[rows]], pool, seed=1, epoch=0,
    )  # fmt: skip
    for picture, one in zip(online, bare.ids[rows], strict=True):
        file = next(row["file"] for row in written if row["parent"] == one)
        assert np.array_equal(picture, cv2.imread(str(tmp_path / "a" / file), cv2.IMREAD_GRAYSCALE))
    params = {"zoom": 1.0, "place": (0.0, 0.0), "object_boxes": [[10.0, 10, 40, 40]]}
    black, gray = (Scene(np.full((64, 64), value, np.uint8)) for value in (0, 90))
    flat = CopyPaste().combine(black, params, [gray]).image
    assert flat[15, 15] == 90
    assert 0 < flat[0, 15] < flat[1, 15] < 90
    assert flat[31, 15] == 0


def test_a_policy_in_yaml_keeps_its_mixes() -> None:
    chosen = adapt.from_yolo({"mosaic": 1.0, "mixup": 0.1, "copy_paste": 0.3, "fliplr": 0.5})
    assert [one.plugin_name() for one in chosen.parts()] == ["mosaic", "copy_paste", "mixup", "flip"]
    assert Policy.from_toml(chosen.to_toml()).operations == chosen.operations
    assert [one.plugin_name() for one in chosen.without_mixes().parts()] == ["flip"]


@pytest.mark.slow
def test_a_network_trains_on_mixes(masked: Dataset) -> None:
    pytest.importorskip("torch")
    from scarce import train
    from scarce.train.finetune import Finetune

    view = masked.fold(masked.ids[masked["split"] == "train"], masked.ids[masked["split"] == "test"])
    chosen = Policy((*MIXES.values(), Flip()), "mixes")
    small = Finetune(epochs=2, batch=8, validation=0.0, network="small_resnet", device="cpu")
    found = [train.fit(view, small, seed=3, online=chosen) for _ in range(2)]
    assert found[0].card["augment"] == "mixes"
    one, two = (model.tensors() for model in found)
    assert all(np.array_equal(one[key], two[key]) for key in one)
