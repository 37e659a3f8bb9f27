"""The probe: the same answer as scikit-learn, right gradients, folds that never cut a group."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from scarce.errors import DataError
from scarce.loss_spec import LossSpec
from scarce.probe import LinearProbe, Projection, cross_val_probs, fold_of

X, Y = (part[:600] for part in load_digits(return_X_y=True))
X = X.astype(np.float32)


def test_equals_scikit_learn_without_a_projection() -> None:
    identity = Projection.identity(X.shape[1])
    ours = LinearProbe(l2=1e-2, iterations=2000).fit(X / 16, Y, 10, projection=identity).predict_proba(X / 16)
    oracle = LogisticRegression(C=1 / (1e-2 * len(X)), tol=1e-8, max_iter=5000).fit(X / 16, Y).predict_proba(X / 16)
    assert np.abs(ours - oracle).max() < 5e-3


@pytest.mark.parametrize(
    "loss",
    [
        LossSpec(kind="focal", gamma=2.0),
        LossSpec(prior=tuple(np.log(np.arange(1, 11) / 55))),
        LossSpec(class_weights=tuple(np.linspace(0.5, 1.5, 10))),
    ],
)
def test_every_loss_learns_the_digits(loss: LossSpec) -> None:
    probs = LinearProbe(iterations=200).fit(X, Y, 10, loss=loss).predict_proba(X)
    assert (probs.argmax(1) == Y).mean() > 0.97
    assert np.allclose(probs.sum(1), 1)


def test_balanced_softmax_moves_answers_to_the_rare_class() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [900, 30])
    points = rng.normal(0, 1, (930, 4)).astype(np.float32)
    points[labels == 1, 0] += 1.0
    plain = LinearProbe().fit(points, labels, 2).predict_proba(points)
    adjusted = LinearProbe().fit(points, labels, 2, loss=LossSpec(prior=tuple(np.log([30, 1])))).predict_proba(points)
    recall = [(p.argmax(1) == 1)[labels == 1].mean() for p in (plain, adjusted)]
    assert recall[1] > recall[0] + 0.3


def test_soft_labels_equal_hard_ones_and_a_missing_class_is_never_answered() -> None:
    soft = np.eye(11)[Y]
    one = LinearProbe().fit(X, Y, 11).predict_proba(X)
    two = LinearProbe().fit(X, soft, 11).predict_proba(X)
    assert np.allclose(one, two)
    assert one[:, 10].max() < 1e-6


def test_rows_that_are_not_finite_are_refused() -> None:
    broken = X.copy()
    broken[3, 0] = np.nan
    with pytest.raises(DataError, match="1 of 600 rows"):
        LinearProbe().fit(broken, Y, 10)


def test_more_features_than_rows() -> None:
    wide = np.tile(X[:30], (1, 20))
    projection = Projection.fit(wide, components=256)
    assert projection.basis.shape == (1280, 29)
    assert np.isfinite(projection(wide)).all()


@given(st.integers(0, 2**20), st.integers(2, 6), st.integers(20, 120))
@settings(max_examples=40, deadline=None)
def test_folds_never_cut_a_group_and_reach_every_fold(seed: int, folds: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    groups = np.array([None if rng.random() < 0.3 else str(rng.integers(0, n // 3)) for _ in range(n)], object)
    place = fold_of(labels, groups, folds, seed=seed)
    for name in {group for group in groups if group is not None}:
        assert len(set(place[groups == name])) == 1
    assert set(place) == set(range(folds))
    assert (place == fold_of(labels, groups, folds, seed=seed)).all()


def test_cross_validation_is_out_of_sample_and_predicts_unlabelled_rows() -> None:
    labels = Y.copy()
    labels[:20] = -1
    probs = cross_val_probs(X, labels, 10)
    assert (probs.argmax(1) == Y).mean() > 0.9
    rng = np.random.default_rng(0)
    noise = rng.permutation(Y)
    assert (cross_val_probs(X, noise, 10).argmax(1) == noise).mean() < 0.2


def test_subspace_iteration_finds_what_a_full_decomposition_finds() -> None:
    from scarce.probe import leading

    rng = np.random.default_rng(0)
    low = rng.normal(size=(900, 60)) * np.linspace(3, 0.5, 60) @ rng.normal(size=(60, 700))
    rows = (low + 0.3 * rng.normal(size=(900, 700))).astype(np.float32)
    covariance = rows.T @ rows / 900
    values, vectors = leading(covariance, 50)
    oracle, basis = np.linalg.eigh(covariance.astype(np.float64))
    assert np.allclose(values, oracle[::-1][:50], rtol=1e-3)
    inside = np.linalg.norm(basis[:, ::-1][:, :40].T @ vectors, axis=1)
    assert inside.min() > 0.999
