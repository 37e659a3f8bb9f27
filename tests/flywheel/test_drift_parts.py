"""The tests for drift on plain arrays: against oracles, at their stated rates, on real pictures of garments."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats
from scipy.spatial.distance import cdist

from scarce.errors import DataError
from scarce.flywheel import _apart
from scarce.flywheel._chance import chance, one_each, spent
from scarce.flywheel._look import look
from scarce.flywheel._seen import Confirmed, Seen
from scarce.metric.interval import holm

KNOWN = ("Trouser", "Coat", "Sneaker", "Dress")


@pytest.fixture(scope="module")
def pictures(garments: Path) -> dict[str, np.ndarray]:
    """Class to (N, 28, 28) pictures; Bag is the class that nobody knows."""
    found: dict[str, list[np.ndarray]] = {}
    for row in pq.read_table(garments, columns=["image", "label", "split"]).to_pylist():
        if row["label"] in (*KNOWN, "Bag") and row["split"] == "test":
            data = row["image"]["bytes"] if isinstance(row["image"], dict) else row["image"]
            found.setdefault(row["label"], []).append(cv2.imdecode(np.frombuffer(data, np.uint8), 0))
    return {name: np.stack(rows) for name, rows in found.items()}


def seen(pictures: np.ndarray, answers: np.ndarray, *, foreign: np.ndarray | None = None) -> Seen:
    flat = pictures.reshape(len(pictures), -1).astype(np.float32) / 255
    foreign = np.zeros(len(flat)) if foreign is None else foreign
    return Seen(
        answers=answers, sure=1 - 0.3 * flat.std(1).astype(np.float64), foreign=foreign,
        verdicts=np.where(foreign > 1, "unknown", "accept"), features=flat[:, ::8],
        properties={"brightness": flat.mean(1).astype(np.float64)}, ids=np.arange(len(flat)).astype(str),
    )  # fmt: skip


def two(
    pictures: dict[str, np.ndarray], seed: int, n: int = 120, m: int = 60
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    whole = np.concatenate([pictures[name] for name in KNOWN])
    labels = np.repeat(np.array(KNOWN), [len(pictures[name]) for name in KNOWN])
    rows = np.random.default_rng(seed).permutation(len(whole))[: n + m]
    return (whole[rows[:n]], labels[rows[:n]]), (whole[rows[n:]], labels[rows[n:]])


def test_the_kernel_distance_is_that_of_all_pairs_and_its_p_value_that_of_all_permutations() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(5, 3)), rng.normal(size=(4, 3)) + 0.9
    rows = np.concatenate([first, second])
    kernel = np.exp(-(cdist(rows, rows) ** 2) / (2 * 1.5**2))
    np.fill_diagonal(kernel, 0)

    def distance(new: list[int]) -> float:
        old = [row for row in range(9) if row not in new]
        within = kernel[np.ix_(old, old)].sum() / 20 + kernel[np.ix_(new, new)].sum() / 12
        return float(within - 2 * kernel[np.ix_(old, new)].mean())

    every = np.array([distance(list(new)) for new in combinations(range(9), 4)])
    found = _apart.kernel_test(first, second, width=1.5, permutations=20_000)
    assert found.statistic == pytest.approx(distance([5, 6, 7, 8]), abs=1e-6)
    assert found.p == pytest.approx((every >= distance([5, 6, 7, 8]) - 1e-9).mean(), rel=0.5, abs=0.01)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(90, 6)), rng.normal(size=(70, 6)) + 0.2
    whole = _apart.kernel_test(first, second, permutations=200)
    monkeypatch.setattr(_apart, "BLOCK", 32)
    parts = _apart.kernel_test(first, second, permutations=200)
    assert parts.statistic == pytest.approx(whole.statistic, abs=1e-7)
    assert parts.p == pytest.approx(whole.p, abs=0.02)


def test_the_classifier_is_fitted_out_of_fold() -> None:
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(60, 300))  # more features than samples: a classifier that saw its samples is always right
    same = _apart.classifier_test(noise[:30], noise[30:], permutations=500)
    assert 0.2 < same.statistic < 0.8
    assert same.p > 0.02
    other = _apart.classifier_test(noise[:30], noise[30:] + 0.5, permutations=500)
    assert other.statistic > 0.9
    assert other.p <= 2 / 501


def test_mixes_and_probabilities_agree_with_the_textbook() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.choice(4, 800, p=[0.4, 0.3, 0.2, 0.1]), rng.choice(4, 500, p=[0.36, 0.34, 0.18, 0.12])
    table = np.stack([np.bincount(side, minlength=4) for side in (first, second)])
    assert _apart.mix_test(first, second).p == pytest.approx(stats.chi2_contingency(table).pvalue, abs=0.03)
    old, new = rng.normal(0, 1, 300), rng.normal(0.18, 1.5, 200)
    found = _apart.surplus_test(old, new)
    assert found.p == pytest.approx(stats.ttest_ind(old, new, equal_var=False).pvalue, abs=0.03)
    assert found.statistic == pytest.approx(new.mean() - old.mean())
    weights = rng.integers(1, 4, 200)
    weighed = _apart.surplus_test(old, new, weights.astype(float))
    assert weighed.statistic == pytest.approx(np.repeat(new, weights).mean() - old.mean())


def test_p_values_are_valid_and_stop_early() -> None:
    asked = []

    def draw(size: int) -> np.ndarray:
        asked.append(size)
        return rng.random(size)

    rng = np.random.default_rng(4)
    values = np.array([chance(float(rng.random()), draw, draws=5000) for _ in range(400)])
    assert sum(asked) < 400 * 700  # 5,000 each without stopping
    assert values.min() > 0
    for rate in (0.05, 0.2, 0.5):  # no larger than stated, but for chance: three standard errors
        assert (values <= rate).mean() <= rate + 3 * np.sqrt(rate * (1 - rate) / 400)


def test_a_year_of_looks_spends_no_more_than_its_rate() -> None:
    rng = np.random.default_rng(5)
    gaps = rng.exponential(3.0, 500)
    inside = gaps[np.cumsum(gaps) <= 365]
    assert sum(spent(0.05, float(gap)) for gap in inside) <= 0.05
    assert spent(0.05, -3) == 0
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_alarms_keep_their_rate_on_garments_where_nothing_changed(pictures: dict[str, np.ndarray]) -> None:
    alarms = 0
    for seed in range(40):
        (old, before), (new, now) = two(pictures, seed)
        alarms += bool(look(seen(old, before), seen(new, now), rate=0.2, seed=seed).alarms)
    assert alarms <= stats.binom.ppf(0.999, 40, 0.2)


def test_bursts_of_one_thing_are_no_drift(pictures: dict[str, np.ndarray]) -> None:
    (old, before), (new, now) = two(pictures, 3, m=25)
    side = seen(np.repeat(new, 10, axis=0), np.repeat(now, 10))
    alone = look(seen(old, before), side, rate=0.05)
    units = look(seen(old, before), replace(side, groups=np.repeat(np.arange(25), 10)), rate=0.05)
    assert alone.alarms
    assert not units.alarms
    assert {test.new for test in units.tests if test.p is not None} == {25}
    assert len(one_each(np.repeat(np.arange(25), 10), 0)) == 25


def test_blur_and_another_mix_raise_the_alarms_that_name_them(pictures: dict[str, np.ndarray]) -> None:
    (old, before), (new, now) = two(pictures, 4, m=100)
    dark = np.clip(new * 0.6, 0, 255).astype(np.uint8)
    alarms = {test.name for test in look(seen(old, before), seen(dark, now)).alarms}
    assert {"embedding mmd", "brightness"} <= alarms
    assert "class mix" not in alarms
    rare = np.flatnonzero(np.isin(now, KNOWN[:2]) | (np.arange(100) < 20))
    assert "class mix" in {test.name for test in look(seen(old, before), seen(new[rare], now[rare])).alarms}


def test_a_new_class_is_found_among_the_strange(pictures: dict[str, np.ndarray]) -> None:
    (old, before), (new, now) = two(pictures, 6, n=200, m=150)
    rng = np.random.default_rng(6)
    odd = (rng.random(200) < 0.06) * 2.0
    bags = pictures["Bag"][:40]
    foreign = np.concatenate([(rng.random(150) < 0.06) * 2.0, np.full(40, 2.0)])
    side = seen(np.concatenate([new, bags]), np.concatenate([now, np.full(40, "Coat")]), foreign=foreign)
    found = look(seen(old, before, foreign=odd), side)
    assert "new class" in {test.name for test in found.alarms}
    rows = np.concatenate([group.rows for group in found.groups])
    assert (rows >= 150).mean() > 0.8
    assert len(np.unique(rows)) == len(rows)
    without = look(seen(old, before, foreign=odd), seen(new, now, foreign=foreign[:150]))
    assert "new class" not in {test.name for test in without.alarms}
    assert without.groups == ()


def test_calibration_is_judged_only_by_enough_confirmed_samples(pictures: dict[str, np.ndarray]) -> None:
    (old, before), (new, now) = two(pictures, 6)
    rng = np.random.default_rng(6)
    held = 0.9 - (rng.random(120) < 0.9)

    def reading(wrong: float, count: int, weights: Any = None) -> Any:
        surplus = 0.9 - (rng.random(count) >= wrong)
        truth = Confirmed(reference=held, surplus=surplus, weights=np.ones(count) if weights is None else weights)
        found = look(seen(old, before), seen(new, now), truth)
        return next(test for test in found.tests if test.name == "calibration")

    assert reading(0.6, 60).alarm
    assert not reading(0.1, 60).alarm
    few = reading(0.6, 20)
    assert (few.p, few.alarm) == (None, False)
    assert "30 of each are needed" in few.said
    lopsided = reading(0.6, 60, np.where(np.arange(60) < 2, 500.0, 1.0))  # two samples carry nearly all of the weight
    assert lopsided.p is None


def test_what_cannot_be_tested_says_why(pictures: dict[str, np.ndarray]) -> None:
    (old, before), (new, now) = two(pictures, 7, m=15)
    few = look(seen(old, before), seen(new, now))
    assert all(test.p is None for test in few.tests)
    assert all("are needed" in test.said or "confirmed" in test.said for test in few.tests)
    (old, before), (new, now) = two(pictures, 7)
    bare = replace(seen(new, now), features=np.zeros((0, 0), np.float32), properties={})
    tested = {test.name for test in look(seen(old, before), bare).tests if test.p is not None}
    assert {"class mix", "confidence"} <= tested
    assert "embedding mmd" not in tested
    broken = seen(new, now)
    broken.features[:5] = np.nan
    found = {test.name: test.new for test in look(seen(old, before), broken).tests}
    assert (found["embedding mmd"], found["class mix"]) == (55, 60)
    with pytest.raises(DataError, match="different encoders"):
        look(seen(old, before), replace(seen(new, now), features=np.zeros((60, 7), np.float32)))
    with pytest.raises(DataError, match=r"a rate of 0\.9"):
        look(seen(old, before), seen(new, now), rate=0.9)
