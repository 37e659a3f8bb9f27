"""A head on the cells of real tiles: it learns from masks, from boxes and from labels alone, and shows the place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from scarce import io, modality, train
from scarce.dataset import Dataset, FoldView
from scarce.errors import ConfigError, TrainError
from scarce.train import heat_map
from scarce.train._cell_head import codes_of
from scarce.train._maps import CELL, maps_of, shares_of
from scarce.train.patch_probe import PatchModel, PatchProbe
from scarce.train.predict import predict

SMALL = PatchProbe(longest=192, steps=40, width=24, folds=0)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tiles(shared_data: Path) -> Dataset:
    """One exposure each of sound tiles and of tiles with a blowhole or a crack, scanned."""
    ds = io.read(shared_data / "magnetic_tile" / "index.csv", group="tile_group")
    names, groups = np.asarray(ds.table["label"].to_pylist()), ds["group"]
    rows: list[int] = []
    for name, count in (("free", 20), ("blowhole", 14), ("crack", 6)):
        for group in list(dict.fromkeys(groups[names == name]))[:count]:
            rows += np.flatnonzero((groups == group) & (names == name))[:1].tolist()
    part = modality.scan(ds.take(np.sort(rows)))
    return replace(part, schema=replace(part.schema, normal_classes=("free",)))


@pytest.fixture(scope="module")
def fold(tiles: Dataset) -> FoldView:
    """Every third tile is judged."""
    names = sorted(set(tiles["group"]))
    held = np.isin(tiles["group"], names[::3])
    return tiles.fold(tiles.ids[~held], tiles.ids[held])


@pytest.fixture(scope="module")
def model(fold: FoldView) -> PatchModel:
    fitted = train.fit(fold, SMALL, seed=0)
    assert isinstance(fitted, PatchModel)
    return fitted


def _auroc(model: train.Model, fold: FoldView) -> float:
    from sklearn.metrics import roc_auc_score

    free = fold.dataset.schema.classes.index("free")
    return float(roc_auc_score(fold.eval["label"] != free, 1 - model.predict_proba(fold.eval)[:, free]))


def test_finds_defects_of_tiles_that_it_has_not_seen(model: PatchModel, fold: FoldView, tmp_path: Path) -> None:
    probs = model.predict_proba(fold.eval)
    np.testing.assert_allclose(probs.sum(1), 1)
    assert _auroc(model, fold) > 0.75
    assert model.card["marked_rows"] > 10
    again = train.load(model.save(tmp_path / "m"))
    np.testing.assert_allclose(again.predict_proba(fold.eval), probs, atol=1e-6)
    some = fold.eval.take(np.array([3, 1]))
    np.testing.assert_allclose(model.predict_proba(some), probs[fold.eval.rows_of(some.ids)], atol=1e-6)


def test_the_same_seed_gives_the_same_weights_and_judged_pictures_change_nothing(fold: FoldView) -> None:
    quick = replace(SMALL, steps=6)
    first = train.fit(fold, quick, seed=1).tensors()
    alone = fold.dataset.fold(fold.train_ids, ())
    for name, array in train.fit(alone, quick, seed=1).tensors().items():
        np.testing.assert_array_equal(array, first[name])
    other = train.fit(fold, quick, seed=2).tensors()
    assert not np.array_equal(other["0/0/fine"], first["0/0/fine"])


def test_heat_lies_on_the_defect(model: PatchModel, fold: FoldView, tmp_path: Path) -> None:
    judged = fold.eval
    holes = np.flatnonzero(judged["label"] == judged.schema.classes.index("blowhole"))
    part = judged.take(holes)
    shares = shares_of(part, np.arange(len(part)), maps_of(part, np.arange(len(part)), longest=192))
    better = []
    for heat, share in zip(model.heat(part), shares, strict=True):
        assert share is not None
        flat, hit = np.asarray(heat).ravel(), share > 0
        better.append(flat[hit].max() > np.quantile(flat[~hit], 0.95))
    assert np.mean(better) > 0.5
    files = heat_map.write(model, part.take(np.array([0])), ["hole"], tmp_path)
    assert max(cv2.imread(str(files[0])).shape[:2]) == heat_map.SIDE


def test_learns_from_labels_alone_and_from_boxes(fold: FoldView) -> None:
    ds = fold.dataset
    blind = ds.with_columns({"mask_uri": [None] * len(ds)})
    view = blind.fold(fold.train_ids, fold.eval_ids)
    model = train.fit(view, SMALL, seed=0)
    assert model.card["marked_rows"] == 0
    assert _auroc(model, fold) > 0.6
    masks, cells = ds.table["mask_uri"].to_pylist(), []
    for row, label in enumerate(ds.table["label"].to_pylist()):
        found = None
        if masks[row]:
            mask = cv2.imread(str(Path(ds.sources[ds.table["source"][row].as_py()]) / masks[row]), 0)
            found = json.dumps([{"label": label, "bbox": list(cv2.boundingRect(mask))}])
        cells.append(found)
    boxed = blind.with_columns({"meta.boxes": cells})
    quick = train.fit(boxed.fold(fold.train_ids, fold.eval_ids), replace(SMALL, steps=3), seed=0)
    assert quick.card["marked_rows"] == train.fit(fold, replace(SMALL, steps=3), seed=0).card["marked_rows"]


def test_calibrates_on_tiles_that_were_left_out_and_answers_for_files(fold: FoldView, tmp_path: Path) -> None:
    model = train.fit(fold, replace(SMALL, steps=8, folds=2, scales=(1.0, 0.5), members=2), seed=0)
    point = model.card["operating_point"]
    assert point["normals"] + point["defects"] == len(fold.train_ids)
    assert model.temperature > 0
    assert {name.split("/")[0] for name in model.tensors()} == {"0", "1"}
    ds = fold.eval
    path = Path(ds.sources[ds.table["source"][0].as_py()]) / ds.table["uri"][0].as_py()
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    thin = tmp_path / "thin.png"
    cv2.imwrite(str(thin), np.full((3, 900), 80, np.uint8))
    found = predict(model, [path, tmp_path / "broken.jpg", thin])
    assert found[0].label in ds.schema.classes
    assert found[1].error is not None
    assert found[2].label is not None


def test_cells_know_what_they_teach() -> None:
    share = np.array([0.0, 0.1, 0.9, 0.0])
    np.testing.assert_array_equal(codes_of(share, 1, sound=False, cells=4, classes=3), [3, -1, 1, 3])
    np.testing.assert_array_equal(codes_of(share / 10, 1, sound=False, cells=4, classes=3), [3, -1, 1, 3])
    np.testing.assert_array_equal(codes_of(None, 1, sound=False, cells=2, classes=3), [-1, -1])
    np.testing.assert_array_equal(codes_of(None, 0, sound=True, cells=2, classes=3), [3, 3])


def test_maps_keep_the_picture_size(tiles: Dataset) -> None:
    one, half = (maps_of(tiles, np.array([0]), scale=scale)[0] for scale in (1.0, 0.5))
    image = np.asarray(modality.open_samples(tiles, [0])[0])
    assert abs(CELL * one.grid[0] - image.shape[0]) <= CELL
    assert abs(CELL * one.grid[1] - image.shape[1]) <= CELL
    assert abs(2 * half.grid[0] - one.grid[0]) <= 1
    middle, coarse = one.around()
    assert middle.max() < len(one.middle)
    assert coarse.max() < len(one.coarse)
    small = cv2.resize(image, None, fx=0.5, fy=0.5)
    assert len(half.fine) == pytest.approx((small.shape[0] / CELL) * (small.shape[1] / CELL), rel=0.1)


def test_refusals(fold: FoldView, tiles: Dataset) -> None:
    with pytest.raises(ConfigError, match="scales"):
        PatchProbe(scales=())
    with pytest.raises(ConfigError, match="steps"):
        PatchProbe(steps=0)
    with pytest.raises(TrainError, match="LDAM"):
        train.fit(fold, replace(SMALL, loss="ldam"))
    free = tiles.ids[tiles["label"] == tiles.schema.classes.index("free")]
    with pytest.raises(TrainError, match="two classes"):
        train.fit(tiles.fold(free, ()), SMALL)
