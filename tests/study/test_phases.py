"""The study of phases, short, on real garments, real tiles and power curves."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce import encode, io, modality
from scarce.dataset import Dataset, Schema
from scarce.errors import ConfigError, DataError, UnknownNameError
from scarce.recipe import mask_opener, render_full
from scarce.study._phase_boxes import BoxSource, BoxTrial, judged_boxes, shown_boxes, with_boxes
from scarce.study._phase_rows import per_class
from scarce.study.phases import Phases, _majority, conclusion, table_of
from scarce.train._boxes import BoxModel, Drawn

SHORT = Phases(counts=(80, 6, 3), classes=("Trouser", "Pullover", "Bag"), times=4.0, seeds=2)
TILES = Phases(counts=(40, 5, 3), classes=("free", "blowhole", "uneven"), times=2.0, generators=("cut_paste",), seeds=1)


@pytest.fixture(scope="module")
def garments_with_features(some_garments: Dataset) -> Dataset:
    """600 garments with their pixels as features."""
    return encode.run(some_garments, "pixel")


@pytest.fixture(scope="module")
def tiles(shared_data: Path) -> Dataset:
    """220 photographs of tiles, grouped by tile, with masks."""
    root = shared_data / "magnetic_tile"
    with (root / "index.csv").open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    rows = [row for name in TILES.classes for row in [row for row in found if row["class"] == name][:80]]
    values = {
        "id": [f"{place:04d}" for place in range(len(rows))], "uri": [row["image"] for row in rows],
        "source": ["tiles"] * len(rows), "split": ["train"] * len(rows), "label_source": ["given"] * len(rows),
        "label": [row["class"] for row in rows], "split_group": [row["tile_group"] for row in rows],
        "mask_uri": [row["mask"] or None for row in rows],
    }  # fmt: skip
    schema = Schema(classes=TILES.classes, normal_classes=("free",))
    ds = Dataset.from_columns(schema, values, sources={"tiles": str(root)})
    return encode.run(modality.scan(ds), "pixel")


def without_clock(body: dict[str, Any]) -> dict[str, Any]:
    """Return what was found without what a clock says."""
    test = body["test"] and {**body["test"], "seconds": None}
    return {**body, "seconds": None, "test": test}


def test_it_goes_on_where_it_stopped_and_ends_the_same(garments_with_features: Dataset, tmp_path: Path) -> None:
    journal = tmp_path / "phases.jsonl"
    begun = SHORT.run(garments_with_features, journal=journal, minutes=0.0, seed=0)
    assert begun.body["seeds_done"] == 1
    assert begun.body["test"] is None
    found = SHORT.run(garments_with_features, journal=journal, minutes=60.0, seed=0)
    assert found.body["seeds_done"] == 2
    assert len(journal.read_text("utf-8").splitlines()) == 1 + 2 + 1
    unbroken = SHORT.run(garments_with_features, journal=None, minutes=60.0, seed=0)
    assert without_clock(unbroken.body) == without_clock(found.body)
    arms = found.body["arms"]
    assert arms["real"]["counts"] == {"Trouser": {"real": 80}, "Pullover": {"real": 6}, "Bag": {"real": 3}}
    assert arms["repeat"]["counts"]["Pullover"] == {"real": 6, "repeated": 24}
    assert arms["augment"]["counts"]["Bag"] == {"real": 3, "augmented": 12}
    assert arms["synthesize"]["counts"]["Bag"] == {"real": 3, "between": 12}
    assert arms["hybrid"]["counts"]["Pullover"] == {"real": 6, "augmented": 12, "between": 12}
    assert all(row["counts"]["Trouser"] == {"real": 80} for row in arms.values())
    assert arms["augment"]["recall"]["rare"]["mean"] >= arms["real"]["recall"]["rare"]["mean"]
    assert any("no class is known to be sound" in why for why in found.body["not_made"])
    assert found.body["test"]["judged"] == [np.sum(
        (garments_with_features["split"] == "test")
        & (garments_with_features["label"] == garments_with_features.schema.classes.index(name))
    ) for name in SHORT.classes]  # fmt: skip
    assert "<svg" in found.page
    assert "looked at once" in found.page
    head, rows = table_of(found.body)
    assert len(head) == len(rows[0])
    assert len(rows) == 5 * 3
    assert "majority" in conclusion(found.body)
    json.dumps(found.body)


def test_defects_are_made_on_sound_tiles_of_the_draw_alone(tiles: Dataset) -> None:
    found = TILES.run(tiles, journal=None, minutes=60.0, seed=0)
    arms = found.body["arms"]
    assert arms["synthesize"]["counts"]["blowhole"] == {"real": 5, "synthetic": 10}
    assert arms["hybrid"]["counts"]["uneven"] == {"real": 3, "augmented": 3, "synthetic": 3}
    assert found.body["made"] == ["augment.surface", "synthesize.cut_paste"]
    assert arms["hybrid"]["recall"]["free"]["low"] is None
    assert arms["hybrid"]["majority"] == "not provable"
    trial = TILES._rows(tiles, None).trial(0)
    groups = dict(zip(tiles.ids.tolist(), tiles["split_group"].tolist(), strict=True))
    trained = {groups[sample] for sample in trial.made.ds.ids.tolist() if sample in groups}
    assert len(trial.made.ds) == 40 + 5 + 3 + 2 * (10 + 6)
    judged = np.asarray(tiles["embedding.pixel"])
    beside = {groups[sample] for sample, point in zip(tiles.ids.tolist(), judged, strict=True)
              if (trial.judged == point).all(axis=1).any()}  # fmt: skip
    assert not trained & beside


@pytest.mark.slow
def test_a_detector_is_judged_by_boxes(tiles: Dataset, tmp_path: Path) -> None:
    study = replace(TILES, instrument="boxes", counts=(6, 3, 2), network="small_resnet", steps=1, size=32)
    journal = tmp_path / "boxes.jsonl"
    small = tiles.take(np.flatnonzero(np.arange(len(tiles)) % 4 == 0))
    found = study.run(small, journal=journal, minutes=60.0, seed=0)
    arms = found.body["arms"]
    assert arms["repeat"]["counts"]["uneven"] == {"real": 2, "repeated": 4}
    assert arms["hybrid"]["counts"]["blowhole"] == {"real": 3, "augmented": 3, "synthetic": 3}
    for row in arms.values():
        for metric in ("recall", "average_precision"):
            assert all(0 <= row[metric][name]["mean"] <= 1 for name in TILES.classes)
    again = study.run(small, journal=journal, minutes=60.0, seed=0)
    assert again.body == found.body
    unknown = replace(small, schema=replace(small.schema, normal_classes=()))
    with pytest.raises(DataError, match="no class is known to be sound"):
        replace(study, generators=("none",)).run(unknown, journal=None, minutes=1.0, seed=0)


def test_boxes_stand_around_what_masks_show(tiles: Dataset) -> None:
    trial = replace(TILES, instrument="boxes")._boxes(TILES._rows(tiles, None)).trial(0)
    assert isinstance(trial, BoxTrial)
    opened, grown = mask_opener(trial.ds), 0
    rows = np.flatnonzero(trial.ds["label"] != tiles.schema.classes.index("free"))
    for row in rows.tolist():
        recipe = trial.ds.table["recipe"][row].as_py()
        grown += bool(recipe)
        mask = opened(str(trial.ds.ids[row]))
        if recipe:
            picture = lambda name: np.asarray(modality.open_samples(trial.ds, trial.ds.rows_of([name]))[0])  # noqa: E731
            mask = render_full(recipe, picture, opened).mask
        left, top, width, height = (int(side) for side in json.loads(trial.ds["meta.boxes"][row])[0]["bbox"])
        assert mask is not None
        assert mask[top : top + height, left : left + width].sum() == mask.sum()
        assert mask[top].any()
        assert mask[:, left + width - 1].any()
    assert grown == 32
    assert not set(trial.made.ds.ids) & set(trial.judged)


def test_boxes_that_people_drew_are_taken(tiles: Dataset) -> None:
    drawn = with_boxes(tiles)
    rows = np.flatnonzero(drawn["label"] != tiles.schema.classes.index("free"))
    boxed = drawn.with_columns({"mask_uri": [None] * len(drawn)})
    for one, two in zip(shown_boxes(tiles, tiles.rows_of(drawn.ids[rows])), shown_boxes(boxed, rows), strict=True):
        assert one is not None
        assert two is not None
        np.testing.assert_allclose(one, two)
    trial = replace(TILES, instrument="boxes")._boxes(TILES._rows(boxed, None)).trial(0)
    assert isinstance(trial, BoxTrial)
    assert {name.split(".")[0] for name in trial.made.made if "." in name} == {"augment", "synthesize"}
    for row in np.flatnonzero(trial.ds["origin"] != "real").tolist():
        assert len(json.loads(trial.ds["meta.boxes"][row])) == 1
    cells = drawn["meta.boxes"].tolist()
    cells[int(rows[0])] = json.dumps([*json.loads(cells[rows[0]]), {"label": "uneven", "bbox": [1, 1, 9, 9]}])
    source = BoxSource.of(TILES._rows(boxed.with_columns({"meta.boxes": cells}), None), 1, {})
    assert np.flatnonzero(~source.shown).tolist() == [int(rows[0])]


def test_alarms_and_their_scores() -> None:
    class Fixed(BoxModel):
        def detect(self, ds: Dataset) -> list[Drawn | None]:
            boxes = {"a": Drawn.of([[0, 0, 10, 10]], [1], [0.9]), "c": Drawn.of([[50, 50, 60, 60]], [1], [0.6])}
            return [boxes.get(name) for name in ds.ids.tolist()]

        def tensors(self) -> dict[str, np.ndarray[Any, Any]]:
            return {}

    drawn = json.dumps([{"label": "hole", "bbox": [0, 0, 10, 9]}])
    ds = Dataset.from_columns(
        Schema(classes=("good", "hole"), normal_classes=("good",)),
        {"id": ["a", "b", "c", "d", "e"], "label": ["hole", "hole", "good", "good", "good"],
         "meta.boxes": [drawn, drawn, "[]", "[]", "[]"], "split": ["train"] * 5},
    )  # fmt: skip
    card = {"classes": ["good", "hole"], "task": "boxes"}
    found = judged_boxes(Fixed(card=card), ds.fold(["e"], ["a", "b", "c", "d"]), (0, 1))
    assert found["recall"] == {"good": 0.5, "hole": 0.5}
    assert 0.4 < found["average_precision"]["hole"] < 0.51
    assert found["average_precision"]["good"] == pytest.approx(7 / 12)


def test_series_are_studied_too(shared_data: Path) -> None:
    ds = modality.scan(io.read(shared_data / "time_series" / "ItalyPowerDemand.npz")).take(np.arange(300))
    ds = encode.run(ds.with_columns({"split": ["train"] * 300}))
    study = Phases(counts=(40, 4), times=3.0, seeds=2)
    found = study.run(ds, journal=None, minutes=60.0, seed=0)
    assert found.body["arms"]["augment"]["counts"][list(found.body["classes"])[1]] == {"real": 4, "augmented": 12}
    assert found.body["arms"]["real"]["average_precision"]["rare"]["mean"] > 0.5
    assert found.body["test"] is None
    assert "not looked at" in found.page
    with pytest.raises(DataError, match="generators draw on pictures"):
        replace(study, generators=("cut_paste",)).run(ds, journal=None, minutes=1.0, seed=0)


def test_scores_of_a_class_and_what_is_said_of_the_majority() -> None:
    probs = np.array([[0.8, 0.2, 0.0], [0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.1, 0.2, 0.7]])
    found = per_class(probs, np.array([0, 0, 1, 2]), (0, 1, 2), ("a", "b", "c"))
    assert found["recall"] == {"a": 1.0, "b": 0.0, "c": 1.0}
    assert found["average_precision"] == {"a": 1.0, "b": 1.0, "c": 1.0}
    assert _majority({"low": -0.005, "high": 0.0}) == "kept"
    assert _majority({"low": -0.05, "high": -0.02}) == "fell"
    assert _majority({"low": -0.05, "high": 0.02}) == "not provable"
    assert _majority({"low": None, "high": None}) == "not provable"


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"classes": ("Trouser", "Pullover", "T-shirt/top")}, DataError, "T-shirt/top has 0, 3 are wanted"),
        ({"counts": (4000, 20, 10)}, DataError, r"Trouser has \d+, 4000 are wanted"),
        ({"classes": ("Trouser", "Pulover", "Bag")}, UnknownNameError, "Pullover"),
        ({"classes": ("Trouser", "Bag", "Bag")}, DataError, "3 different ones"),
        ({"generators": ("scrach",)}, UnknownNameError, "scratch"),
        ({"counts": (80, 0)}, ConfigError, r"counts = \[80, 0\]"),
        ({"times": 0.0}, ConfigError, "times = 0"),
    ],
)
def test_bad_input_is_explained(
    garments_with_features: Dataset, change: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        replace(SHORT, **change).run(garments_with_features, journal=None, minutes=1.0, seed=0)


def test_data_without_features_or_samples_are_explained(some_garments: Dataset) -> None:
    with pytest.raises(DataError, match="no features"):
        SHORT.run(some_garments, journal=None, minutes=1.0, seed=0)
    assert "Nothing" in conclusion({"arms": {}})
