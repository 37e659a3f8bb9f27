"""Quality of annotators who were shown some classes only."""

from __future__ import annotations

import numpy as np
import pytest

from scarce.label import vote


def drawn(shown: int, right: float, k: int = 10, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Gold (n,) of ``shown`` of k classes and one annotator's votes (n, 1)."""
    rng = np.random.default_rng(0)
    gold = rng.integers(0, shown, n)
    wrong = (gold + rng.integers(1, shown, n)) % shown if shown > 1 else gold
    return gold, np.where(rng.random(n) < right, gold, wrong)[:, None]


def judged(gold: np.ndarray, votes: np.ndarray, k: int = 10) -> vote.Annotator:
    return vote.annotator_quality(votes, vote.fit_majority(votes, k), ["anna"], gold=gold)[0]


@pytest.mark.parametrize("shown", [2, 6, 10])
def test_classes_that_nobody_showed_an_annotator_do_not_count(shown: int) -> None:
    gold, votes = drawn(shown, 0.98)
    one = judged(gold, votes)
    assert one.accuracy > 0.95
    assert one.skill > 0.93
    assert one.skill_low < one.skill <= one.skill_high
    assert one.verdict == ""


def test_a_guesser_among_few_classes_is_random_still() -> None:
    rng = np.random.default_rng(1)
    one = judged(rng.integers(0, 6, 300), rng.integers(0, 6, (300, 1)))
    assert abs(one.skill) < 0.1
    assert one.verdict == "random"


def test_one_class_shown_tells_no_skill() -> None:
    gold, votes = drawn(1, 1.0)
    one = judged(gold, votes)
    assert np.isnan(one.skill)
    assert one.to_json()["skill"] is None
    assert one.verdict == ""
