"""The sequential test of a trial: what it promises at every look."""

from __future__ import annotations

import numpy as np
import pytest

from scarce.errors import DataError
from scarce.flywheel._paired import PROVEN, UNDECIDED, WORSE
from scarce.flywheel._trial import Judged, agreement, drawn_alike, judged
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
    rows = judged(Judged(labels=labels, right=(right, worse)), ("sound", "torn"), margin=0.05, confidence=0.95)
    assert [row.verdict for row in rows] == [PROVEN, PROVEN, WORSE]
    assert rows[2].gain == pytest.approx(-0.4)
    rows = judged(Judged(labels=labels[:0], right=(right[:0], right[:0])), ("sound",), margin=0.05, confidence=0.95)
    assert [(row.verdict, row.low, row.high, row.n) for row in rows] == [(UNDECIDED, -1.0, 1.0, 0)] * 2


def test_a_share_is_as_right_as_both_and_slower() -> None:
    rng = np.random.default_rng(1)
    n = 6000
    right = rng.random(n) < 0.9
    asked = rng.random(n) < 0.3
    lost = right & ~((rng.random(n) < 0.3) & asked)  # three in ten right answers of the challenger are lost
    alike = Judged(labels=np.zeros(n, int), right=(right, right), share=np.full(n, 0.3), asked=asked)
    worse = Judged(labels=np.zeros(n, int), right=(lost, lost), share=np.full(n, 0.3), asked=asked)
    for found, verdict in ((alike, PROVEN), (worse, WORSE)):
        assert judged(found, (), margin=0.05, confidence=0.95)[0].verdict == verdict
    both = judged(Judged(labels=alike.labels, right=(right, right)), (), margin=0.05, confidence=0.95)[0]
    one = judged(alike, (), margin=0.05, confidence=0.95)[0]
    assert both.low > one.low
    assert both.needed < one.needed


def test_unequal_draws_are_thinned_to_equal_ones() -> None:
    samples = [f"{k:08x}" for k in range(20_000)]
    inclusion = np.where(np.arange(20_000) % 2 == 0, 0.1, 1.0)
    kept = drawn_alike(samples, inclusion)
    assert kept[::2].all()  # the least probability of all: each stays
    assert kept[1::2].mean() == pytest.approx(0.1, abs=0.01)
    assert (drawn_alike(samples[:100], inclusion[:100]) == kept[:100]).all()  # what comes later changes nothing
    assert not len(drawn_alike([], np.zeros(0)))


def test_agreement_needs_no_labels() -> None:
    row = {"verdict": "accept", "probability": 0.9}
    pairs = [({**row, "label": "a", "request": str(k)}, {**row, "label": "b" if k < 3 else "a"}) for k in range(100)]
    found = agreement(pairs, 0.95)
    assert (found.n, found.same, found.apart) == (100, 0.97, (("a", "b", 3),))
    assert found.low < 0.97 < found.high
    assert set(found.look) == {"0", "1", "2"}
    assert agreement([], 0.95).same is None
