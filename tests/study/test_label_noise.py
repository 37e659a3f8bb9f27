"""The study of wrong labels and remedies, on real garments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scarce.dataset import Dataset
from scarce.errors import ConfigError
from scarce.study.label_noise import REMEDIES, LabelNoise, conclusion, table_of

SHORT = LabelNoise(rates=(0.0, 0.4), most=400, seeds=2, components=16)


def test_remedies_bring_something_back_and_the_study_goes_on(pictures: Dataset, tmp_path: Path) -> None:
    journal = tmp_path / "label_noise.jsonl"
    begun = SHORT.run(pictures, journal=journal, minutes=0.0, seed=0)
    assert begun.body["seeds_done"] == 0
    assert begun.body["test"] is None
    found = SHORT.run(pictures, journal=journal, minutes=60.0, seed=0)
    assert found.body["seeds_done"] == 2
    assert len(journal.read_text("utf-8").splitlines()) == 1 + 4 + 1
    assert SHORT.run(pictures, journal=journal, minutes=60.0, seed=0).body == found.body
    noisy, clean = found.body["rates"]["0.4"], found.body["rates"]["0"]
    assert list(noisy["remedies"]) == list(REMEDIES)
    rows = noisy["remedies"]
    assert rows["true"]["mean"] > rows["weighted"]["mean"] > rows["plain"]["mean"]
    assert rows["weighted"]["mean"] > rows["random"]["mean"]
    assert clean["audit"]["recall"] is None
    assert clean["remedies"]["true"]["gain"]["mean"] == 0.0
    assert noisy["audit"]["estimated"]["mean"] == pytest.approx(0.4, abs=0.1)
    head, table = table_of(found.body)
    assert len(head) == len(table[0]) == 6
    assert "40% wrong" in conclusion(found.body)
    assert "<svg" in found.page
    json.dumps(found.body)


def test_bad_input_is_explained(pictures: Dataset) -> None:
    with pytest.raises(ConfigError, match=r"rates = \[1\.0\]"):
        LabelNoise(rates=(1.0,)).run(pictures, journal=None, minutes=1.0, seed=0)
    assert "Nothing" in conclusion({"rates": {}})
