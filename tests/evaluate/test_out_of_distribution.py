from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp, softmax
from scipy.stats import norm
from sklearn.covariance import EmpiricalCovariance
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.neighbors import NearestNeighbors

from scarce import registry
from scarce.errors import ConfigError, DataError
from scarce.evaluate.guard import Known, fitted
from scarce.evaluate.out_of_distribution import AbstractDetector
from scarce.evaluate.out_of_distribution.detection import bounds, detection, sweep, threshold_keeping
from scarce.evaluate.out_of_distribution.energy import Energy, energy
from scarce.evaluate.out_of_distribution.knn import Knn, evenly
from scarce.evaluate.out_of_distribution.mahalanobis import Mahalanobis
from scarce.evaluate.out_of_distribution.max_logit import max_logit
from scarce.evaluate.out_of_distribution.softmax_score import softmax_score
from scarce.evaluate.out_of_distribution.vim import Vim

NAMES = registry.names("evaluate.out_of_distribution")


@pytest.fixture(scope="module")
def sides() -> dict[str, Known]:
    """Real digits: 0 to 5 are known, half of them to learn from; 6 to 9 are foreign."""
    data = load_digits()
    x, y = data.data / 16.0, data.target
    known = np.flatnonzero(y < 6)
    learn, others = known[::2], known[1::2]
    model = LogisticRegression(max_iter=500).fit(x[learn], y[learn])
    return {
        name: Known(features=x[rows], logits=model.decision_function(x[rows]), labels=y[rows])
        for name, rows in (("learn", learn), ("known", others), ("foreign", np.flatnonzero(y > 5)))
    }


@pytest.mark.parametrize("name", NAMES)
def test_foreign_digits_score_above_known_ones(sides: dict[str, Known], name: str) -> None:
    detector = fitted(sides["learn"])[name]
    own, others = (detector.score(sides[side].features, sides[side].logits) for side in ("known", "foreign"))
    found = detection(own, others, sides["known"].logits.argmax(1) == sides["known"].labels)
    assert found.auroc > (0.88 if detector.uses_features else 0.75)
    assert 0.9 < found.accuracy95 <= found.accuracy <= 1
    again = type(detector)().restored(detector.state)
    np.testing.assert_allclose(again.score(sides["known"].features, sides["known"].logits), own)
    order = np.random.default_rng(0).permutation(len(own))
    moved = detector.score(sides["known"].features[order], sides["known"].logits[order])  # type: ignore[index]
    np.testing.assert_allclose(moved, own[order], rtol=1e-6, atol=1e-9)


def test_scores_of_logits_are_the_textbook_ones(sides: dict[str, Known]) -> None:
    logits = sides["known"].logits
    np.testing.assert_allclose(energy(logits, temperature=2.0), -2.0 * logsumexp(logits / 2.0, axis=1))
    np.testing.assert_allclose(softmax_score(logits, temperature=2.0), 1 - softmax(logits / 2.0, axis=1).max(1))
    np.testing.assert_allclose(max_logit(logits), -logits.max(1))
    sure = np.array([[800.0, 0.0], [700.0, 0.0]])
    assert softmax_score(sure)[0] < softmax_score(sure)[1], "far below rounding they still differ"


def test_distances_are_those_of_scikit_learn(sides: dict[str, Known]) -> None:
    learn, known = sides["learn"], sides["known"]
    assert learn.features is not None
    assert known.features is not None
    wide = learn.features.std(0) > 0.05
    x, z = learn.features[:, wide], known.features[:, wide]
    means = np.stack([x[learn.labels == code].mean(0) for code in range(6)])
    oracle = EmpiricalCovariance().fit(x - means[learn.labels])
    wanted = np.min([oracle.mahalanobis(z - mean) for mean in means], axis=0)
    ours = Mahalanobis(shrinkage=0.0, relative=False).fit(x, learn.logits, learn.labels).score(z, known.logits)
    np.testing.assert_allclose(ours, wanted * (len(x) - 1) / len(x), rtol=2e-3)
    rows = [(side - x.mean(0)) / x.std(0) for side in (x, z)]
    rows = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in rows]
    away = NearestNeighbors(n_neighbors=5).fit(rows[0]).kneighbors(rows[1])[0][:, -1]
    found = Knn(k=5).fit(x, learn.logits, learn.labels).score(z, known.logits)
    np.testing.assert_allclose(found, away, atol=1e-3)
    rows = [(side - x.mean(0)) / np.maximum(x.std(0), 0.3) for side in (x, z)]
    away = NearestNeighbors(n_neighbors=5).fit(rows[0]).kneighbors(rows[1])[0][:, -1]
    found = Knn(k=5, direction=False, least=0.3).fit(x, learn.logits, learn.labels).score(z, known.logits)
    np.testing.assert_allclose(found, away, atol=1e-3)


def test_size_counts_where_directions_do_not_and_constant_features_weigh_no_more_than_told() -> None:
    rng = np.random.default_rng(0)
    known = np.concatenate([rng.normal(size=(400, 4)), np.zeros((400, 1))], axis=1)
    logits, labels = rng.normal(size=(400, 2)), np.arange(400) % 2
    far, marked = known[:50] * 1000, known[:50] + np.eye(5)[4]
    for kind in (Knn(direction=False, least=0.5), Mahalanobis(relative=False, least=0.5)):
        one = kind.fit(known, logits, labels)
        own = one.score(known[:50], logits[:50])
        assert (one.score(far, logits[:50]) > own.max()).all()
        more = one.score(marked, logits[:50]) - own
        assert more.max() < 4.5, "a mark of two deviations, squared at most"
        assert more.min() > 0
    plain = Knn().fit(known, logits, labels)
    assert (plain.score(far, logits[:50]) < plain.score(known[50:], logits[50:]).max()).all()
    for wrong in (Knn, Mahalanobis):
        with pytest.raises(ConfigError, match="least"):
            wrong(least=-1.0)


def test_detection_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    known, foreign = rng.normal(0, 1, 400).round(1), rng.normal(1.5, 1, 300).round(1)
    truth, score = np.repeat([0, 1], [400, 300]), np.concatenate([known, foreign])
    found = detection(known, foreign)
    assert found.auroc == pytest.approx(roc_auc_score(truth, score))
    false, true, _ = roc_curve(truth, score)
    assert found.fpr95 == pytest.approx(1 - true[false <= 0.05].max())


def test_a_threshold_keeps_what_it_promises() -> None:
    assert threshold_keeping(np.arange(99.0), 0.99) == 98
    assert threshold_keeping(np.arange(98.0), 0.99) == np.inf, "too few to promise 99 %"
    passed = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        passed.append(rng.normal() <= threshold_keeping(rng.normal(size=39), 0.9))
    assert 0.86 <= np.mean(passed) <= 0.95


def test_the_sweep_says_what_each_threshold_costs(sides: dict[str, Known]) -> None:
    known = sides["known"]
    rows = sweep(known.logits, known.labels, sides["foreign"].logits)
    assert len(rows) == 2 * 6 * 3
    for row in rows:
        assert row["accuracy"] <= row["kept"] + 0.01
        assert row["accuracy_kept"] >= row["accuracy"]
    by_share = [row["foreign_found"] for row in rows if row["detector"] == "energy" and row["temperature"] == 1.0]
    assert by_share == sorted(by_share)


def test_thresholds_of_the_sweep_can_be_chosen_on_other_samples(sides: dict[str, Known]) -> None:
    known = sides["known"]
    half = len(known.logits) // 2
    held, test, labels = known.logits[:half], known.logits[half:], known.labels[half:]
    rows = sweep(test, labels, sides["foreign"].logits, chosen=held)
    for row in rows:
        if row["detector"] == "energy":
            assert row["threshold"] == threshold_keeping(energy(held, temperature=row["temperature"]), row["kept"])
    others = sweep(held, known.labels[:half], sides["foreign"].logits)
    assert [row["threshold"] for row in rows] == [row["threshold"] for row in others], "no test sample takes part"


def test_auroc_and_fpr95_have_intervals_over_groups() -> None:
    held = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        known, foreign = rng.normal(0, 1, 200).round(2), rng.normal(2, 1, 150).round(2)
        found, at = bounds(known, foreign, np.arange(200), seed=seed), detection(known, foreign)
        assert found["auroc_low"] <= at.auroc <= found["auroc_high"]
        assert found["fpr95_low"] <= at.fpr95 <= found["fpr95_high"]
        held.append(found["auroc_low"] <= norm.cdf(2 / np.sqrt(2)) <= found["auroc_high"])
    assert np.mean(held) >= 0.85
    apart = bounds(known, foreign, np.repeat(np.arange(10), 20))
    alone = bounds(np.repeat(known[::20], 20), foreign, np.repeat(np.arange(10), 20))
    assert alone["auroc_high"] - alone["auroc_low"] > 1.5 * (apart["auroc_high"] - apart["auroc_low"])


def test_rare_classes_keep_all_their_samples() -> None:
    labels = np.repeat([0, 1, 2], [1000, 300, 7])
    kept = np.bincount(labels[evenly(labels, 207)])
    assert kept[2] == 7
    assert kept.tolist() == [100, 100, 7]


def test_misuse_is_told(sides: dict[str, Known]) -> None:
    known = sides["known"]
    with pytest.raises(DataError, match="not fitted"):
        Energy().score(None, known.logits)
    with pytest.raises(DataError, match="no features"):
        Knn().fit(None, known.logits, known.labels)
    with pytest.raises(DataError, match="finite"):
        Energy().fit(None, known.logits * np.nan, known.labels)
    with pytest.raises(ConfigError, match="above 0"):
        Energy(temperature=0.0)
    with pytest.raises(DataError, match="foreign"):
        detection(np.ones(3), np.ones(0))
    assert issubclass(Knn, AbstractDetector)


@pytest.mark.parametrize("name", ["knn", "mahalanobis", "vim"])
def test_features_of_another_width_are_told(sides: dict[str, Known], name: str) -> None:
    known = sides["known"]
    assert known.features is not None
    detector = fitted(sides["learn"])[name]
    with pytest.raises(DataError, match=r"features have 60 numbers each\. it was fitted on 64"):
        detector.score(known.features[:, :60], known.logits)


def test_one_known_class_is_judged_by_the_plain_distance(sides: dict[str, Known]) -> None:
    learn, foreign = sides["learn"], sides["foreign"]
    assert learn.features is not None
    own = learn.labels == 0
    given = learn.features[own], learn.logits[own], learn.labels[own]
    relative, plain = (Mahalanobis(relative=one).fit(*given) for one in (True, False))
    found = relative.score(foreign.features, foreign.logits)
    np.testing.assert_allclose(found, plain.score(foreign.features, foreign.logits))
    assert found.min() > np.median(relative.score(*given[:2]))


def test_too_few_samples_are_told(sides: dict[str, Known]) -> None:
    learn = sides["learn"]
    assert learn.features is not None
    for detector, count, said in ((Mahalanobis(), 1, "no spread"), (Vim(), 1, "fill no space"), (Vim(), 2, "fill no")):
        with pytest.raises(DataError, match=said):
            detector.fit(learn.features[:count], learn.logits[:count], learn.labels[:count])
    one = Known(features=learn.features[:1], logits=learn.logits[:1], labels=learn.labels[:1])
    assert "knn" in fitted(one)
    assert not {"vim", "mahalanobis"} & set(fitted(one))
