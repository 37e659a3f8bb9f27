"""The choice itself on arrays, and on real garments: what is drawn, what is picked, what a week may cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scarce.dataset import Dataset
from scarce.errors import ConfigError
from scarce.flywheel.queue import Candidates, budget_of, choose, period_of
from scarce.label.query.margin import Margin


def flat(n: int, *, seed: int = 0, **more: Any) -> Candidates:
    """N candidates of no structure."""
    rng = np.random.default_rng(seed)
    return Candidates(features=rng.normal(size=(n, 8)), probs=rng.dirichlet(np.ones(3), n), **more)


def test_the_audit_comes_first_and_has_its_probability() -> None:
    found = choose(flat(500), 50, seed=3)
    audit, picks = [one for one in found.rows if one.kind == "audit"], [one for one in found.rows if one.kind == "pick"]
    assert (len(audit), len(picks), found.frame, found.strategy) == (5, 45, 500, "priority")
    assert {one.inclusion for one in audit} == {5 / 500}
    assert len({one.row for one in found.rows}) == 50
    assert [one.kind for one in found.rows[:5]] == ["audit"] * 5
    assert len(choose(flat(500), 55).rows) == 55
    assert sum(one.kind == "audit" for one in choose(flat(500), 55).rows) == 6  # never below a tenth


def test_every_sample_of_the_frame_is_drawn_equally_often() -> None:
    """Also those that are copies of each other, answered already, or without features."""
    pool = flat(40)
    features = pool.features.copy()
    features[10:20] = features[10]
    features[20:22] = np.nan
    answered = np.arange(40) < 5
    frame = np.arange(40) < 30
    crooked = Candidates(features=features, probs=pool.probs, answered=answered, frame=frame, groups=np.arange(40) // 2)
    counts = np.zeros(40)
    for seed in range(600):
        found = choose(crooked, 40, strategy=Margin(), seed=seed)
        drawn = [one for one in found.rows if one.kind == "audit"]
        assert {one.inclusion for one in drawn} == {4 / 30}
        counts[[one.row for one in drawn]] += 1
        assert not {one.row for one in found.rows if one.kind == "pick"} & {*range(5), 20, 21}
    assert counts[30:].sum() == 0
    expected = 600 * 4 / 30
    assert np.abs(counts[:30] - expected).max() < 4.5 * np.sqrt(expected * (1 - 4 / 30))
    assert ((counts[:30] - expected) ** 2 / expected).sum() < 55  # chi squared with 29 degrees: 0.997


def test_drawn_ones_are_asked_about_whoever_spoke_before() -> None:
    answered = np.ones(100, bool)
    answered[:30] = False
    found = choose(flat(100, answered=answered), 20, audit=0.5, seed=1)
    drawn = [one.row for one in found.rows if one.kind == "audit"]
    picked = [one.row for one in found.rows if one.kind == "pick"]
    assert (len(drawn), len(picked)) == (10, 10)
    assert answered[drawn].any()
    assert not answered[picked].any()


def test_weighting_is_unbiased_over_weeks_with_samples_left_over() -> None:
    """The frame of each week is what came in it; its probabilities estimate the whole stream, the picks do not."""
    rng = np.random.default_rng(7)
    weeks = [60, 220, 110, 30]
    total = sum(weeks)
    week = np.repeat(np.arange(4), weeks)
    features = rng.normal(size=(total, 6))
    hard = rng.random(total) < np.array([0.05, 0.2, 0.4, 0.6])[week]
    probs = np.where(hard[:, None], [[0.55, 0.45]], [[0.97, 0.03]])
    right = np.where(hard, rng.random(total) < 0.5, rng.random(total) < 0.98)
    weighted, plain, counted = [], [], []
    for repeat in range(120):
        asked = np.zeros(total, bool)
        audits: list[tuple[int, float]] = []
        for now in range(4):
            here = np.flatnonzero((week <= now) & ~asked)  # those left over from earlier weeks may be picked
            pool = Candidates(features=features[here], probs=probs[here], frame=week[here] == now)
            # what was answered or picked in the same week would stay in the frame: nothing of this week was asked yet
            found = choose(pool, 20, strategy=Margin(), audit=0.25, seed=1000 * repeat + now)
            assert found.frame == weeks[now]
            rows = here[[one.row for one in found.rows]]
            audits += [(int(here[one.row]), one.inclusion) for one in found.rows if one.inclusion is not None]
            asked[rows] = True
        drawn, share = np.array([row for row, _ in audits]), np.array([share for _, share in audits])
        weighted.append((right[drawn] / share).sum() / total)
        counted.append((1 / share).sum())
        plain.append(right[asked].mean())
    truth = right.mean()
    error = np.std(weighted) / np.sqrt(len(weighted))
    assert abs(np.mean(weighted) - truth) < 4 * error < 0.04
    assert np.allclose(counted, total)  # the weights say how many samples the audit stands for
    assert abs(np.mean(plain) - truth) > 0.05  # all that was asked about is no fair sample


def test_picks_are_doubtful_rare_and_no_copies_of_known_ones(some_garments: Dataset) -> None:
    from scarce import encode, modality

    ds = encode.run(modality.scan(some_garments), "pixel")
    features, labels = ds["embedding.pixel"], ds["label"]
    train = np.flatnonzero(ds["split"] == "train")
    known, rest = train[:200], train[200:]
    probs = np.full((len(rest), 4), 0.02)
    probs[np.arange(len(rest)), labels[rest]] = 0.94
    probs[:40] = 0.25
    twins = np.concatenate([features[rest], features[known[:30]]])  # 30 more that show what is known
    probs = np.concatenate([probs, np.full((30, 4), 0.25)])
    pool = Candidates(
        features=twins, probs=probs, known_features=features[known], known_labels=labels[known], classes=("a",) * 4
    )
    found = choose(pool, 30, seed=5)
    picks = [one.row for one in found.rows if one.kind == "pick"]
    assert len(picks) == 27
    assert max(picks) < len(rest)
    assert np.mean(np.array(picks) < 40) > 0.9
    assert any("copies of known" in note for note in found.notes)
    assert [one.row for one in choose(pool, 30, seed=5).rows] == [one.row for one in found.rows]
    other = choose(pool, 30, strategy=Margin(), seed=5)
    assert other.strategy == "margin"


def test_of_two_copies_in_the_pool_one_is_asked_about() -> None:
    pool = flat(60)
    twice = Candidates(features=np.repeat(pool.features, 2, axis=0), probs=np.repeat(pool.probs, 2, axis=0))
    found = choose(twice, 50, seed=2)
    assert len({one.row // 2 for one in found.rows if one.kind == "pick"}) == 45
    grouped = choose(Candidates(features=pool.features, probs=pool.probs, groups=np.arange(60) // 3), 60, seed=2)
    rows = [one.row // 3 for one in grouped.rows]
    assert sum(one.kind == "pick" for one in grouped.rows) == 20 - len(set(rows[:6]))


def test_small_frames_empty_ones_and_wrong_budgets() -> None:
    few = choose(flat(100, frame=np.arange(100) < 2), 50)
    assert [one.inclusion for one in few.rows[:3]] == [1.0, 1.0, None]
    assert "all of the 2 samples" in few.notes[0]
    none = choose(flat(100, frame=np.zeros(100, bool)), 50)
    assert {one.kind for one in none.rows} == {"pick"}
    assert choose(flat(0), 10).rows == ()
    for budget, audit in ((0, 0.1), (10, 0.05), (10, 1.5)):
        with pytest.raises(ConfigError, match="budget"):
            choose(flat(5), budget, audit=audit)


def test_a_week_is_one_week_wherever_it_is_told() -> None:
    monday = datetime(2026, 11, 23, 0, 30, tzinfo=timezone(timedelta(hours=9)))  # still Sunday in UTC
    assert period_of(monday) == period_of(monday.astimezone(UTC)) == "2026-W47"
    assert period_of(monday + timedelta(hours=9)) == "2026-W48"
    draws = [{"week": f"2026-W{week}", "month": "2026-11", "asked": asked} for week, asked in ((47, 60), (48, 5))]
    sunday = datetime(2026, 11, 22, tzinfo=UTC)
    late = budget_of(draws, "week", 100, sunday)  # this clock is a day behind the one that drew last
    assert (late.period, late.spent, late.left, late.ahead) == ("2026-W48", 5, 95, True)
    assert budget_of(draws[:1], "week", 100, sunday).left == 40
    assert budget_of(draws, "month", 100, sunday).left == 35
    assert budget_of(draws, "month", 50, sunday).left == 0
    assert budget_of([], "week", 100, sunday).left == 100


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-72, 72), st.integers(0, 150)), max_size=40))
def test_clocks_that_disagree_spend_no_budget_twice(calls: list[tuple[int, int, int]]) -> None:
    """Machines whose clocks are off by days draw in any order; of no period more than its budget is spent."""
    draws: list[dict[str, Any]] = []
    now = datetime(2026, 11, 2, tzinfo=UTC)
    for days, off, wanted in calls:
        now += timedelta(days=days)
        seen = now + timedelta(hours=off)
        budget = budget_of(draws, "week", 100, seen)
        draws.append({"week": budget.period, "month": period_of(seen, "month"), "asked": min(wanted, budget.left)})
    assert [row["week"] for row in draws] == sorted(row["week"] for row in draws)
    for week in {row["week"] for row in draws}:
        assert sum(row["asked"] for row in draws if row["week"] == week) <= 100
