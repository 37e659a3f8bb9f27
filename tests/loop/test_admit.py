"""A source that joins a project: what is near to test waits with its reason, on real tiles."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from scarce import io, modality
from scarce.dataset import Array, Dataset
from scarce.errors import DataError, UnknownNameError
from scarce.loop.admit import admit
from scarce.loop.cleaning import cleaning_plan
from scarce.loop.measure import copies_unknown, with_copies, with_scan
from scarce.project import Project

WIDE_TILE = "exp1_num_3191.jpg"
SHIFT = 4


def put(path: Path, picture: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)


def one_of_each_tile(data: Path, kind: str, n: int) -> list[Array]:
    """The first picture of each of n tiles, so that nothing is a copy of anything yet."""
    with (data / "index.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    held = {row["tile_group"] for row in rows if row["image"].endswith(WIDE_TILE)}
    first: dict[str, str] = {}
    for row in rows:
        if row["tile_group"] not in held and row["class"] == kind:
            first.setdefault(row["tile_group"], row["image"])
    return [cv2.imread(str(data / name), cv2.IMREAD_GRAYSCALE) for name in list(first.values())[:n]]


@pytest.fixture
def tiles(shared_data: Path, tmp_path: Path) -> Path:
    """Real tiles that came split: two windows on one crack lie in train and test, too far apart to be copies."""
    data, base = shared_data / "magnetic_tile", tmp_path / "tiles"
    crack = cv2.imread(str(data / "images" / "crack" / WIDE_TILE), cv2.IMREAD_GRAYSCALE)
    for part, turn in (("train", 0), ("test", 2)):
        put(base / part / "crack" / f"window{turn}.png", crack[:, SHIFT * turn : crack.shape[1] - SHIFT * (2 - turn)])
    for at, picture in enumerate(one_of_each_tile(data, "blowhole", 16)):
        put(base / ("train", "val", "test")[max(0, at - 13)] / "blowhole" / f"{at}.png", picture)
    for at, picture in enumerate(one_of_each_tile(data, "crack", 10)):
        put(base / "train" / "crack" / f"{at}.png", picture)
    put(tmp_path / "may" / "crack" / "between.png", crack[:, SHIFT:-SHIFT])
    return base


def started(folder: Path, source: Path) -> tuple[Project, Dataset]:
    from scarce import audit, split

    project = Project.init(folder)
    ds = modality.scan(io.read(source), cache=project.features / "scan")
    return project, split.run(audit.run(ds, ("exact_duplicate", "near_duplicate")))


def test_a_picture_between_train_and_test_is_held_back(tiles: Path, tmp_path: Path) -> None:
    project, old = started(tmp_path / "p", tiles)
    assert set(old["split"]) == {"train", "val", "test"}, "the two windows are no copies of each other"
    test = cv2.imread(str(tiles / "test" / "blowhole" / "15.png"), cv2.IMREAD_GRAYSCALE)
    put(tmp_path / "may" / "blowhole" / "brighter.png", cv2.convertScaleAbs(test, alpha=1.05, beta=6))
    done = admit(project, old, io.read(tmp_path / "may"))
    ds = done.dataset
    why = {str(ds["uri"][ds.rows_of([name])[0]]): reason for name, reason in done.waiting.items()}
    assert set(why) == {"crack/between.png", "blowhole/brighter.png"}
    assert "train/crack/window0.png" in why["crack/between.png"]
    assert "test/crack/window2.png: it would bridge train and test" in why["crack/between.png"]
    assert "nearly the same as test sample test/blowhole/15.png" in why["blowhole/brighter.png"]
    assert (ds["split"][ds.rows_of(done.new)] == "pool").all()
    assert (ds["split"][ds.rows_of(old.ids)] == old["split"]).all()
    project.commit(ds, "add", owner=("io", "audit", "split", "clean"))
    project.close()


def test_a_new_class_is_in_all_splits_and_what_is_known_is_nothing_new(
    shared_data: Path, tiles: Path, tmp_path: Path
) -> None:
    project, old = started(tmp_path / "p", tiles)
    for at, picture in enumerate(one_of_each_tile(shared_data / "magnetic_tile", "uneven", 12)):
        put(tmp_path / "june" / "dark" / f"{at}.png", picture)
    june = io.read(tmp_path / "june")
    done = admit(project, old, june, {"dark": "uneven"})
    splits = done.dataset["split"][done.dataset.rows_of(done.new)]
    assert len(done.new) == 12
    assert set(splits) == {"train", "val", "test"}
    again = admit(project, done.dataset, june, {"dark": "uneven"})
    assert again.new == ()
    assert again.dataset is done.dataset
    with pytest.raises(UnknownNameError, match="dark"):
        admit(project, old, june, {"drk": "uneven"})
    project.close()


def test_the_first_source_waits_for_the_first_split(garments: Path, tmp_path: Path) -> None:
    project = Project.init(tmp_path / "p")
    ds = io.read(garments)
    ds = ds.with_columns({"split": [None] * len(ds)})
    few = ds.take(np.arange(12))
    done = admit(project, None, few)
    assert len(done.new) == 12
    assert "split_group" not in done.dataset
    assert done.waiting == {}
    assert copies_unknown(done.dataset)
    with pytest.raises(DataError, match="nothing was audited"):
        cleaning_plan(project, done.dataset)
    compared = with_copies(project, with_scan(project, done.dataset, workers=1))
    assert not copies_unknown(compared)
    assert cleaning_plan(project, compared) == []
    more = admit(project, compared, ds.take(np.arange(20)))
    assert copies_unknown(more.dataset), "the new ones were never compared"
    project.close()
