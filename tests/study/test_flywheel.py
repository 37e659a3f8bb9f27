"""The study of the wheel, a short year, on real garments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce import encode, io
from scarce.dataset import Dataset
from scarce.errors import ConfigError, DataError, UnknownNameError
from scarce.metric.interval import group_codes
from scarce.probe import Projection
from scarce.study._wheel import ARMS, Wheel
from scarce.study._year import COMPONENTS, FIRST, HELD_OUT, SUPPLIER, Plot, Year, usable, year_of
from scarce.study.flywheel import Flywheel, conclusion, table_of

PLOT = Plot(weeks=10, weekly=60, first=150, held_out=150, spoiled=40, tail=1.5)
SHORT = Flywheel(
    arms=("no wheel", "no gate"), weeks=8, weekly=50, first=150, held_out=150, budget=20, tail=1.5, seeds=2
)


@pytest.fixture(scope="module")
def garments_with_features(garments: Path) -> Dataset:
    """2,000 balanced garments with their pixels as features; 50 of them are of split test."""
    ds = io.read(garments)
    part = ds.take(np.flatnonzero(ds["split"] == "test"))
    part = part.with_columns({"split": ["test" if row % 40 == 0 else "train" for row in range(len(part))]})
    return encode.run(part, "pixel")


@pytest.fixture(scope="module")
def year(garments_with_features: Dataset) -> Year:
    """Ten weeks."""
    return year_of(usable(garments_with_features), PLOT, seed=0)


def test_a_year_uses_every_picture_once_and_hides_the_new_class(year: Year) -> None:
    assert [len(year.of(part)) for part in (FIRST, HELD_OUT, SUPPLIER)] == [150, 150, 120]
    assert [len(year.of(week)) for week in range(10)] == [60] * 10
    before = (year.week != SUPPLIER) & (year.week < year.appears) & (year.week > -9)
    assert not (year.codes[before] == year.newcomer).any()
    assert (year.codes[year.week >= year.appears] == year.newcomer).any()
    assert len({row for rows, _ in year.imports.values() for row in rows}) == 120
    assert set(np.concatenate([rows for rows, _ in year.imports.values()])) == set(year.of(SUPPLIER))


def test_swapped_labels_are_those_of_two_classes(year: Year) -> None:
    for rows, labels in year.imports.values():
        wrong = labels != year.codes[rows]
        pairs = {tuple(sorted(pair)) for pair in zip(labels[wrong], year.codes[rows][wrong], strict=True)}
        assert wrong.sum() > 3
        assert len(pairs) == 1


def test_the_other_camera_changes_the_features_of_later_weeks_only(garments_with_features: Dataset, year: Year) -> None:
    part = usable(garments_with_features)
    (own,) = part.wide.values()
    plain = Projection.fit(own[year.week == FIRST], components=COMPONENTS)(own)
    early = year.week < year.camera
    np.testing.assert_allclose(year.features[early], plain[early], atol=1e-5)
    moved = np.linalg.norm(year.features[~early] - plain[~early], axis=1)
    assert moved.min() > 0.5
    assert np.median(moved) > 0.2 * np.median(np.linalg.norm(plain[~early], axis=1))


def test_of_each_group_one_picture_is_used(garments_with_features: Dataset) -> None:
    groups = [f"g{row // 3}" for row in range(len(garments_with_features))]
    part = usable(garments_with_features.with_columns({"split_group": groups}))
    kept = [groups[garments_with_features.ids.tolist().index(name)] for name in part.ids.tolist()]
    assert len(set(kept)) == len(kept) == len(np.unique(group_codes(np.array(kept))))
    assert not (part["split"] == "test").any()


@pytest.mark.parametrize("name", list(ARMS))
def test_every_arm_plays_the_year(year: Year, name: str) -> None:
    found = Wheel(year, ARMS[name], budget=20, retrain_after=30).play()
    assert np.array(found["counts"]).sum() == 600
    assert (np.array(found["hits"]) <= np.array(found["counts"])).all()
    assert found["labels"] == sorted(found["labels"])
    assert found["labels"][-1] == {"no wheel": 0, "all labels": 600}.get(name, 200)
    if name == "no gate":
        assert {one["verdict"] for one in found["promotions"]} == {"promoted"}
    if name in ("no audit", "no wheel"):
        assert all(month["n"] == 0 for month in found["kpi"])
    else:
        assert sum(month["n"] for month in found["kpi"]) == found["labels"][-1] // 10
    assert bool(found["alarms"]) <= (name not in ("no alarm", "no wheel", "all labels"))


def test_judging_samples_are_never_taught(year: Year) -> None:
    wheel = Wheel(year, ARMS["wheel"], budget=20, retrain_after=30)
    wheel.play()
    judges = [row for _, row, _ in wheel.audit]
    assert len(judges) == 20
    assert not np.isin(judges, wheel.rows).any()
    assert not np.isin(year.of(HELD_OUT), wheel.rows).any()


def test_it_goes_on_where_it_stopped_and_ends_the_same(garments_with_features: Dataset, tmp_path: Path) -> None:
    journal = tmp_path / "flywheel.jsonl"
    begun = SHORT.run(garments_with_features, journal=journal, minutes=0.0, seed=0)
    assert begun.body["seeds_done"] == 0
    assert conclusion(begun.body) == "Nothing was measured yet."
    found = SHORT.run(garments_with_features, journal=journal, minutes=60.0, seed=0)
    whole = SHORT.run(garments_with_features, journal=None, minutes=60.0, seed=0)
    assert {**found.body, "seconds": 0} == {**whole.body, "seconds": 0}
    assert found.body["seeds_done"] == 2
    told: dict[str, Any] = found.body["arms"]["no gate"]["promotions"]
    assert told["all"]["stopped"] == 0
    assert told["spoiled"]["promoted"] == 3
    assert found.body["arms"]["no wheel"]["labels"] == 0
    head, rows = table_of(found.body)
    assert len(head) == len(rows[0])
    assert "<svg" in found.page
    assert "labels" in conclusion(found.body)


def test_what_cannot_be_played_is_told(garments_with_features: Dataset) -> None:
    with pytest.raises(UnknownNameError, match="no gate"):
        Flywheel(arms=("no gates",)).run(garments_with_features, journal=None, minutes=1.0, seed=0)
    with pytest.raises(ConfigError, match="8 weeks"):
        Flywheel(weeks=3).run(garments_with_features, journal=None, minutes=1.0, seed=0)
    with pytest.raises(DataError, match="the year needs more"):
        Flywheel().run(garments_with_features, journal=None, minutes=1.0, seed=0)
    with pytest.raises(DataError, match="no features"):
        usable(Dataset.from_columns(garments_with_features.schema, {"id": ["a"], "label": ["Bag"]}))
