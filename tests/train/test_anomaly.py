"""A memory of sound tiles, with no known defect: it ranks, shows the place, and is frozen at a threshold."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from scarce import encode, evaluate, io, modality, train
from scarce.dataset import Dataset, FoldView
from scarce.encode.patch import Patch
from scarce.errors import ConfigError, TrainError
from scarce.train import heat_map
from scarce.train.anomaly import Anomaly, AnomalyModel, core_set, distances
from scarce.train.predict import predict

SMALL = Anomaly(size=128, memory=800, folds=2)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def masks(shared_data: Path) -> dict[str, Path]:
    source = shared_data / "magnetic_tile"
    with (source / "index.csv").open() as file:
        return {row["image"]: source / row["mask"] for row in csv.DictReader(file) if row["mask"]}


@pytest.fixture(scope="module")
def tiles(shared_data: Path) -> FoldView:
    """Sound tiles to learn and others to judge, beside tiles with a broken edge."""
    ds = io.read(shared_data / "magnetic_tile" / "index.csv", group="tile_group")
    names, groups = np.asarray(ds.table["label"].to_pylist()), ds["group"]
    free = [name for name in dict.fromkeys(groups[names == "free"]) if set(names[groups == name]) == {"free"}]
    learn, judge = np.isin(groups, free[:24]), np.isin(groups, free[24:30])
    broken = np.flatnonzero(names == "break")[::4][:20]
    rows = np.sort(np.concatenate([np.flatnonzero(learn | judge), broken]))
    part = encode.run(modality.scan(ds.take(rows)), Patch(size=128), workers=1)
    return part.fold(ds.ids[learn], ds.ids[np.union1d(np.flatnonzero(judge), broken)])


@pytest.fixture(scope="module")
def model(tiles: FoldView) -> AnomalyModel:
    fitted = train.fit(tiles, SMALL, seed=0)
    assert isinstance(fitted, AnomalyModel)
    return fitted


def test_finds_broken_tiles_without_having_seen_one(model: AnomalyModel, tiles: FoldView, tmp_path: Path) -> None:
    from sklearn.metrics import roc_auc_score

    free = tiles.dataset.schema.classes.index("free")
    defects = tiles.eval["label"] != free
    probs = model.predict_proba(tiles.eval)
    np.testing.assert_allclose(probs.sum(1), 1)
    assert roc_auc_score(defects, 1 - probs[:, free]) > 0.7
    assert model.classes == ("free", "defect")
    assert model.card["operating_point"]["normals"] == len(tiles.train_ids)
    again = train.load(model.save(tmp_path / "m"))
    np.testing.assert_allclose(again.predict_proba(tiles.eval), probs, atol=1e-6)
    twice = train.fit(tiles, SMALL, seed=0)
    np.testing.assert_array_equal(twice.tensors()["remembered"], model.tensors()["remembered"])


def test_only_sound_parts_are_known(tiles: FoldView, model: AnomalyModel) -> None:
    """Data of one class is enough, and defects on the training side change nothing."""
    ds = tiles.dataset
    rows = ds.rows_of(tiles.train_ids)
    alone = ds.take(rows)
    schema = type(ds.schema)(classes=("free",), normal_classes=("free",))
    one = Dataset(schema, alone.table, alone.sources, steps=ds.steps, wide=alone.wide)
    found = train.fit(one.fold(one.ids, ()), SMALL, seed=0)
    np.testing.assert_array_equal(found.tensors()["remembered"], model.tensors()["remembered"])
    assert found.predict_proba(one).shape == (len(one), 1)
    both = ds.fold([*tiles.train_ids, *tiles.eval.ids[tiles.eval["label"] != ds.schema.classes.index("free")]], ())
    np.testing.assert_array_equal(train.fit(both, SMALL, seed=0).tensors()["remembered"], model.tensors()["remembered"])


def test_the_card_counts_the_sound_parts_it_remembers(model: AnomalyModel, tiles: FoldView) -> None:
    free = int((tiles.train["label"] == tiles.dataset.schema.classes.index("free")).sum())
    assert {name: row["real"] for name, row in model.card["fitted"].items() if row["real"]} == {"free": free}
    judged = tiles.dataset.fold(tiles.train_ids, tiles.eval_ids)
    probs = model.predict_proba(model.judged_on(judged.eval))
    view = model.judged_on(judged.dataset).fold(tiles.train_ids, tiles.eval_ids)
    said = evaluate.run(view, probs, fitted=model.card["fitted"]).to_json()["per_class"]
    assert {name: row["train"] for name, row in said.items()} == {"free": free, "defect": 0}


def test_heat_lies_on_the_defect(model: AnomalyModel, tiles: FoldView, masks: dict[str, Path], tmp_path: Path) -> None:
    judged = tiles.eval
    broken = np.flatnonzero(judged["label"] != judged.schema.classes.index("free"))
    heat = model.heat(judged.take(broken))
    inside, outside = [], []
    for row, one in zip(broken, heat, strict=True):
        mask = cv2.imread(str(masks[judged.table["uri"][int(row)].as_py()]), cv2.IMREAD_GRAYSCALE)
        near = cv2.resize(mask, one.shape[::-1], interpolation=cv2.INTER_AREA) > 0
        inside.append(one[near].mean())
        outside.append(one[~near].mean())
    assert np.mean(np.array(inside) > outside) > 0.6
    files = heat_map.write(model, judged.take(broken[:2]), ["a", "a"], tmp_path / "maps")
    assert [file.name for file in files] == ["a.png", "a-2.png"]
    drawn = cv2.imread(str(files[0]))
    assert max(drawn.shape[:2]) == heat_map.SIDE
    assert (drawn[..., 0] != drawn[..., 2]).any()


def test_answers_for_files(model: AnomalyModel, tiles: FoldView, tmp_path: Path) -> None:
    ds = tiles.eval
    path = Path(ds.sources[ds.table["source"][0].as_py()]) / ds.table["uri"][0].as_py()
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    found = predict(model, [path, tmp_path / "broken.jpg"])
    assert found[0].verdict in ("accept", "reject")
    assert found[0].label in ("free", "defect")
    assert found[1].error is not None
    assert [file.name for file in heat_map.for_files(model, [path, tmp_path], tmp_path / "maps")] == [
        path.stem + ".png"
    ]


def test_the_core_set_covers_what_was_drawn() -> None:
    rng = np.random.default_rng(0)
    places = rng.normal(size=(20, 30, 5)).astype(np.float32)
    flat = places.reshape(-1, 5)
    chosen = core_set(places, 60, seed=0)
    random = flat[rng.permutation(len(flat))[:60]]
    assert distances(flat, chosen).max() < 0.8 * distances(flat, random).max()
    np.testing.assert_allclose(distances(chosen, flat), 0, atol=5e-3)
    brute = np.sqrt(((flat[:, None] - chosen[None]) ** 2).sum(2).min(1))
    np.testing.assert_allclose(distances(flat, chosen), brute, atol=5e-3)


def test_refusals(tiles: FoldView, featured: FoldView) -> None:
    ds = tiles.dataset
    plain = Dataset(type(ds.schema)(classes=ds.schema.classes), ds.table, ds.sources, wide=ds.wide)
    with pytest.raises(TrainError, match="no class is known to be normal"):
        train.fit(plain.fold(plain.ids, ()), SMALL)
    broken = ds.ids[ds["label"] != ds.schema.classes.index("free")]
    with pytest.raises(TrainError, match="0 sound pictures"):
        train.fit(ds.fold(broken, ()), SMALL)
    with pytest.raises(ConfigError, match="says nothing of places"):
        heat_map.write(train.fit(featured), featured.eval, ["x"], "nowhere")
    with pytest.raises(ConfigError, match="multiple of 16"):
        Patch(size=100)
