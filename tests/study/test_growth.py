"""What growing gains, on real tiles: paired, resumable, and blind to what is held out."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scarce import encode, io
from scarce.dataset import Dataset, Schema
from scarce.errors import ConfigError, DataError, UnknownNameError
from scarce.study._candidates import ALL, BARE, ONLY, REAL, SCREENED, spread_over_groups
from scarce.study._patches import Patches, PatchFold, of_pictures
from scarce.study.growth import Growth

SMALL = Growth(policies=("surface",), shows=("scratch:crack",), per_class=10, seeds=2, folds=3, draws=50)


@pytest.fixture(scope="module")
def tiles(shared_data: Path) -> Dataset:
    """260 magnetic tiles of three classes, grouped by tile, with small features of their pixels; a few are test."""
    root = shared_data / "magnetic_tile"
    with (root / "index.csv").open() as file:
        every = [row for row in csv.DictReader(file) if row["class"] in ("free", "crack", "blowhole")]
    rows = [row for row in every if row["class"] != "free"][::2] + [row for row in every if row["class"] == "free"][
        :180
    ]
    values = {
        "id": [f"{row:05d}" for row in range(len(rows))], "uri": [row["image"] for row in rows],
        "source": ["tiles"] * len(rows), "label": [row["class"] for row in rows], "label_source": ["given"] * len(rows),
        "mask_uri": [row["mask"] or None for row in rows], "split_group": [row["tile_group"] for row in rows],
        "split": ["test" if int(row["tile_group"][5:]) % 7 == 0 else "train" for row in rows],
    }  # fmt: skip
    schema = Schema(classes=("free", "crack", "blowhole"), normal_classes=("free",))
    return encode.run(Dataset.from_columns(schema, values, sources={"tiles": str(root)}), "pixel")


@pytest.mark.slow
def test_arms_are_paired_resumed_and_told(tiles: Dataset, tmp_path: Path) -> None:
    journal = tmp_path / "growth.jsonl"
    first = replace(SMALL, seeds=1).run(tiles, journal=journal, minutes=9, seed=0)
    found = SMALL.run(tiles, journal=journal, minutes=9, seed=0)
    body = found.body
    arms = body["arms"]
    assert set(arms) == {
        REAL, "augment.surface", "synthesize.crack", "synthesize.cut_paste", "synthesize.scratch", ALL, SCREENED, ONLY,
        BARE, f"augment.surface+{ALL}",
    }  # fmt: skip
    assert first.body["seeds_done"] == 1
    assert body["seeds_done"] == 2
    assert "synthesize.stain" in body["not_made"]
    assert arms[REAL]["average_precision"]["gain"] == 0
    assert "verdict" not in arms[REAL]["average_precision"]
    assert all(arms[name]["average_precision"]["verdict"] in ("helped", "hurt", "no evidence")
               for name in arms if name not in (REAL, ONLY, BARE))  # fmt: skip
    assert arms["synthesize.scratch"]["rows_a_fold"].keys() == {"crack"}
    assert 0 < arms["synthesize.cut_paste"]["rows_a_fold"]["crack"] < 10
    assert sum(arms[SCREENED]["rows_a_fold"].values()) <= sum(arms[ALL]["rows_a_fold"].values())
    assert arms[BARE]["average_precision"]["value"] < arms[REAL]["average_precision"]["value"]
    assert {"recall_at_0.01:rare", "recall_at_0.05:crack"} <= arms[REAL].keys()
    assert "no evidence" in found.page or "helped" in found.page or "hurt" in found.page
    assert json.loads(json.dumps(body)) == body
    lines = journal.read_text("utf-8").splitlines(keepends=True)
    journal.write_text("".join(lines[:5]), "utf-8")
    assert SMALL.run(tiles, journal=journal, minutes=9, seed=0).body == body


def test_the_test_split_and_held_out_labels_do_not_reach_training(tiles: Dataset) -> None:
    one = replace(SMALL, seeds=1, generators=("cut_paste",))
    test = tiles["split"] == "test"
    features = tiles["embedding.pixel"].copy()
    features[test] = 5.0
    labels = ["crack" if out else name for name, out in zip(tiles.table["label"].to_pylist(), test, strict=True)]
    other = replace(tiles, wide={**tiles.wide, "embedding.pixel": features}).with_columns({"label": labels})
    same = [one.run(ds, journal=None, minutes=9, seed=0).body for ds in (tiles, other)]
    assert same[0] == same[1]
    assert same[0]["judged"] == int((~test).sum())


def test_without_a_sound_class_only_policies_are_judged(tiles: Dataset) -> None:
    bare = replace(tiles, schema=Schema(classes=tiles.schema.classes))
    body = replace(SMALL, seeds=1, shows=()).run(bare, journal=None, minutes=9, seed=0).body
    assert set(body["arms"]) == {REAL, "augment.surface"}
    assert "sound" in body["not_made"]["synthesize.cut_paste"]
    assert np.isfinite(body["arms"][REAL]["recall_at_0.05:rare"]["value"])


def test_bad_settings_are_refused(tiles: Dataset) -> None:
    for study, kind in (
        (Growth(folds=1), ConfigError), (Growth(few=(0,)), ConfigError), (Growth(ratios=(0.0,)), ConfigError),
        (Growth(shows=("scratch",)), ConfigError),
        (Growth(shows=("scrach:crack",)), UnknownNameError), (Growth(generators=("dnt",)), UnknownNameError),
    ):  # fmt: skip
        with pytest.raises(kind):
            study.run(tiles, journal=None, minutes=1, seed=0)
    with pytest.raises(DataError, match="no features"):
        SMALL.run(replace(tiles, wide={}), journal=None, minutes=1, seed=0)


def test_few_real_samples_come_from_many_groups(tiles: Dataset) -> None:
    labels, groups = tiles["label"].astype(np.int64), tiles["split_group"]
    for few in (5, 1000):
        keep = spread_over_groups(labels, groups, (1, 2), few, 0)
        assert keep[labels == 0].all()
        for code in (1, 2):
            own, kept = groups[labels == code], groups[keep & (labels == code)]
            assert len(kept) == min(few, len(own))
            assert len(set(kept)) == min(few, len(set(own)))
    other = spread_over_groups(labels, groups, (1, 2), 5, 1)
    assert (other != spread_over_groups(labels, groups, (1, 2), 5, 0)).any()


@pytest.mark.slow
def test_few_levels_and_ratios_use_what_was_made_of_the_few_alone(tiles: Dataset, tmp_path: Path) -> None:
    study = replace(
        SMALL, seeds=1, folds=2, times=3.0, per_class=300, generators=("cut_paste",), few=(3,), ratios=(1.0,)
    )
    found = study.run(tiles, journal=tmp_path / "g.jsonl", minutes=9, seed=0)
    few, every = found.body["few"]["3"]["arms"], found.body["arms"]
    assert few["augment.surface"]["rows_a_fold"] == {"crack": 9.0, "blowhole": 9.0}
    assert few["augment.surface"]["synthetic_share"] == {"crack": 0.75, "blowhole": 0.75}
    assert every["augment.surface"]["rows_a_fold"]["crack"] > 9
    mixed = few[f"{ALL}_x1"]
    assert max(mixed["rows_a_fold"].values()) <= 3
    assert max(mixed["synthetic_share"].values()) <= 0.5
    assert sum(every[f"{ALL}_x1"]["rows_a_fold"].values()) <= sum(every[ALL]["rows_a_fold"].values())
    assert few[REAL]["average_precision"]["value"] < every[REAL]["average_precision"]["value"]
    assert "3 real samples of each class" in found.page
    assert "whisker" in found.page
    again = study.run(tiles, journal=tmp_path / "g.jsonl", minutes=9, seed=0)
    assert again.body == found.body


def test_series_are_grown_by_policies_and_not_drawn_on(shared_data: Path) -> None:
    ds = io.read(shared_data / "time_series" / "ECG200.npz")
    ds = ds.with_columns({"split": ["train"] * len(ds), "label_source": ["given"] * len(ds)})
    ds = encode.run(ds)
    study = Growth(seeds=1, folds=2, draws=50, few=(4,))
    body = study.run(ds, journal=None, minutes=9, seed=0).body
    assert set(body["arms"]) == {REAL, "augment.series"}
    assert all(rows <= 12 for rows in body["few"]["4"]["arms"]["augment.series"]["rows_a_fold"].values())
    assert 0.5 < body["arms"][REAL]["average_precision"]["value"] <= 1
    with pytest.raises(DataError, match="time_series"):
        replace(study, generators=("scratch",)).run(ds, journal=None, minutes=9, seed=0)


def test_cells_score_pictures_and_weigh_as_their_real_ones() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 9, 8)).astype(np.float16)
    spots, codes = rng.integers(0, 9, 60), np.arange(60) % 3
    for row in range(60):
        if codes[row]:
            features[row, spots[row], codes[row]] += 8
    taught = [(row, spots[row], codes[row]) for row in range(60)]
    taught += [(row, (spots[row] + 1) % 9, 0) for row in range(60)]
    rows, cells, labels = (np.array(column, np.int64) for column in zip(*taught, strict=True))
    patches = Patches(features, rows, cells, labels, ())
    train, held = np.arange(42), np.arange(42, 60)
    fold = PatchFold(patches, train, train, held)
    scores = fold.probs(train, 3, [0])
    for code in (1, 2):
        assert scores[codes[held] == code, code].min() > scores[codes[held] != code, code].max()
    assert scores[codes[held] == 0, 0].min() > scores[codes[held] != 0, 0].max()
    both = (np.concatenate([features, features]), np.append(rows, rows + 60), np.tile(cells, 2), np.tile(labels, 2))
    twice = PatchFold(Patches(*both, ()), train, np.append(train, train + 60), held)
    grown = np.append(train, train[codes[train] == 1] + 60)
    np.testing.assert_allclose(twice.probs(grown, 3, [0]), scores, atol=0.05)
    cut = of_pictures(np.array([[[0.9, 0.1], [0.2, 0.8]]]), [0], top=1)
    np.testing.assert_allclose(cut, [[0.2, 0.8]])


def test_the_patch_instrument_needs_a_sound_class(tiles: Dataset) -> None:
    with pytest.raises(DataError, match="class that is sound"):
        Patches.of(replace(tiles, schema=Schema(classes=tiles.schema.classes)))
