"""What reading said, counted anew once labels came, on real garments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from scarce.cli._work import read_warnings
from scarce.errors import UnknownNameError
from scarce.loop import rounds
from scarce.loop.heard import heard
from scarce.loop.rounds import Loop, Plan
from scarce.loop.voting import count_votes

if TYPE_CHECKING:
    from conftest import Hidden
    from scarce.dataset import Dataset


def said(ds: Dataset) -> list[str]:
    return [row["why"] for row in heard(ds)]


def test_missing_labels_and_lone_samples_are_counted_anew(some_garments: Dataset) -> None:
    ds = some_garments
    code = int(np.bincount(ds["label"]).argmax())
    name = ds.schema.classes[code]
    notes = [
        {"level": "data", "score": 0.3, "why": "590 of 600 samples have no label", "members": []},
        {"level": "class", "score": 1.0, "why": f"{name} has no usable sample", "members": [name]},
        {"level": "data", "score": 0.3, "why": "columns that look like groups: camera", "members": []},
    ]
    ds = ds.with_findings("read", notes)
    assert said(ds) == ["columns that look like groups: camera"]
    some = [None if row < 7 else label for row, label in enumerate(ds.table["label"].to_pylist())]
    assert said(ds.with_columns({"label": some}))[0] == "7 of 600 samples have no label"
    bare = ds.with_columns({
        "label": [None if label == name else label for label in ds.table["label"].to_pylist()],
    })  # fmt: skip
    assert f"{name} has no usable sample" in said(bare)


def test_no_label_at_all_is_said_as_long_as_it_is_true(some_garments: Dataset) -> None:
    why = "no sample has a label: it can be audited, but nothing can be trained"
    ds = some_garments.with_findings("read", [{"level": "data", "score": 0.6, "why": why, "members": []}])
    assert said(ds) == []
    assert read_warnings(ds.with_columns({"label": [None] * len(ds)})) == [why]


def test_names_are_checked_before_any_work(hidden: Hidden, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*_: object, **__: object) -> None:
        raise AssertionError("a wrong name is told before any work")

    monkeypatch.setattr("scarce.loop.voting.gather", work)
    monkeypatch.setattr(rounds, "featured", work)
    with pytest.raises(UnknownNameError, match="nosuch"):
        Plan.of(hidden.project, strategy="nosuch")
    with pytest.raises(UnknownNameError, match="nosuch"):
        count_votes(hidden.project, method="nosuch")


def test_an_open_round_needs_no_features(hidden: Hidden, monkeypatch: pytest.MonkeyPatch) -> None:
    Loop(hidden.project, Plan(initial=4, strategy="random")).go_on()

    def encode(*_: object, **__: object) -> None:
        raise AssertionError("questions wait: nothing is to be judged")

    monkeypatch.setattr(rounds, "featured", encode)
    assert Loop(hidden.project, Plan(initial=4)).go_on().waiting == 4
