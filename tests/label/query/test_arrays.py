"""Strategies on plain arrays, against slow and obvious references, and against scikit-activeml where it is there."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.linear_model import LogisticRegression

from scarce import registry
from scarce.errors import DataError
from scarce.label.query import AbstractQuery
from scarce.label.query._cover import neighbors
from scarce.label.query.badge import gradient_factor, select_badge
from scarce.label.query.core_set import select_core_set
from scarce.label.query.entropy import entropy_utility
from scarce.label.query.least_confidence import least_confidence_utility
from scarce.label.query.margin import margin_utility
from scarce.label.query.mc_dropout import bald_utility, dropout_probs, predictive_entropy_utility
from scarce.label.query.prob_cover import pure_radius, select_prob_cover
from scarce.label.query.random import select_random
from scarce.label.query.rare_class import rare_class_utility
from scarce.label.query.typi_clust import select_typi_clust

NAMES = registry.names("label.query")


def features(n: int, d: int = 24, *, groups: int = 12, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(groups, d)) * 3 / np.sqrt(1 + np.arange(d) / 4)
    return (centers[rng.integers(0, groups, n)] + rng.normal(size=(n, d))).astype(np.float32)


def probabilities(n: int, k: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(k, 0.3), n).astype(np.float32)


def oracle() -> Any:
    return pytest.importorskip("skactiveml.pool", reason="scikit-activeml (extra oracle) is not installed")


def greedy(rows: np.ndarray, labeled: list[int], n: int) -> list[int]:
    """k-center greedy, all in float64, one pass a pick."""
    rows = rows.astype(np.float64)
    far = np.min([((rows - rows[row]) ** 2).sum(1) for row in labeled], axis=0)
    far[labeled] = -1
    out = []
    for _ in range(n):
        out.append(int(far.argmax()))
        far = np.minimum(far, ((rows - rows[out[-1]]) ** 2).sum(1))
        far[[*labeled, *out]] = -1
    return out


@pytest.mark.parametrize(("n", "d", "dtype"), [(3000, 24, np.float32), (900, 3, np.float64), (2500, 200, np.float32)])
def test_core_set_is_the_greedy_cover(n: int, d: int, dtype: Any) -> None:
    rows = features(n, d).astype(dtype)
    labeled = [3, 700, 41]
    assert select_core_set(rows, labeled, 400).tolist() == greedy(rows, labeled, 400)


def test_core_set_far_from_the_origin_and_with_copies() -> None:
    rows = features(1200) + np.float32(1000)
    rows[600:] = rows[:600]
    picks = select_core_set(rows, np.arange(len(rows)) == 0, 500)
    assert picks.tolist() == greedy(rows, [0], 500)
    assert len(set(picks.tolist())) == 500


def test_core_set_takes_all_that_is_left_and_starts_in_the_middle() -> None:
    rows = features(50)
    assert sorted(select_core_set(rows, [4], 1000).tolist()) == [row for row in range(50) if row != 4]
    first = select_core_set(rows, [], 1)[0]
    assert first == ((rows - rows.mean(0)) ** 2).sum(1).argmin()


def test_core_set_needs_little_memory() -> None:
    rows = features(40_000, 512)
    select_core_set(rows[:500], [0], 5)
    tracemalloc.start()
    select_core_set(rows, np.arange(50), 100)
    extra = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert extra < 10 * 2**20


def test_core_set_picks_what_scikit_activeml_picks() -> None:
    rows = features(1500, 16)
    y = np.full(1500, np.nan)
    y[:20] = np.arange(20) % 3
    theirs, worth = oracle().CoreSet(random_state=0).query(rows, y, batch_size=60, return_utilities=True)
    assert select_core_set(rows, ~np.isnan(y), 60).tolist() == theirs.tolist()
    kind = registry.load("label.query", "core_set", AbstractQuery)
    mine, own = kind().query(rows, y, batch_size=5, return_utilities=True)
    assert mine.tolist() == theirs[:5].tolist()
    np.testing.assert_allclose(own, worth[:5], rtol=1e-4)


class Fixed:
    """A generator that gives the draws that it was given."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = list(values)

    def random(self) -> float:
        return float(self.values.pop(0))


def dense_badge(rows: np.ndarray, probs: np.ndarray, n: int, draws: np.ndarray) -> list[int]:
    """BADGE with the (N, K D) matrix written out."""
    factor = probs.astype(np.float64) - np.eye(probs.shape[1])[probs.argmax(1)]
    g = (factor[:, :, None] * rows[:, None, :].astype(np.float64)).reshape(len(rows), -1)
    far = (g**2).sum(1)
    out = [int(far.argmax())]
    for draw in draws[: n - 1]:
        far = np.minimum(far, ((g - g[out[-1]]) ** 2).sum(1))
        far[out] = 0
        out.append(int(np.searchsorted(np.cumsum(far / far.sum()), draw, side="right")))
    return out


def test_badge_is_k_means_plus_plus_on_the_gradients() -> None:
    rows, probs = features(1200), probabilities(1200, 5)
    for seed in range(5):
        draws = np.random.default_rng(seed).random(59)
        assert select_badge(rows, probs, 60, seed=Fixed(draws)).tolist() == dense_badge(rows, probs, 60, draws)


def test_badge_picks_what_scikit_activeml_picks_with_the_same_draws() -> None:
    pool = oracle()
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.utils import check_random_state

    rows = features(600, 8)
    y = np.full(600, np.nan)
    y[:40] = (rows[:40, 0] > 0) + (rows[:40, 1] > 0)
    model = SklearnClassifier(LogisticRegression(), classes=[0, 1, 2]).fit(rows, y)
    theirs = pool.Badge(random_state=7).query(rows, y, model, fit_clf=False, batch_size=25)
    left = np.flatnonzero(np.isnan(y))
    legacy = check_random_state(7, len(left) + 1)  # as it seeds itself
    mine = select_badge(rows[left], model.predict_proba(rows[left]), 25, seed=legacy)
    assert left[mine].tolist() == list(theirs)


def test_badge_never_picks_a_row_twice_even_when_all_are_alike() -> None:
    rows, probs = np.ones((30, 4), np.float32), np.tile([0.5, 0.5], (30, 1))
    assert sorted(select_badge(rows, probs, 99, seed=1).tolist()) == list(range(30))
    assert select_badge(rows, probs, 9, seed=1).tolist() != select_badge(rows, probs, 9, seed=2).tolist()


def test_badge_seldom_picks_sure_ones() -> None:
    rows = features(2000)
    probs = np.tile([0.999, 0.001], (2000, 1))
    probs[::10] = 0.5
    picks = select_badge(rows, probs, 100, seed=0)
    assert (picks % 10 == 0).mean() > 0.95
    assert np.abs(gradient_factor(probs)).sum(1).max() == pytest.approx(1.0)


@pytest.mark.parametrize("k", [2, 3, 10, 16, 33, 100])
def test_uncertainty_is_what_the_formulas_say(k: int) -> None:
    probs = probabilities(3000, k)
    probs[0] = 0
    probs[0, k - 1] = 1
    probs[1] = 1 / k
    top = np.sort(probs.astype(np.float64), axis=1)
    np.testing.assert_allclose(entropy_utility(probs), entropy(probs.astype(np.float64), axis=1) / np.log(k), atol=3e-6)
    np.testing.assert_allclose(margin_utility(probs), 1 - (top[:, -1] - top[:, -2]), atol=1e-6)
    np.testing.assert_allclose(least_confidence_utility(probs), (1 - top[:, -1]) * k / (k - 1), atol=1e-6)
    for score in (entropy_utility, margin_utility, least_confidence_utility):
        assert score(probs)[0] == pytest.approx(0, abs=1e-6)
        assert score(probs)[1] == pytest.approx(1, abs=1e-5)


def test_uncertainty_orders_as_scikit_activeml_does() -> None:
    scores = oracle().uncertainty_scores
    probs = probabilities(500, 4)
    pairs = {"entropy": entropy_utility, "margin_sampling": margin_utility, "least_confident": least_confidence_utility}
    for method, ours in pairs.items():
        theirs = scores(probs.astype(np.float64), method=method)
        assert np.corrcoef(theirs, ours(probs))[0, 1] > 0.999999, method


def test_one_class_is_never_in_doubt() -> None:
    for score in (entropy_utility, margin_utility, least_confidence_utility):
        assert score(np.ones((4, 1))).tolist() == [0, 0, 0, 0]
        assert score(np.ones((0, 3))).tolist() == []


def test_rows_with_nan_get_nan_and_what_is_no_probability_is_refused() -> None:
    probs = probabilities(20, 3)
    probs[4, 1] = np.nan
    for score in (entropy_utility, margin_utility, least_confidence_utility):
        assert np.flatnonzero(np.isnan(score(probs))).tolist() == [4]
    with pytest.raises(DataError, match=r"row 4 of pred_probs is not finite"):
        select_badge(features(20), probs, 3, seed=0)
    with pytest.raises(DataError, match="row 1 of pred_probs does not sum to 1"):
        margin_utility(np.array([[0.5, 0.5], [3.0, -2.0 + 2.5]]))
    with pytest.raises(DataError, match="is below 0"):
        entropy_utility(np.array([[1.5, -0.5]]))
    for wrong in (np.ones(3), np.ones((2, 2, 2)), [["a", "b"]], np.ones((3, 0))):
        with pytest.raises(DataError, match=r"wanted is \(N, K\)"):
            margin_utility(wrong)


def test_bald_is_zero_where_passes_agree_and_one_where_they_contradict() -> None:
    agree = np.tile(np.array([[0.5, 0.5], [0.9, 0.1]]), (6, 1, 1))
    contradict = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    np.testing.assert_allclose(bald_utility(agree), 0, atol=1e-6)
    np.testing.assert_allclose(bald_utility(contradict), 1, atol=1e-6)
    np.testing.assert_allclose(predictive_entropy_utility(agree)[0], 1, atol=1e-6)
    passes = np.stack([probabilities(50, 4, seed) for seed in range(7)]).astype(np.float64)
    mutual = entropy(passes.mean(0), axis=1) - entropy(passes, axis=2).mean(0)
    np.testing.assert_allclose(bald_utility(passes), mutual / np.log(4), atol=1e-5)
    with pytest.raises(DataError, match=r"\(T, N, K\)"):
        bald_utility(np.ones((3, 2)))


def test_dropout_keeps_all_passes_for_models_that_have_something_to_leave_out() -> None:
    import torch

    rows = features(300, 10)
    y = (rows[:, 0] > 0) + (rows[:, 1] > 0) * 1
    two, three = LogisticRegression().fit(rows, y > 0), LogisticRegression(max_iter=500).fit(rows, y)
    for model, k in ((two, 2), (three, 3)):
        probs = dropout_probs(model, rows, passes=20, rate=0.1, seed=3)
        assert probs.shape == (20, 300, k)
        np.testing.assert_allclose(probs.sum(2), 1, atol=1e-5)
        assert np.abs(probs.mean(0) - model.predict_proba(rows)).mean() < 0.1
        assert np.array_equal(probs, dropout_probs(model, rows, passes=20, rate=0.1, seed=3))
    net = torch.nn.Sequential(torch.nn.Linear(10, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 3))
    probs = dropout_probs(net, rows, passes=4, seed=0)
    assert probs.shape == (4, 300, 3)
    assert np.abs(probs[0] - probs[1]).max() > 1e-3
    assert net.training
    for model in (torch.nn.Linear(10, 3), object()):
        with pytest.raises(DataError, match="LogisticRegression"):
            dropout_probs(model, rows, seed=0)


def test_neighbors_are_those_within_the_radius() -> None:
    rows = features(2600, 80)
    radius = float(np.quantile(np.linalg.norm(rows[:500, None] - rows[None, :500], axis=2), 0.02))
    graph = neighbors(rows, np.arange(2600), radius)
    far = np.linalg.norm(rows[:50, None].astype(np.float64) - rows[None], axis=2)
    for row in range(50):
        found = np.sort(graph.others[graph.starts[row] : graph.starts[row + 1]])
        assert found.tolist() == np.flatnonzero(far[row] <= radius).tolist()


@pytest.mark.filterwarnings("ignore:The maximum purity")
def test_prob_cover_covers_as_scikit_activeml_does() -> None:
    rows = features(700, 6)
    y = np.full(700, np.nan)
    y[:5] = [0, 1, 2, 0, 1]
    mine = select_prob_cover(rows, ~np.isnan(y), 30, seed=0, radius=2.5)
    near = np.linalg.norm(rows[:, None] - rows[None], axis=2) <= 2.5

    def covered(picks: Any) -> list[int]:
        return [int(near[[*range(5), *picks[: n + 1]]].any(0).sum()) for n in range(len(picks))]

    left = near.copy()
    left[:, near[:5].any(0)] = False
    by_hand = []
    for _ in range(30):
        by_hand.append(int(left.sum(1).argmax()))
        left[:, near[by_hand[-1]]] = False
    gained = int(np.flatnonzero(np.diff([0, *covered(by_hand)]) == 0)[0]) if covered(by_hand)[-1] == 700 else 30
    assert mine[:gained].tolist() == by_hand[:gained]
    theirs = oracle().ProbCover(deltas=[2.5], random_state=0).query(rows, y, batch_size=10)
    assert covered(list(mine[:10])) == pytest.approx(covered(list(theirs)), rel=0.02)  # ties are drawn there


def test_the_radius_is_pure_and_a_huge_one_is_refused() -> None:
    rows = features(1500, 8)
    radius = pure_radius(rows, clusters=12, seed=0, pure=0.9)
    assert 0.3 < radius < 6
    assert pure_radius(rows, clusters=12, seed=0, pure=0.99) < radius
    with pytest.raises(DataError, match="radius = -1"):
        select_prob_cover(rows, [0], 3, seed=0, radius=-1)


def test_typi_clust_takes_one_of_each_group_first() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(6), [400, 300, 200, 100, 60, 40])
    rows = (rng.normal(size=(6, 12)) * 20)[group] + rng.normal(size=(1100, 12))
    labeled = np.flatnonzero(group == 0)[:1]
    picks = select_typi_clust(rows, labeled, 5, seed=0)
    assert sorted(group[picks].tolist()) == [1, 2, 3, 4, 5]
    middle = np.linalg.norm(rows - np.stack([rows[group == code].mean(0) for code in range(6)])[group], axis=1)
    assert all(middle[row] < np.quantile(middle[group == group[row]], 0.3) for row in picks)
    assert len(set(select_typi_clust(rows, labeled, 1099, seed=0, clusters=8).tolist())) == 1099


def test_rare_class_works_with_none_one_and_few_labels() -> None:
    rng = np.random.default_rng(0)
    rare = np.arange(2000) % 50 == 0
    rows = np.where(rare[:, None], 4.0, 0.0) * np.r_[1, 1, np.zeros(8)] + rng.normal(size=(2000, 10))
    labels = np.full(2000, -1)
    labels[1:40] = 0
    candidates = np.flatnonzero(labels < 0)

    def hits(labels: np.ndarray) -> float:
        left = np.flatnonzero(labels < 0)
        worth = rare_class_utility(rows, labels, left, np.array([1]))
        assert ((worth >= 0) & (worth <= 1)).all()
        return float(rare[left[np.argsort(-worth)[:20]]].mean())

    assert hits(labels) > 0.2  # by chance 0.02
    labels[0] = 1
    assert hits(labels) > 0.5
    labels[np.flatnonzero(rare)[1:4]] = 1
    assert hits(labels) > 0.8
    nothing = rare_class_utility(rows, np.full(2000, -1), candidates, np.array([1]))
    assert rare[candidates[np.argsort(-nothing)[:20]]].mean() > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_has_the_shape_of_scikit_activeml(name: str) -> None:
    kind = registry.load("label.query", name, AbstractQuery)
    rows = features(160, 6)
    y = np.full(160, None, object)
    y[:30] = np.where(rows[:30, 0] > 0, "sound", "torn")
    before = rows.copy()
    picks, worth = kind().query(rows, y, LogisticRegression(), batch_size=4, return_utilities=True)
    assert picks.shape == (4,)
    assert worth.shape == (4, 160)
    assert np.isnan(worth[:, :30]).all()
    assert np.isnan(worth[2, picks[:2]]).all()
    assert np.isfinite(worth[0, 30:]).all()
    assert (picks >= 30).all()
    assert len(set(picks.tolist())) == 4
    assert kind().query(rows, y, LogisticRegression(), batch_size=4).tolist() == picks.tolist()
    assert len(kind().query(rows, y, batch_size=1000)) == 130
    assert set(kind().query(rows, y, candidates=[50, 60, 70], batch_size=9).tolist()) == {50, 60, 70}
    assert set(kind().query(rows[:40], y[:40], candidates=rows[50:53], batch_size=9).tolist()) == {0, 1, 2}
    assert np.array_equal(rows, before)
    with pytest.raises(DataError, match="no sample is left"):
        kind().query(rows[:30], y[:30])
    with pytest.raises(DataError, match="row 40 of embeddings is not finite"):
        kind().query(np.where(np.arange(160)[:, None] == 40, np.nan, rows), y)


@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_starts_without_a_label_or_says_why_not(name: str) -> None:
    strategy = registry.load("label.query", name, AbstractQuery)()
    rows, y = features(60, 5), np.full(60, np.nan)
    if "pred_probs" in strategy.needs:
        with pytest.raises(DataError, match="a model needs two"):
            strategy.query(rows, y)
    else:
        assert len(set(strategy.query(rows, y, batch_size=10).tolist())) == 10


def test_bad_arrays_are_refused_in_words() -> None:
    rows = features(30)
    with pytest.raises(DataError, match="row 30 does not exist"):
        select_core_set(rows, [30], 3)
    with pytest.raises(DataError, match="a mask has shape"):
        select_core_set(rows, np.zeros(9, bool), 3)
    with pytest.raises(DataError, match="0 samples are asked for"):
        select_core_set(rows, [1], 0)
    with pytest.raises(DataError, match="no sample is left"):
        select_core_set(rows, np.ones(30, bool), 3)
    with pytest.raises(DataError, match="no sample is left"):
        select_random(np.zeros(0, np.int64), 3, seed=0)
    with pytest.raises(DataError, match="30 embeddings and 29 rows"):
        select_badge(rows, probabilities(29, 3), 3, seed=0)
    assert sorted(select_random(np.array([5, 9]), 99, seed=0).tolist()) == [5, 9]
