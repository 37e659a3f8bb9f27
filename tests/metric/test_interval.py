from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, binomtest

from scarce import metric
from scarce.errors import DataError
from scarce.metric.interval import plausible_confusions


@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 32), (7, 7), (3, 20), (149, 150), (500, 1000)])
def test_bounds_match_scipy(k, n):
    test = binomtest(k, n)
    for ours, method in ((metric.clopper_pearson, "exact"), (metric.wilson, "wilson")):
        interval = test.proportion_ci(0.95, method=method)
        assert ours(k, n) == pytest.approx((interval.low, interval.high), abs=1e-9)
    lower = binomtest(k, n, alternative="greater").proportion_ci(0.9, method="exact")
    upper = binomtest(k, n, alternative="less").proportion_ci(0.9, method="exact")
    assert metric.clopper_pearson(k, n, 0.9, "lower") == pytest.approx((lower.low, 1.0))
    assert metric.clopper_pearson(k, n, 0.9, "upper") == pytest.approx((0.0, upper.high))


def test_arrays_and_no_trials():
    low, high = metric.clopper_pearson(np.array([0, 5]), np.array([0, 5]))
    assert (low[0], high[0]) == (0.0, 1.0)
    assert (low[1], high[1]) == pytest.approx(metric.clopper_pearson(5, 5))
    assert metric.wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(DataError):
        metric.clopper_pearson(3, 2)
    with pytest.raises(DataError):
        metric.clopper_pearson(1, 2, 1.5)


def test_bounds_count_groups():
    assert metric.clopper_pearson(18, 18, groups=3) == pytest.approx((0.025 ** (1 / 3), 1.0))
    assert metric.clopper_pearson(7, 20, groups=20) == pytest.approx(metric.clopper_pearson(7, 20))
    k, g = 7 * 4 / 20, 4
    expected = beta.ppf(0.025, k, g - k + 1), beta.ppf(0.975, k + 1, g - k)
    assert metric.clopper_pearson(7, 20, groups=4) == pytest.approx(expected)
    few = beta.ppf(0.025, 0.2, 4.8), beta.ppf(0.975, 1.2, 3.8)
    assert metric.clopper_pearson(1, 20, groups=4) == pytest.approx(few), "less than one hit by group"
    low, high = metric.clopper_pearson(np.array([0, 21]), np.array([0, 21]), groups=np.array([0, 7]))
    assert (low[0], high[0], high[1]) == (0.0, 1.0, 1.0)
    for groups in (0, 5):
        with pytest.raises(DataError, match="groups of"):
            metric.clopper_pearson(1, 4, groups=groups)


def test_the_figures_of_the_promise():
    assert metric.provable(150) == pytest.approx(0.980, abs=5e-4)
    assert metric.provable_recall(150) == metric.provable(150)
    assert metric.needed_for(0.99) == 299
    assert metric.provable(299) >= 0.99 > metric.provable(298)
    assert metric.provable(0) == 0.0
    assert metric.provable(150, misses=1) < metric.provable(150)
    with pytest.raises(DataError):
        metric.needed_for(1.0)


def test_cluster_weights_draw_whole_groups_within_strata():
    groups = np.array(["a", "a", "b", "c", "c", "c", None, None], object)
    strata = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    weights = metric.cluster_weights(groups, repeats=500, seed=3, strata=strata)
    assert weights.shape == (500, 8)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 4]).all()
    assert (weights[:, [0, 2, 7]].sum(1) == 3).all()
    assert (weights[:, [3, 6]].sum(1) == 2).all()
    assert (weights == metric.cluster_weights(groups, repeats=500, seed=3, strata=strata)).all()
    assert (weights != metric.cluster_weights(groups, repeats=500, seed=4, strata=strata)).any()


def test_group_goes_to_its_commonest_stratum():
    groups = np.array([0, 0, 0, 1, 2])
    weights = metric.cluster_weights(groups, repeats=200, strata=np.array([1, 1, 0, 0, 0]))
    assert (weights[:, 0] == 1).all()
    assert (weights[:, 3:].sum(1) == 2).all()


def test_cluster_interval_of_a_mean_has_the_right_width():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(80), 6)
    values = np.repeat(rng.normal(size=80), 6) + 0.1 * rng.normal(size=480)

    def mean(weights):
        return weights @ values / weights.sum(1)

    found = metric.cluster_bootstrap(groups, mean, repeats=3000, seed=1)
    spread = values.reshape(80, 6).mean(1).std(ddof=1) / np.sqrt(80)
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * spread, rel=0.1)
    alone = metric.cluster_bootstrap(np.arange(480), mean, repeats=3000, seed=1)
    assert alone.high - alone.low < 0.6 * (found.high - found.low)


def test_draws_that_are_all_alike_give_no_interval():
    values = np.array([0.2, 0.9, 0.4, 0.8])

    def mean(weights):
        return weights @ values / weights.sum(1)

    one = metric.cluster_bootstrap(np.zeros(4, int), mean, repeats=100)
    assert one.value == pytest.approx(values.mean())
    assert np.isnan([one.low, one.high]).all(), "one group, drawn again and again, says nothing of others"
    each = metric.cluster_bootstrap(np.array([0, 0, 1, 1]), mean, repeats=100, strata=np.array([0, 0, 1, 1]))
    assert np.isnan([each.low, each.high]).all(), "one group in every stratum"
    two = metric.cluster_bootstrap(np.array([0, 0, 1, 1]), mean, repeats=100)
    assert two.low < two.high


def test_plausible_confusions_are_jeffreys_intervals_of_the_groups() -> None:
    counts = np.array([[9, 1, 0], [0, 20, 0], [0, 0, 0]])
    drawn = plausible_confusions(counts, np.array([10, 4, 0]), draws=20_000)
    assert drawn.shape == (20_000, 3, 3)
    np.testing.assert_allclose(drawn.sum(2), np.broadcast_to([10, 20, 0], (20_000, 3)), atol=1e-9)
    recall = drawn[:, [0, 1], [0, 1]] / [10, 20]
    for column, (right, wrong) in enumerate([(9, 1), (4, 0)]):
        expected = beta.ppf([0.025, 0.5], right + 0.5, wrong + 0.5)
        np.testing.assert_allclose(np.quantile(recall[:, column], [0.025, 0.5]), expected, atol=0.01)
