from __future__ import annotations

import numpy as np
import pytest

from scarce.audit.label_error import METHODS, RULES, flag_label_errors, judge_labels, label_error_score
from scarce.errors import ConfigError, DataError

CLASSIC = RULES[1:]


def noisy(n: int, k: int, *, rate: float = 0.2, seed: int = 0, dtype: str = "float32") -> tuple[np.ndarray, ...]:
    """Given labels, probabilities of a good but unsure model, and which labels are wrong."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, k, n)
    wrong = rng.random(n) < rate
    given = np.where(wrong, (true + rng.integers(1, k, n)) % k, true)
    raw = rng.gamma(0.4, 1.0, (n, k))
    raw[np.arange(n), true] += rng.gamma(3.0, 1.2, n)
    return given, (raw / raw.sum(axis=1, keepdims=True)).astype(dtype), wrong


def f1(truth: np.ndarray, flags: np.ndarray) -> float:
    return float(2 * (truth & flags).sum() / max(truth.sum() + flags.sum(), 1))


@pytest.mark.parametrize("rule", CLASSIC)
@pytest.mark.parametrize(
    ("n", "k", "dtype"), [(3000, 7, "float32"), (1500, 3, "float64"), (4000, 60, "float32"), (400, 2, "float64")]
)
def test_classic_rules_give_the_masks_of_cleanlab(rule: str, n: int, k: int, dtype: str) -> None:
    cleanlab = pytest.importorskip("cleanlab.filter")
    given, probs, _ = noisy(n, k, dtype=dtype, seed=n + k)
    expected = cleanlab.find_label_issues(given, probs, filter_by=rule, n_jobs=1)
    assert (flag_label_errors(given, probs, rule=rule) == expected).all()
    assert expected.any()


@pytest.mark.filterwarnings("ignore:May not flag")
@pytest.mark.parametrize("rule", CLASSIC)
def test_classic_rules_agree_on_ties_and_absent_classes(rule: str) -> None:
    cleanlab = pytest.importorskip("cleanlab.filter")
    given, probs, _ = noisy(2000, 6, seed=5)
    coarse = np.round(probs.astype(float) * 10) + 0.5
    coarse[:, 5] = 0.0
    coarse /= coarse.sum(axis=1, keepdims=True)
    given = np.where(given >= 4, 0, given)
    expected = cleanlab.find_label_issues(given, coarse, filter_by=rule, n_jobs=1)
    assert (flag_label_errors(given, coarse, rule=rule) == expected).all()


@pytest.mark.parametrize("rule", CLASSIC)
def test_classic_rules_agree_on_human_noise(rule: str, shared_data) -> None:
    cleanlab = pytest.importorskip("cleanlab.filter")
    body = np.load(shared_data / "label_error" / "cifar10n_aggregate_resnet18.npz")
    given, probs = body["given"].astype(int)[::5], body["pred_probs"][::5]
    assert (
        flag_label_errors(given, probs, rule=rule) == cleanlab.find_label_issues(given, probs, filter_by=rule, n_jobs=1)
    ).all()


@pytest.mark.parametrize("method", METHODS)
def test_scores_rank_as_cleanlab_does(method: str) -> None:
    rank = pytest.importorskip("cleanlab.rank")
    given, probs, _ = noisy(1000, 5, dtype="float64")
    mine = label_error_score(given, probs, method=method)
    assert mine.min() >= 0
    assert mine.max() <= 1
    np.testing.assert_allclose(1 - mine, rank.get_label_quality_scores(given, probs, method=method), atol=1e-9)


@pytest.mark.parametrize(
    ("name", "least"), [("cifar10n_aggregate_resnet18", 0.78), ("cifar10_synthetic_resnet18", 0.945)]
)
def test_adaptive_rule_on_known_errors(name: str, least: float, shared_data) -> None:
    body = np.load(shared_data / "label_error" / f"{name}.npz")
    given, true, probs = (body[key] for key in ("given", "true", "pred_probs"))
    wrong = given != true
    assert f1(wrong, flag_label_errors(given, probs)) >= least
    opinion = judge_labels(given, probs)
    assert abs(opinion.rate - wrong.mean()) < 0.03
    assert opinion.low < opinion.rate < opinion.high


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.4])
def test_adaptive_rule_follows_the_noise_rate_and_the_temperature(rate: float) -> None:
    given, probs, wrong = noisy(6000, 8, rate=rate, dtype="float64", seed=3)
    assert f1(wrong, flag_label_errors(given, probs)) > 0.85
    for power in (0.5, 2.0):
        other = probs**power / (probs**power).sum(axis=1, keepdims=True)
        assert f1(wrong, flag_label_errors(given, other)) > 0.8
    opinion = judge_labels(given, probs)
    assert abs(opinion.rate - rate) < 0.03
    assert np.diag(opinion.noise).mean() == pytest.approx(1 - rate, abs=0.05)


def test_adaptive_rule_keeps_a_small_clean_class() -> None:
    rng = np.random.default_rng(0)
    labels = np.r_[np.zeros(2000, int), np.ones(30, int)]
    raw = np.full((2030, 2), 0.03)
    raw[np.arange(2030), labels] = 0.97
    raw += rng.uniform(0, 0.05, raw.shape)
    probs = raw / raw.sum(axis=1, keepdims=True)
    assert not flag_label_errors(labels, probs).any()


def test_suggested_classes_are_right() -> None:
    given, probs, wrong = noisy(4000, 6, rate=0.2, dtype="float64", seed=9)
    opinion = judge_labels(given, probs)
    flagged = opinion.wrong > 0.5
    assert (opinion.suggested[flagged & wrong] == probs.argmax(axis=1)[flagged & wrong]).mean() > 0.97
    assert (opinion.suggested[flagged] != given[flagged]).all()


@pytest.mark.parametrize("rule", RULES)
def test_edges_give_an_answer(rule: str) -> None:
    given, probs, _ = noisy(200, 4, dtype="float64")
    unlabelled = given.copy()
    unlabelled[:50] = -1
    flags = flag_label_errors(unlabelled, probs, rule=rule)
    assert flags.shape == (200,)
    assert not flags[:50].any()
    assert not flag_label_errors(np.full(5, -1), probs[:5], rule=rule).any()
    assert flag_label_errors(np.zeros(0, int), np.zeros((0, 3)), rule=rule).shape == (0,)
    one = flag_label_errors(np.arange(4), np.eye(4) * 0.6 + 0.1, rule=rule)
    assert not one.any()


@pytest.mark.parametrize("rule", ["adaptive", "prune_by_noise_rate"])
def test_bad_input_is_refused_in_words(rule: str) -> None:
    given, probs, _ = noisy(100, 4, dtype="float64")
    spoiled = probs.copy()
    spoiled[7, 2] = np.nan
    with pytest.raises(DataError, match=r"row 7.*NaN"):
        flag_label_errors(given, spoiled, rule=rule)
    with pytest.raises(DataError, match="sums to 2"):
        flag_label_errors(given, probs * 2, rule=rule)
    with pytest.raises(DataError, match="labels reach"):
        flag_label_errors(given + 3, probs, rule=rule)
    with pytest.raises(DataError, match="shape"):
        flag_label_errors(given[:50], probs, rule=rule)
    with pytest.raises(ConfigError, match="prune_by_class"):
        flag_label_errors(given, probs, rule="prune_by_clas")


def test_memory_mapped_probabilities_give_the_same_mask(tmp_path) -> None:
    given, probs, _ = noisy(3000, 5)
    np.save(tmp_path / "probs.npy", probs)
    mapped = np.load(tmp_path / "probs.npy", mmap_mode="r")
    for rule in RULES:
        assert (flag_label_errors(given, mapped, rule=rule) == flag_label_errors(given, probs, rule=rule)).all()
