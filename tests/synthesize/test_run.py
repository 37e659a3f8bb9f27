from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scarce import synthesize
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError, LeakError, UnknownNameError
from scarce.recipe import mask_opener, render, render_full
from scarce.synthesize.scratch import Scratch


def plain(**columns: Any) -> Dataset:
    """Ten sound ones, five scratched, five of an unnamed fault, four of each in test."""
    label = ["good"] * 10 + ["scratched"] * 5 + ["type 3"] * 5
    values = {"id": [f"{row:03d}" for row in range(20)], "label": label, "split": (["train"] * 4 + ["test"]) * 4}
    schema = Schema(classes=("good", "scratched", "type 3"), normal_classes=("good",))
    return Dataset.from_columns(schema, {**values, **columns})


@pytest.fixture(scope="module")
def tiles(shared_data: Path) -> Dataset:
    """The magnetic tiles, a third of the groups held out."""
    root = shared_data / "magnetic_tile"
    with (root / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    schema = Schema(classes=("free", "blowhole", "uneven", "break", "crack", "fray"), normal_classes=("free",))
    values = {
        "id": [f"{row:05d}" for row in range(len(rows))],
        "uri": [row["image"] for row in rows],
        "source": ["tiles"] * len(rows),
        "label": [row["class"] for row in rows],
        "mask_uri": [row["mask"] or None for row in rows],
        "split": ["train" if int(row["tile_group"][5:]) % 3 else "test" for row in rows],
        "split_group": [row["tile_group"] for row in rows],
    }
    return Dataset.from_columns(schema, values, sources={"tiles": str(root)})


def opener(ds: Dataset) -> Any:
    uri = dict(zip(ds.ids, ds["uri"], strict=True))
    return lambda name: cv2.imread(str(Path(ds.sources["tiles"]) / uri[name]), cv2.IMREAD_GRAYSCALE)


def test_pasted_defects_on_real_tiles(tiles: Dataset) -> None:
    wanted = {"crack": 12, "fray": 8, "blowhole": 10}
    grown = synthesize.run(tiles, "cut_paste", counts=wanted, seed=1)
    new = grown.take(grown["origin"] == "synthetic").table.to_pylist()
    assert Counter(row["label"] for row in new) == wanted
    known = {row["id"]: row for row in tiles.table.to_pylist()}
    for row in new:
        base, patch = (known[parent] for parent in row["parents"])
        assert (base["label"], patch["label"]) == ("free", row["label"])
        assert (base["split"], patch["split"], row["split"]) == ("train", "train", "train")
        assert len(row["recipe"]) < 4000
    for row in new[::3]:
        scene = render_full(row["recipe"], opener(tiles), mask_opener(tiles))
        original = opener(tiles)(row["parents"][0])
        change = np.abs(scene.image.astype(int) - original)
        assert scene.mask is not None
        assert scene.mask.any()
        assert change[~cv2.dilate(scene.mask.astype(np.uint8), np.ones((41, 41))).astype(bool)].max(initial=0) == 0
        assert np.array_equal(render(row["recipe"], opener(tiles)), scene.image)  # no mask file is needed


def test_a_fold_hides_what_was_made_from_its_evaluation_side(tiles: Dataset) -> None:
    grown = synthesize.run(tiles, "cut_paste", counts={"fray": 30})
    rows = grown.take(grown["origin"] == "synthetic").table.to_pylist()
    patch = rows[0]["parents"][1]
    group = tiles["split_group"][tiles.rows_of([patch])[0]]
    held = tiles["split_group"] == group
    train = tiles.ids[~held & (tiles["split"] == "train")]
    fold = grown.fold(train, tiles.ids[held])
    shown = {row["id"] for row in fold.train.table.to_pylist() if row["origin"] == "synthetic"}
    made_from = {row["id"] for row in rows if set(row["parents"]) & set(tiles.ids[held])}
    assert made_from
    assert shown == {row["id"] for row in rows} - made_from


def test_empty_masks_are_counted_and_left_out(tiles: Dataset) -> None:
    grown = synthesize.run(tiles, "cut_paste", counts={"uneven": 5})
    (finding,) = grown.findings.to_pylist()
    assert "masks were empty" in finding["why"]


def test_the_cap_counts_patches(tiles: Dataset) -> None:
    sources = ((tiles["label"] == 5) & (tiles["split"] == "train")).sum()
    grown = synthesize.run(tiles, "cut_paste", counts={"fray": 5000}, cap=2)
    assert (grown["origin"] == "synthetic").sum() <= 2 * sources
    assert "at most 2 times" in grown.findings.to_pylist()[0]["why"]


def test_a_drawn_defect_serves_a_class_whose_name_says_so() -> None:
    grown = synthesize.run(plain(), "scratch", counts={"scratched": 6}, seed=2)
    new = grown.take(grown["origin"] == "synthetic").table.to_pylist()
    assert [row["label"] for row in new] == ["scratched"] * 6
    assert all(int(row["parents"][0]) < 10 for row in new)
    image = np.full((64, 64), 130, np.uint8)
    scenes = [render_full(row["recipe"], lambda _: image) for row in new]
    assert all(scene.mask is not None and scene.mask.any() for scene in scenes)
    assert len({scene.image.tobytes() for scene in scenes}) == 6
    boxes = render_full(new[0]["recipe"], lambda _: image, boxes=np.array([[1.0, 1, 5, 5]])).boxes
    assert boxes is not None
    assert boxes.shape == (2, 4)


@pytest.mark.parametrize("kind", ["scratch", "stain", "cut_paste"])
def test_no_mislabelled_sample_is_made(kind: str) -> None:
    with pytest.raises(DataError, match="type 3"):
        synthesize.run(plain(), kind, counts={"type 3": 5})


def test_a_class_can_be_mapped_by_settings_and_what_is_refused_is_told() -> None:
    grown = synthesize.run(plain(), "scratch", counts={"scratched": 2, "type 3": 3, "good": 1})
    assert (grown["origin"] == "synthetic").sum() == 2
    assert {row["members"][0]: row["score"] for row in grown.findings.to_pylist()} == {"type 3": 1.0, "good": 1.0}
    mapped = synthesize.run(plain(), Scratch(classes=("type 3",)), counts={"type 3": 3})
    assert (mapped["origin"] == "synthetic").sum() == 3
    assert synthesize.servable(plain(), "scratch")["scratched"] == ""
    assert "mislabelled" in synthesize.servable(plain(), "stain")["type 3"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("scratch", "scratch"),
        ("Scratches", "scratch"),
        ("deep-scratch", "scratch"),
        ("oil_stain", "stain"),
        ("stains", "stain"),
    ],
)
def test_names_that_say_so(name: str, kind: str) -> None:
    schema = Schema(classes=("ok", name), normal_classes=("ok",))
    ds = Dataset.from_columns(schema, {"id": ["a", "b"], "label": ["ok", name], "split": ["train", "train"]})
    assert synthesize.servable(ds, kind)[name] == ""


def test_without_a_sound_class_it_explains() -> None:
    ds = plain()
    schema = Schema(classes=ds.schema.classes)
    blind = Dataset(schema, ds.table)
    with pytest.raises(DataError, match="no class is known to be sound"):
        synthesize.run(blind, "scratch", counts={"scratched": 2})
    assert "sound" in synthesize.servable(blind, "scratch")["scratched"]


def test_leaks_and_wrong_asks_are_refused() -> None:
    with pytest.raises(LeakError, match="no split"):
        synthesize.run(plain(split=[None] * 20), "scratch", counts={"scratched": 2})
    with pytest.raises(LeakError, match="004 is test"):
        synthesize.run(plain(), "scratch", counts={"scratched": 2}, ids=["000", "004"])
    with pytest.raises(UnknownNameError, match="did you mean 'scratched'"):
        synthesize.run(plain(), "scratch", counts={"scratch": 2})
    with pytest.raises(UnknownNameError, match="scratch"):
        synthesize.run(plain(), "scrach", counts={"scratched": 2})
    with pytest.raises(DataError, match="-2"):
        synthesize.run(plain(), "scratch", counts={"scratched": -2})
    with pytest.raises(DataError, match="no kept real training sample of good"):
        synthesize.run(plain(keep=[False] * 10 + [True] * 10), "scratch", counts={"scratched": 2})
    assert len(synthesize.run(plain(), "scratch", counts={"scratched": 0})) == 20


def test_a_second_run_makes_others_and_keeps_the_reasons() -> None:
    once = synthesize.run(plain(), "scratch", counts={"scratched": 3, "type 3": 1})
    twice = synthesize.run(once, "scratch", counts={"scratched": 3})
    assert (twice["origin"] == "synthetic").sum() == 6
    assert sorted(json.loads(recipe)["copy"] for recipe in twice["recipe"] if recipe) == [0, 1, 2, 3, 4, 5]
    assert [row["members"] for row in twice.findings.to_pylist()] == [["type 3"]]
