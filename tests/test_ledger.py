"""The ledger's statistics: few false claims under null decisions, real gains found, Holm as in the textbook."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scarce.dataset import Dataset, Schema
from scarce.errors import DataError
from scarce.folds import Folds, views_of
from scarce.ledger import Design, detectable_gain, holm, paired_effect

CLASSES = (300, 60, 40)


def predictions(rng: np.random.Generator, gain: float, repeats: int = 3, size: int = 2) -> tuple[np.ndarray, ...]:
    """Simulate out-of-fold probabilities: group effects, sample effects and noise of every single training run."""
    labels = np.repeat(np.arange(len(CLASSES)), CLASSES)
    groups = np.concatenate([1000 * k + np.arange(n) // size for k, n in enumerate(CLASSES)])
    _, member = np.unique(groups, return_inverse=True)
    ease = 0.6 + rng.normal(0, 1.0, member.max() + 1)[member] + rng.normal(0, 0.5, len(labels))
    sides = []
    for shift in (0.0, gain):
        bias = rng.normal(0, 0.15, (repeats, 1, len(CLASSES)))
        logits = rng.normal(0, 0.6, (repeats, len(labels), len(CLASSES))) + bias
        logits[:, np.arange(len(labels)), labels] += ease + shift
        power = np.exp(logits)
        sides.append(power / power.sum(2, keepdims=True))
    return labels, sides[0], sides[1], groups.astype(str)


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_null_decisions_are_claimed_at_most_at_the_stated_rate(metric: str) -> None:
    rng = np.random.default_rng(1)
    claims = 0
    for trial in range(200):
        labels, without, with_it, groups = predictions(rng, gain=0.0)
        effect = paired_effect(labels, without, with_it, groups, Design(metric=metric, draws=300, seed=trial))
        claims += effect.p <= 0.05
    # 200 trials at a true rate of 5 % give more than 18 claims in less than 1 % of cases
    assert claims <= 18


def test_a_real_gain_is_found_and_its_interval_holds_the_truth() -> None:
    rng = np.random.default_rng(2)
    labels, without, with_it, groups = predictions(rng, gain=1.0)
    effect = paired_effect(labels, without, with_it, groups, Design(draws=500))
    assert effect.p < 0.01
    assert 0 < effect.low < effect.gain < effect.high
    assert 0 < detectable_gain(effect, alpha=0.05, tests=8) < 0.5


def test_photos_of_one_group_count_as_one() -> None:
    rng = np.random.default_rng(3)
    labels, without, _, groups = predictions(rng, gain=0.5, size=10)
    _, member = np.unique(groups, return_inverse=True)
    solved = (rng.random(member.max() + 1) < 0.5)[member]
    with_it = without.copy()
    with_it[:, solved] = np.eye(len(CLASSES))[labels[solved]]
    design = Design(draws=400)
    grouped = paired_effect(labels, without, with_it, groups, design)
    alone = paired_effect(labels, without, with_it, np.arange(len(labels)).astype(str), design)
    assert grouped.se > 1.2 * alone.se


def test_the_same_predictions_are_no_evidence() -> None:
    labels, without, _, groups = predictions(np.random.default_rng(4), gain=0.0)
    effect = paired_effect(labels, without, without, groups, Design(draws=100))
    assert (effect.gain, effect.p) == (0.0, 1.0)


def test_holm_agrees_with_the_textbook_and_skips_missing() -> None:
    assert holm([0.01, 0.04, math.nan, 0.03]) == pytest.approx([0.03, 0.06, math.nan, 0.06], nan_ok=True)
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_labels_of_models_are_trained_on_and_never_judged_by() -> None:
    n = 120
    sources = ["given"] * 80 + ["zero_shot"] * 40
    ds = Dataset.from_columns(
        Schema(classes=("a", "b")),
        {"id": [f"{i:03d}" for i in range(n)], "label": ["a", "b"] * 60, "label_source": sources,
         "split": ["train"] * n, "split_group": [f"g{i % 30}" for i in range(n)]},
    )  # fmt: skip
    folds = Folds.of(ds, Design(folds=5, repeats=2))
    judged = [name for _, view in views_of(ds, folds)[0] for name in view.eval_ids]
    assert sorted(judged) == [f"{i:03d}" for i in range(80)]
    for _, view in views_of(ds, folds)[1]:
        machine = [name for name in view.train_ids if int(name) >= 80]
        held = {int(name) % 30 for name in view.eval_ids}
        assert {int(name) for name in machine} == {i for i in range(80, n) if i % 30 not in held}


def test_nothing_to_judge_by_is_said() -> None:
    ds = Dataset.from_columns(Schema(classes=("a", "b")), {
        "id": ["1", "2", "3"], "label": ["a", "b", "a"], "label_source": ["rule"] * 3, "split": ["train"] * 3,
    })  # fmt: skip
    with pytest.raises(DataError, match="one class only"):
        Folds.of(ds, Design())
