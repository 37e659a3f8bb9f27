"""What labels of a model are worth, on real garments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scarce.dataset import Dataset
from scarce.errors import ConfigError
from scarce.study.zero_shot import ZeroShot

SMALL = ZeroShot(examples=200, precision=0.7, seeds=2)


def test_labels_of_a_model_are_counted_mended_and_compared(pictures: Dataset, tmp_path: Path) -> None:
    journal = tmp_path / "zero_shot.jsonl"
    body = SMALL.run(pictures, journal=journal, minutes=5, seed=0).body
    arms = body["arms"]
    assert set(arms) == {"zero_shot", "examples", "with_examples", "reviewed", "human", "all_human"}
    assert arms["all_human"]["mean"] > arms["examples"]["mean"]
    assert arms["all_human"]["mean"] > arms["zero_shot"]["mean"] > 0.2
    assert body["precision"] > 0.7
    assert 0 < body["found"] <= min(body["wrong"], body["reviewed"])
    assert body["reviewed"] == pytest.approx(0.1 * body["taken"], abs=1)
    assert sum(body["share_by_source"].values()) == pytest.approx(1)
    assert body["seconds_saved"] == pytest.approx(5 * (body["taken"] - body["reviewed"]), abs=5)
    assert arms["human"]["over_human"] == {"value": 0, "low": 0, "high": 0}
    journal.write_text("".join(journal.read_text("utf-8").splitlines(keepends=True)[:2]), "utf-8")
    again = SMALL.run(pictures, journal=journal, minutes=5, seed=0)
    assert again.body == body
    assert json.loads(json.dumps(body)) == body
    assert "hours of work" in again.page


def test_nothing_is_shown_where_nothing_is_sure_and_bad_numbers_are_refused(pictures: Dataset) -> None:
    strict = ZeroShot(examples=20, precision=0.99, seeds=1).run(pictures, journal=None, minutes=5, seed=0).body
    assert strict["taken"] == 0
    assert "zero_shot" not in strict["arms"]
    assert strict["arms"]["reviewed"]["mean"] == strict["arms"]["examples"]["mean"]
    with pytest.raises(ConfigError, match="the pool has"):
        ZeroShot(examples=5000).run(pictures, journal=None, minutes=1, seed=0)
