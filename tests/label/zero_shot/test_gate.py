"""The gate keeps its promise: measured over many draws where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from scarce.errors import DataError
from scarce.label.zero_shot import auroc, choose_threshold
from scarce.metric.interval import clopper_pearson, needed_for


def world(rng: np.random.Generator, n: int, *, flat: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidences, the chance that the label is right (rising with it, or everywhere alike), and whether it is."""
    score = rng.beta(4, 1.5, n)
    chance = np.full(n, 0.9) if flat else np.clip(0.1 + 1.1 * score, 0, 0.99)
    return score, chance, rng.random(n) < chance


@pytest.mark.parametrize("flat", [False, True])
def test_the_promise_is_broken_in_at_most_five_draws_of_a_hundred(flat: bool) -> None:
    """Where the confidence tells something, and where it tells nothing and the truth lies just below what is wanted.

    The plain bound of whichever threshold looks best breaks the promise far more often in the second world.
    """
    rng, draws = np.random.default_rng(1), 200
    wanted = 0.901 if flat else 0.92
    broken = opens = careless = 0
    for _ in range(draws):
        pool, chance, _ = world(rng, 4000, flat=flat)
        score, _, right = world(rng, 400, flat=flat)
        gate = choose_threshold(pool, score, right, precision=wanted)
        opens += gate.opens
        broken += gate.opens and chance[pool >= gate.threshold].mean() < wanted
        hits = np.cumsum(right[np.argsort(-score)])
        careless += bool((clopper_pearson(hits, np.arange(1, 401), side="lower")[0] >= wanted).any())
    assert broken <= draws * 0.05 + 2 * np.sqrt(draws * 0.05 * 0.95)
    assert careless > draws * 0.12 if flat else opens > draws * 0.7


def test_more_labels_open_it_wider() -> None:
    rng = np.random.default_rng(2)
    pool, _, _ = world(rng, 4000)
    score, _, right = world(rng, 4000)
    few, many = (choose_threshold(pool, score[:n], right[:n], precision=0.9) for n in (200, 4000))
    assert many.coverage > few.coverage
    assert many.low >= 0.9
    coverages = [point.coverage for point in many.curve]
    assert coverages == sorted(coverages)
    assert many.curve[0].precision > many.curve[-1].precision


def test_what_cannot_be_proven_is_said() -> None:
    score = np.linspace(0.5, 1, 40)
    few = choose_threshold(score, score, np.ones(40, bool), precision=0.95)
    assert not few.opens
    assert f"needs {needed_for(0.95)} held-out labelled rows without an error, there are 40" in few.reason
    never = choose_threshold(score, score, np.ones(40, bool), precision=1.0)
    assert "no number of labelled rows" in never.reason
    wrong = choose_threshold(np.tile(score, 9), np.tile(score, 9), np.arange(360) % 4 > 0, precision=0.95)
    assert "no threshold proves" in wrong.reason
    assert wrong.to_json()["threshold"] is None
    assert not choose_threshold(np.zeros(0), np.zeros(0), np.zeros(0, bool), precision=0.9).opens


def test_samples_of_one_group_count_once() -> None:
    score, right = np.full(200, 0.9), np.ones(200, bool)
    alone = choose_threshold(score, score, right, precision=0.95)
    grouped = choose_threshold(score, score, right, precision=0.95, groups=np.arange(200) // 10)
    assert alone.opens
    assert not grouped.opens


def test_nonsense_is_refused() -> None:
    with pytest.raises(DataError, match="one answer a confidence"):
        choose_threshold(np.ones(3), np.ones(3), np.ones(2, bool), precision=0.9)


def test_auroc_is_that_of_scikit_learn_and_its_interval_keeps_a_width() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(3)
    truth = rng.random(200) < 0.3
    score = np.round(truth + rng.normal(0, 1, 200), 1)
    value, low, high = auroc(truth, score)
    assert value == pytest.approx(roc_auc_score(truth, score))
    assert low < value < high
    value, low, high = auroc(np.arange(40) >= 30, np.arange(40.0))
    assert (value, high) == (1.0, 1.0)
    assert 0.7 < low < 0.99
    value, low, high = auroc(np.arange(40) < 30, np.arange(40.0))
    assert (value, low) == (0.0, 0.0)
    assert 0.01 < high < 0.3
    assert np.isnan(auroc(np.zeros(5, bool), np.arange(5.0))[0])


def test_the_interval_of_the_auroc_covers_the_truth() -> None:
    from scipy.stats import norm

    rng = np.random.default_rng(4)
    true = norm.cdf(1.2 / np.sqrt(2))
    inside = 0
    for _ in range(300):
        score = np.concatenate([rng.normal(1.2, 1, 20), rng.normal(0, 1, 60)])
        _, low, high = auroc(np.arange(80) < 20, score)
        inside += low <= true <= high
    assert inside >= 0.92 * 300
