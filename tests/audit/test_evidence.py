from __future__ import annotations

import re

import numpy as np
import pytest

from scarce import audit, probe
from scarce.audit import _evidence
from scarce.audit.label_error import judge_labels, label_evidence
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError


def clouds(sizes: tuple[int, ...], *, width: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    means = rng.normal(0, 1.4, (len(sizes), width))
    return (means[labels] + rng.normal(0, 1, (len(labels), width))).astype(np.float32), labels


def test_the_mean_without_a_group_is_that_of_a_fit_without_it() -> None:
    points, labels = clouds((30, 20, 10))
    member = np.r_[np.arange(55), 50, 51, 52, 53, 54]
    whole = _evidence.prototype_probs(points, labels, member, 3)
    row = 57
    rows, code = points.astype(float), labels
    rest = member != member[row]
    middle = rows.mean(axis=0)
    counts = np.bincount(code[rest], minlength=3)
    smooth = _evidence.SMOOTHING
    full = np.stack([(rows[code == c].sum(axis=0) + smooth * middle) / ((code == c).sum() + smooth) for c in range(3)])
    whiten = _evidence._whitening(rows - full[code])
    without = np.stack(
        [(rows[rest & (code == c)].sum(axis=0) + smooth * middle) / (counts[c] + smooth) for c in range(3)]
    )
    square = (((rows[row] - without) @ whiten) ** 2).sum(axis=1) / (1 + 1 / (counts + smooth))
    expected = np.exp(np.log(counts + 0.5) - 0.5 * square)
    np.testing.assert_allclose(whole[row], expected / expected.sum(), rtol=1e-6)


def test_copies_do_not_vouch_for_each_other() -> None:
    points, labels = clouds((300, 300, 24), seed=3)
    spots = np.flatnonzero(labels == 0)[:6]
    copies = np.repeat(points[spots], 4, axis=0)
    features = np.r_[points, copies + 1e-4]
    given = np.r_[labels, np.full(len(copies), 2)]
    given[spots] = 2
    groups = np.r_[np.arange(len(points)), np.repeat(spots, 4)]
    wrong = np.isin(groups, spots)
    alone = judge_labels(given, label_evidence(features, given, 3)).wrong
    tied = judge_labels(given, label_evidence(features, given, 3, groups=groups)).wrong
    assert (tied[wrong] > 0.5).mean() > 0.6
    assert (alone[wrong] > 0.5).mean() < (tied[wrong] > 0.5).mean() - 0.3


def average_precision(wrong: np.ndarray, score: np.ndarray, listed: np.ndarray) -> float:
    order = np.argsort(np.where(listed, -score, np.inf), kind="stable")
    hit = wrong[order] & listed[order]
    return float((np.cumsum(hit)[hit] / (np.flatnonzero(hit) + 1)).sum() / wrong.sum())


def test_a_rare_class_of_digits_is_judged_better_than_by_the_probe() -> None:
    from sklearn.datasets import load_digits

    features, every = load_digits(return_X_y=True)
    ahead = []
    for seed in range(3):
        rng, rare = np.random.default_rng(seed), seed + 3
        rows = np.concatenate(
            [rng.permutation(np.flatnonzero(every == code))[: 30 if code == rare else 80] for code in range(10)]
        )
        true = every[rows]
        given = true.copy()
        given[rng.choice(np.flatnonzero(true == rare), 5, replace=False)] = (rare + 1) % 10
        given[rng.choice(np.flatnonzero(true != rare), 5, replace=False)] = rare
        x = features[rows].astype(np.float32)
        plain = probe.cross_val_probs(x, given, 10, seed=seed)
        scores = []
        for probs in (plain / plain.sum(axis=1, keepdims=True), label_evidence(x, given, 10, seed=seed)):
            opinion = judge_labels(given, probs)
            listed = (given == rare) | (opinion.suggested == rare)
            scores.append(average_precision(given != true, opinion.wrong, listed))
        ahead.append(scores[1] - scores[0])
    assert np.mean(ahead) > 0.02


def dataset(labels: np.ndarray, features: np.ndarray, classes: tuple[str, ...]) -> Dataset:
    columns = {
        "id": [f"{row:05d}" for row in range(len(labels))],
        "uri": [f"{row}.png" for row in range(len(labels))],
        "label": [classes[code] for code in labels],
    }
    ds = Dataset.from_columns(Schema(classes=classes), columns)
    return ds.with_columns({"embedding.made": features})


def test_the_check_tells_scarce_classes_and_look_alikes() -> None:
    features, labels = clouds((200, 150, 30), seed=5)
    given = labels.copy()
    given[[0, 1, 2]] = 2
    ds = audit.run(dataset(given, features, ("sound", "hole", "stain")), "label_error")
    found = ds.findings.to_pylist()
    scarce = [row for row in found if row["level"] == "class" and row["members"] == ["stain"]]
    assert len(scarce) == 1
    assert re.search(r'of 33 samples labelled "stain" about [34] are wrong', scarce[0]["why"])
    flagged = {row["members"][0]: row["why"] for row in found if row["level"] == "sample"}
    assert {"00000", "00001", "00002"} <= set(flagged)
    why = flagged["00000"]
    for name, code in (("sound", 0), ("stain", 2)):
        near = why.split(f'nearest "{name}" is ')[1].split(".png")[0]
        assert given[int(near)] == code


def test_bad_input_is_refused_in_words() -> None:
    features, labels = clouds((20, 20))
    with pytest.raises(DataError, match="shape"):
        label_evidence(features[:5], labels, 2)
    with pytest.raises(DataError, match="codes"):
        label_evidence(features, labels - 1, 2)
    with pytest.raises(DataError, match="2 labelled groups"):
        label_evidence(features, labels, 2, groups=np.zeros(40))


@pytest.mark.parametrize("sizes", [(1, 1, 1), (40, 1), (2, 0, 30)])
def test_tiny_classes_give_an_answer(sizes: tuple[int, ...]) -> None:
    features, labels = clouds(sizes)
    probs = label_evidence(features, labels, 3)
    assert np.isfinite(probs).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1)


def test_evidence_keeps_the_share_of_a_rare_class() -> None:
    """Fifty of two thousand, overlapping, every label right: nothing common may look rare."""
    rng = np.random.default_rng(0)
    labels = (np.arange(2000) < 50).astype(int)
    features = rng.normal(size=(2000, 6)).astype(np.float32)
    features[:, 0] += 2.0 * labels
    probs = label_evidence(features, labels, 2)
    assert abs(probs[:, 1].mean() - 0.025) < 0.002
    opinion = judge_labels(labels, probs)
    assert (opinion.wrong > 0.5).sum() <= 10
    assert opinion.low < 0.005
