"""The study of networks on real garments, short."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from scarce.dataset import Dataset
from scarce.errors import ConfigError, DataError, UnknownNameError
from scarce.study._pictures import picture_fold
from scarce.study.architectures import Architectures, conclusion, family, scored, table_of

SHORT = Architectures(networks=("small_resnet", "small_convnext"), most=120, judged=60, epochs=3, seeds=2, batch=16)


def test_parts_are_apart_and_stratified(some_garments: Dataset) -> None:
    view = picture_fold(some_garments, most=80, judged=60, seed=0)
    assert np.unique(view.train["split"], return_counts=True)[1].tolist() == [80, 60]
    assert len(view.eval_ids) == 60
    assert not set(view.train.ids) & set(view.eval_ids)
    again = picture_fold(some_garments, most=80, judged=60, seed=1)
    assert set(again.train.ids) != set(view.train.ids)
    train = some_garments["split"] == "train"
    without = some_garments.take(train)
    assert not picture_fold(without, most=80, judged=60, seed=0).eval_ids
    apart = picture_fold(without, most=80, judged=60, seed=0, apart=True)
    assert len(apart.eval_ids) == 60
    assert not set(apart.train.ids) & set(apart.eval_ids)


def test_the_study_goes_on_where_it_stopped_and_ends_the_same(some_garments: Dataset, tmp_path: Path) -> None:
    journal = tmp_path / "architectures.jsonl"
    begun = SHORT.run(some_garments, journal=journal, minutes=0.0, seed=0)
    assert begun.body["seeds_done"] == 0
    assert "Nothing" in conclusion(begun.body)
    assert len(journal.read_text("utf-8").splitlines()) == 2
    found = SHORT.run(some_garments, journal=journal, minutes=60.0, seed=0)
    body = found.body
    assert body["seeds_done"] == 2
    assert body["tested_once"]
    assert list(body["networks"]) == ["small_resnet", "small_convnext"]
    for row in body["networks"].values():
        for one in row["weights"].values():
            seconds = one["processor_seconds"]
            assert len(seconds) == 3
            assert 0 < seconds[0] < seconds[1] < seconds[2]
            assert 0.25 < one["test"] <= 1
        last, average = row["weights"]["last"], row["weights"]["average"]
        assert row["average_gain"]["mean"] == pytest.approx(average["mean"] - last["mean"], abs=1e-6)
        assert row["train_loss"]["mean"][2] < row["train_loss"]["mean"][0]
    assert body["networks"]["small_resnet"]["weights"]["last"]["mean"] > 0.4
    assert body["families"]["resnet"]["network"] == "small_resnet"
    assert SHORT.run(some_garments, journal=journal, minutes=60.0, seed=0).body == body
    head, table = table_of(body)
    assert len(table) == 4
    assert len(head) == len(table[0])
    assert "Averaged weights gain" in conclusion(body)
    assert found.page.count("<svg") == 3
    for title in ("Balanced accuracy by processor seconds", "Loss on held-out samples by epoch",
                  "Loss in training by epoch"):  # fmt: skip
        assert f"<figcaption><b>{title}</b></figcaption>" in found.page
    assert found.page.count('rotate(-90)">') == 3
    ticks = re.findall(r'text-anchor="middle">([\d.,]+)<', found.page)
    assert ticks[-3:] == ["1", "2", "3"], "epochs are whole"
    assert "to ?" not in found.page
    json.dumps(body)


def test_watching_changes_no_weight(some_garments: Dataset) -> None:
    from scarce.train._base import Setup
    from scarce.train.finetune import Finetune

    view = picture_fold(some_garments, most=60, judged=40, seed=0)
    trainer, seen = Finetune(epochs=1, batch=32), []
    plain = trainer.fit(view, seed=0).logits(view.eval)
    watched = trainer.fit(view, seed=0, setup=Setup(watch=lambda course, _task: seen.append(course.epoch)))
    np.testing.assert_array_equal(plain, watched.logits(view.eval))
    assert seen == [0, 1]


def test_scores_and_families() -> None:
    logits = np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 0.0]])
    found = scored(np.array([0, 0, 1, 1]), logits)
    assert found["accuracy"] == found["balanced_accuracy"] == 0.75
    assert found["loss"] == pytest.approx(np.log1p(np.exp(-2.0)) + 0.5, abs=1e-5)
    assert [family(name) for name in ("convnext_atto", "resnet18", "vit_tiny")] == ["convnext", "resnet", "other"]


def test_bad_input_is_explained(some_garments: Dataset, pictures: Dataset) -> None:
    with pytest.raises(UnknownNameError, match="convnext_atto"):
        Architectures(networks=("convnext_ato",)).run(some_garments, journal=None, minutes=1.0, seed=0)
    with pytest.raises(ConfigError, match=r"ema = 1\.0"):
        Architectures(ema=1.0).run(some_garments, journal=None, minutes=1.0, seed=0)
    few = pictures.take(np.flatnonzero(pictures["split"] == "train")[:30])
    with pytest.raises(DataError, match="30 pictures outside test"):
        Architectures().run(few, journal=None, minutes=1.0, seed=0)
