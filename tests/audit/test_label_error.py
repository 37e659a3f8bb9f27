from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from scarce.audit.label_error import (
    METHODS,
    RULES,
    LabelError,
    as_one_object,
    flag_label_errors,
    judge_labels,
    label_error_score,
)
from scarce.dataset import Dataset, Schema
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
    theirs = {"entropy": "confidence_weighted_entropy"}.get(method, method)
    np.testing.assert_allclose(1 - mine, rank.get_label_quality_scores(given, probs, method=theirs), atol=1e-9)


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


@pytest.mark.parametrize(("apart", "most"), [(2.0, 0.15), (3.0, 0.05)])
def test_clean_classes_that_overlap_are_no_label_errors(apart: float, most: float) -> None:
    """A rare class two or three standard deviations from the common one, every label right."""
    flagged = []
    for seed in range(3):
        features, labels = _overlapping(apart, seed)
        mask = flag_label_errors(labels, _out_of_fold(features, labels))
        assert mask[labels == 0].mean() < 0.03
        flagged.append(mask[labels == 1].mean())
    assert np.mean(flagged) < most


def test_features_that_know_nothing_flag_nothing() -> None:
    for rare in (0.5, 0.1):
        features, labels = _overlapping(0.0, 0, rare=rare)
        opinion = judge_labels(labels, _out_of_fold(features, labels))
        assert opinion.blind.all()
        assert not (opinion.wrong > 0.5).any()
        assert opinion.low < 0.01 < opinion.high


def _overlapping(apart: float, seed: int, *, rare: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(1500) < rare).astype(int)
    features = rng.normal(size=(1500, 8))
    features[:, 0] += apart * labels
    return features, labels


def _out_of_fold(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.asarray(cross_val_predict(LogisticRegression(max_iter=500), features, labels, method="predict_proba"))


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


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("k", [10, 40])
def test_every_memory_layout_gives_the_same_mask(rule: str, k: int) -> None:
    given, probs, _ = noisy(1500 if k == 10 else 600, k, seed=k)
    expected = flag_label_errors(given, probs, rule=rule)
    wider = np.zeros((len(given), k + 5), np.float32)
    wider[:, :k] = probs
    backward = np.ascontiguousarray(probs[:, ::-1])[:, ::-1]
    for same in (np.asfortranarray(probs), wider[:, :k], backward, probs.astype(">f4")):
        assert (flag_label_errors(given, same, rule=rule) == expected).all()
    assert (flag_label_errors(given.astype(np.uint8), probs, rule=rule) == expected).all()


@pytest.mark.parametrize("k", [3, 30])
def test_a_spoiled_row_is_named_wherever_it_is(k: int) -> None:
    given, probs, _ = noisy(50_000, k)
    for row, column, value in ((0, 0, np.nan), (31_234, k - 1, np.inf), (49_999, 1, -0.5), (25_000, 2, 1.7)):
        spoiled = probs.copy()
        spoiled[row, column] = value
        for rule in ("adaptive", "both", "low_self_confidence"):
            with pytest.raises(DataError, match=f"row {row} "):
                flag_label_errors(given, spoiled, rule=rule)
        with pytest.raises(DataError, match=f"row {row} "):
            label_error_score(given, spoiled)


@pytest.mark.parametrize("rule", RULES)
def test_classes_never_predicted_never_given_or_given_once(rule: str) -> None:
    given, probs, wrong = noisy(2000, 5, rate=0.1, seed=2, dtype="float64")
    never = np.zeros((2000, 7))
    never[:, 1:6] = probs
    flags = flag_label_errors(given + 1, never, rule=rule)
    assert f1(wrong, flags) > 0.5
    once = np.append(given + 1, 6)
    certain = np.append(never, [[0, 0.0, 0, 0, 0, 0, 1]], axis=0)
    assert not flag_label_errors(once, certain, rule=rule)[-1]
    assert flag_label_errors(np.zeros(40, int), np.full((40, 1), 1.0), rule=rule).sum() == 0


@pytest.mark.parametrize("labels", [np.array([0.5, 1.0]), np.array(["a", "b"]), np.array([[0, 1]]), np.array([0, -2])])
def test_labels_that_are_no_codes_are_refused(labels: np.ndarray) -> None:
    with pytest.raises(DataError):
        flag_label_errors(labels, np.full((2, 2), 0.5))
    with pytest.raises(DataError):
        label_error_score(labels, np.full((2, 2), 0.5))
    with pytest.raises(DataError):
        flag_label_errors(np.array([0, 1]), np.full(2, 0.5))


@pytest.mark.slow
def test_a_million_rows_with_many_ties() -> None:
    rng = np.random.default_rng(0)
    given = rng.integers(0, 4, 1_000_000)
    probs = np.full((1_000_000, 4), 0.1, np.float32)
    wrong = rng.random(len(given)) < 0.1
    probs[np.arange(len(given)), np.where(wrong, (given + 1) % 4, given)] = 0.7
    for rule in ("prune_by_noise_rate", "prune_by_class", "confident_learning", "adaptive"):
        assert f1(wrong, flag_label_errors(given, probs, rule=rule)) > 0.95


@pytest.mark.parametrize("kind", ["symmetric", "asymmetric"])
@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_adaptive_rule_on_digits(kind: str, rate: float) -> None:
    from sklearn.datasets import load_digits

    from scarce import probe

    features, true = load_digits(return_X_y=True)
    rng = np.random.default_rng(int(100 * rate))
    wrong = rng.random(len(true)) < rate
    step = rng.integers(1, 10, len(true)) if kind == "symmetric" else 1
    given = np.where(wrong, (true + step) % 10, true)
    probs = probe.cross_val_probs(features.astype(np.float32), given, 10)
    probs /= probs.sum(axis=1, keepdims=True)
    flags = flag_label_errors(given, probs)
    assert f1(wrong, flags) >= f1(wrong, flag_label_errors(given, probs, rule="prune_by_noise_rate")) - 0.03
    opinion = judge_labels(given, probs)
    assert opinion.low <= wrong.mean() <= opinion.high


def test_test_labels_say_nothing_about_other_samples() -> None:
    """Permute the labels of the test split: every development sample is judged as before."""
    rng = np.random.default_rng(3)
    labels = np.arange(400) % 4
    features = rng.normal(size=(400, 16)).astype(np.float32) + 2.5 * np.eye(4, 16)[labels].astype(np.float32)
    given = np.where(rng.random(400) < 0.1, (labels + 1) % 4, labels)
    split = np.where(np.arange(400) % 5 == 0, "test", "train")
    held = np.flatnonzero(split == "test")
    other = given.copy()
    other[held] = rng.permutation(given[held])
    found = []
    for codes in (given, other):
        names = [f"c{code}" for code in codes]
        ids = [f"{row:04d}" for row in range(400)]
        ds = Dataset.from_columns(
            Schema(classes=("c0", "c1", "c2", "c3")), {"id": ids, "label": names, "split": split.tolist()}
        ).with_columns({"embedding.x": features})
        measured = LabelError().measure(ds)
        flags = {item["members"][0] for item in measured.findings if item["level"] == "sample"}
        found.append((measured.score, flags - {ids[row] for row in held}))
    inside = split != "test"
    assert np.array_equal(found[0][0][inside], found[1][0][inside])
    assert found[0][1] == found[1][1]
    assert len(found[0][1]) >= 10
    assert not np.array_equal(found[0][0][~inside], found[1][0][~inside])


def test_an_object_that_looks_foreign_is_doubted_less_than_one_picture_among_others() -> None:
    """Six pictures of each of 12 objects; one object looks like the other class, and so does one picture of another."""
    rng = np.random.default_rng(0)
    groups, labels = np.repeat(np.arange(40), 6), np.repeat(np.r_[np.zeros(28, int), np.ones(12, int)], 6)
    probs = np.where(np.eye(2, dtype=bool)[labels], 0.97, 0.03) + rng.uniform(-0.02, 0.02, (240, 2))
    probs[groups == 39] = [0.97, 0.03]
    given = labels.copy()
    given[0] = 1
    probs /= probs.sum(axis=1, keepdims=True)
    plain = judge_labels(given, probs)
    opinion = as_one_object(plain, given, groups)
    assert plain.wrong[groups == 39].min() > 0.95
    assert opinion.wrong[groups == 39].max() < 0.8
    assert opinion.wrong[0] == plain.wrong[0] > 0.9
    assert opinion.low <= opinion.rate <= opinion.high
