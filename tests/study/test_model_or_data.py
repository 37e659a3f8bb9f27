"""The study of better models against cleaner data, on real garments."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scarce.dataset import Dataset
from scarce.errors import ConfigError, DataError
from scarce.study._noise import Source
from scarce.study.model_or_data import ARMS, ModelOrData, conclusion, table_of

SHORT = ModelOrData(rate=0.2, trees=3, most=400, seeds=2, components=16)


def test_the_study_goes_on_where_it_stopped_and_looks_at_the_test_once(pictures: Dataset, tmp_path: Path) -> None:
    journal = tmp_path / "model_or_data.jsonl"
    begun = SHORT.run(pictures, journal=journal, minutes=0.0, seed=0)
    assert begun.body["seeds_done"] == 1
    assert begun.body["test"] is None
    found = SHORT.run(pictures, journal=journal, minutes=60.0, seed=0)
    assert found.body["seeds_done"] == 2
    assert list(found.body["arms"]) == list(ARMS)
    assert found.body["test"]["judged"] == 400
    assert SHORT.run(pictures, journal=journal, minutes=60.0, seed=0).body == found.body
    assert len(journal.read_text("utf-8").splitlines()) == 1 + 2 + 1
    arms = found.body["arms"]
    assert arms["true"]["mean"] > arms["start"]["mean"]
    assert arms["start"]["gain"]["mean"] == 0.0
    assert found.body["audit"]["wrong"]["mean"] == pytest.approx(0.2)
    assert found.body["audit"]["wrong_after"]["mean"] < 0.2
    assert "<svg" in found.page
    assert "looked at once" in found.page
    head, rows = table_of(found.body)
    assert len(head) == len(rows[0]) == 5
    assert "own audit" in conclusion(found.body)
    json.dumps(found.body)


def test_draws_plant_what_is_asked_and_judge_by_true_labels(pictures: Dataset) -> None:
    source = Source(pictures, 300, 8)
    one, test = source.draw(0.1, "annotator", 3), source.draw(0.1, "annotator", 3, test=True)
    assert (one.given != one.truth).sum() == 30
    np.testing.assert_array_equal(one.given, test.given)
    np.testing.assert_array_equal(one.features, test.features)
    assert len(test.answers) == 400
    assert source.has_test
    clean = source.draw(0.0, "symmetric", 3)
    np.testing.assert_array_equal(clean.given, clean.truth)


def test_bad_input_is_explained(pictures: Dataset) -> None:
    with pytest.raises(ConfigError, match="rate = 0"):
        ModelOrData(rate=0.0).run(pictures, journal=None, minutes=1.0, seed=0)
    with pytest.raises(DataError, match="no features"):
        SHORT.run(Dataset.from_columns(pictures.schema, {"id": ["a"]}), journal=None, minutes=1.0, seed=0)
    assert "Nothing" in conclusion({"arms": {}})
