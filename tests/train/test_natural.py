"""Probabilities at the natural class frequencies, of models that learned others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scarce import encode, io, modality, train
from scarce.dataset import FoldView, Schema
from scarce.loss_spec import LossSpec
from scarce.metric.calibration import expected_calibration_error
from scarce.probe import softmax
from scarce.train._validation import learned_shares, shifting
from scarce.train.linear_probe import LinearProbe

SETTINGS = {"balanced_softmax": {"loss": "balanced_softmax"}, "class_weights": {"class_weights": "auto"}}


@pytest.fixture(scope="module")
def fold(garments: Path) -> FoldView:
    """Long-tailed garments; a third of them, as imbalanced as the rest, is held out."""
    ds = io.read(garments)
    ds = encode.run(modality.scan(ds.take(np.flatnonzero(ds["split"] != "test")[::3])), "pixel")
    held = np.random.default_rng(0).random(len(ds)) < 1 / 3
    return ds.fold(ds.ids[~held], ds.ids[held])


@pytest.mark.parametrize("name", list(SETTINGS))
def test_the_natural_probabilities_are_honest_where_the_others_are_not(fold: FoldView, name: str) -> None:
    model = train.fit(fold, LinearProbe.from_params(SETTINGS[name] | {"components": 32}), seed=0)
    held = fold.eval
    logits, y = model.logits(held), held["label"]
    probs = model.probabilities(logits, held.schema)
    natural = model.natural(probs, held.schema)
    before, after = (-np.log(some[np.arange(len(y)), y]).mean() for some in (probs, natural))
    assert after < before - 0.01
    entry = model.card["natural"]
    assert softmax((logits + np.array(entry["bias"])) / entry["temperature"]) == pytest.approx(natural, abs=1e-9)
    counts = np.bincount(y, minlength=10)
    assert np.abs(natural.mean(0) - counts / len(y)).max() < np.abs(probs.mean(0) - counts / len(y)).max()
    assert model.card["metrics"]["held_out"]["ece_natural"] == pytest.approx(_error(model), abs=1e-12)


def _error(model: train.Model) -> float:
    assert model.held_out is not None
    labels, probs = model.held_out
    return expected_calibration_error(labels, model.natural(probs, Schema(classes=model.classes)))


def test_a_model_that_learned_the_natural_frequencies_is_left_alone(fold: FoldView) -> None:
    model = train.fit(fold, LinearProbe(components=32), seed=0)
    assert model.card["natural"] is None
    probs = np.array([[0.2] + [0.8 / 9] * 9])
    assert model.natural(probs, fold.eval.schema) is probs


def test_what_was_learned_is_counted_from_rows_weights_and_prior() -> None:
    counts = np.array([900.0, 100.0])
    assert learned_shares(counts, LossSpec()).tolist() == [0.9, 0.1]
    assert learned_shares(counts, LossSpec(class_weights=(1.0, 9.0))) == pytest.approx([0.5, 0.5])
    prior = tuple(np.log([0.9, 0.1]).tolist())
    for spec in (LossSpec(prior=prior), LossSpec(moved=prior)):
        assert learned_shares(counts, spec) == pytest.approx([0.5, 0.5])
    labels = np.repeat([0, 1], [90, 10])
    assert shifting(labels, learned_shares(counts, LossSpec())) is None
    found = shifting(labels, np.array([0.5, 0.5]))
    assert found is not None
    assert np.bincount(labels, found[1]) == pytest.approx([50, 50], rel=0.06)


def test_held_back_answers_come_back_with_the_model(fold: FoldView, tmp_path: Path) -> None:
    model = train.fit(fold, LinearProbe(components=32, loss="balanced_softmax"), seed=0)
    back = train.load(model.save(tmp_path / "model"))
    assert model.held_out is not None and back.held_out is not None  # noqa: PT018  both for the type checker
    assert np.array_equal(back.held_out[0], model.held_out[0])
    assert np.array_equal(back.held_out[1], model.held_out[1])
    assert back.held_ids.tolist() == model.held_ids.tolist()
    assert np.array_equal(back.held_logits, model.held_logits)
