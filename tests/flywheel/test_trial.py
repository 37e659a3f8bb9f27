"""The sequential test of a trial: what it promises at every look."""

from __future__ import annotations

import numpy as np
import pytest

from scarce.errors import DataError
from scarce.flywheel._paired import PROVEN, UNDECIDED, WORSE
from scarce.flywheel._trial import Judged, agreement, judged
from scarce.metric.sequential import needed_at, running_bounds, running_lower, wealth


def test_bounds_hold_at_every_look_together() -> None:
    rng = np.random.default_rng(0)
    for lost, won in ((0.05, 0.0), (0.15, 0.1)):  # the mean is exactly the margin that is asked about
        wrong = 0
        for _ in range(200):
            unit = (rng.choice([-1, 0, 1], size=1000, p=[lost, 1 - lost - won, won]) + 1) / 2
            wrong += any(wealth(unit[:n], 0.475) >= np.log(20) for n in range(10, 1001, 10))
        assert wrong / 200 <= 0.05, (lost, won, wrong)
    values = rng.uniform(size=400)
    low, high = running_bounds(values, 0.0, 1.0)
    assert low < values.mean() < high
    assert wealth(values, low) == pytest.approx(np.log(20), abs=1e-6)
    assert running_lower(np.zeros(50)) == 0.0
    with pytest.raises(DataError, match="outside"):
        running_lower(np.array([2.0]))


def test_the_needed_number_is_where_the_proof_begins() -> None:
    n = needed_at(np.full(5, 0.5), 0.475)
    assert wealth(np.full(n, 0.5), 0.475) >= np.log(20) > wealth(np.full(n - 1, 0.5), 0.475)
    assert needed_at(np.full(5, 0.4), 0.475) == 0
    assert needed_at(np.zeros(0), 0.5) == 0


def test_a_loss_in_a_rare_class_is_found_where_all_together_look_alike() -> None:
    labels = np.repeat([0, 1], [2000, 100])
    right = np.ones(2100, bool)
    worse = right.copy()
    worse[2000:2040] = False
    rows = judged(
        Judged(inclusion=np.full(2100, 0.1), labels=labels, right=(right, worse)),
        ("sound", "torn"),
        margin=0.05,
        confidence=0.95,
    )
    assert [row.verdict for row in rows] == [PROVEN, PROVEN, WORSE]
    assert rows[2].gain == pytest.approx(-0.4)
    rows = judged(
        Judged(inclusion=np.zeros(0), labels=labels[:0], right=(right[:0], right[:0])),
        ("sound",),
        margin=0.05,
        confidence=0.95,
    )
    assert [(row.verdict, row.low, row.high, row.n) for row in rows] == [(UNDECIDED, -1.0, 1.0, 0)] * 2


def test_a_share_is_as_right_as_both_and_slower() -> None:
    rng = np.random.default_rng(1)
    n = 6000
    right = rng.random(n) < 0.9
    asked = rng.random(n) < 0.3
    lost = right & ~((rng.random(n) < 0.3) & asked)  # three in ten right answers of the challenger are lost
    alike = Judged(
        inclusion=np.ones(n), labels=np.zeros(n, int), right=(right, right), share=np.full(n, 0.3), asked=asked
    )
    worse = Judged(
        inclusion=np.ones(n), labels=np.zeros(n, int), right=(lost, lost), share=np.full(n, 0.3), asked=asked
    )
    for found, verdict in ((alike, PROVEN), (worse, WORSE)):
        assert judged(found, (), margin=0.05, confidence=0.95)[0].verdict == verdict
    both = judged(
        Judged(inclusion=np.ones(n), labels=alike.labels, right=(right, right)), (), margin=0.05, confidence=0.95
    )[0]
    one = judged(alike, (), margin=0.05, confidence=0.95)[0]
    assert both.low > one.low
    assert both.needed < one.needed


def two_weeks(rng: np.random.Generator, lost: float, chances: tuple[float, float]) -> Judged:
    """300 labels of a week without a loss, then 300 of a week with one; of each the draws were as likely as given."""
    inclusion = np.repeat(chances, 300)
    right = np.ones(600, bool)
    challenger = right & ~((rng.random(600) < lost) & (np.arange(600) >= 300))
    return Judged(inclusion=inclusion, labels=np.zeros(600, int), right=(right, challenger))


def proven_at(found: Judged, n: int) -> bool:
    one, two = found.right
    part = Judged(inclusion=found.inclusion[:n], labels=found.labels[:n], right=(one[:n], two[:n]))
    return judged(part, (), margin=0.05, confidence=0.95)[0].verdict == PROVEN


def test_a_quiet_week_does_not_outweigh_a_busy_one() -> None:
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(40):  # of the stream 600 samples without a loss, then 20 for each label with a loss of 10 points
        found = two_weeks(rng, 0.1, (0.5, 0.05))
        looks = range(331, 601, 30)  # from the 31st label on more than 5 points of the stream so far are lost
        wrong += any(proven_at(found, n) for n in looks)
    assert wrong <= 5  # 2 expected at most; unweighted labels say "not worse" in each
    fine = two_weeks(rng, 0.0, (0.5, 0.05))
    assert proven_at(fine, 600)
    reverse = two_weeks(rng, 0.5, (0.05, 0.5))  # 5 points lost in the quiet week's 600 of 6,600 samples
    evidence = judged(reverse, (), margin=0.1, confidence=0.95)[0]
    assert (evidence.verdict, evidence.gain) == (PROVEN, pytest.approx(-0.5 * 600 / 6600, abs=0.01))


def test_weights_hold_at_every_look_at_the_very_margin() -> None:
    rng = np.random.default_rng(3)
    weights = np.tile([1.0, 8.0], 200)  # draws of one half and of a sixteenth take turns
    expected = np.tile([0.5, 0.4125 + 0.05], 200)  # of values in [0, 1]: 9 * mean = 0.5 + 8 * other
    mean = float(np.average(expected, weights=weights))
    wrong = 0
    for _ in range(200):
        values = (rng.random(400) < expected).astype(float)
        wrong += any(wealth(values[:n], mean, weights[:n]) >= np.log(20) for n in range(10, 401, 10))
    assert wrong / 200 <= 0.07  # 5 % is promised
    assert wealth(values, mean, np.ones(400)) == pytest.approx(wealth(values, mean))
    assert running_lower(values, weights=np.ones(400)) == pytest.approx(running_lower(values))
    assert running_lower(np.ones(100), weights=np.repeat([1.0, 50.0], 50)) == 0.0  # every stake could cost all


def test_agreement_needs_no_labels() -> None:
    row = {"verdict": "accept", "probability": 0.9}
    pairs = [({**row, "label": "a", "request": str(k)}, {**row, "label": "b" if k < 3 else "a"}) for k in range(100)]
    found = agreement(pairs, 0.95)
    assert (found.n, found.same, found.apart) == (100, 0.97, (("a", "b", 3),))
    assert found.low < 0.97 < found.high
    assert set(found.look) == {"0", "1", "2"}
    assert agreement([], 0.95).same is None
