from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scarce.split.grouped import assign_groups

RATIOS = (0.7, 0.1, 0.2)
SPLITS_BY_GROUPS = {1: {0}, 2: {0, 2}}


def reached(counts: np.ndarray, codes: np.ndarray, k: int) -> set[int]:
    return set(codes[counts[:, k] > 0].tolist())


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 8)), min_size=1, max_size=60), st.integers(0, 5))
def test_every_class_reaches_every_split_it_can(groups, seed):
    counts = np.zeros((len(groups), 4), int)
    for row, (k, n) in enumerate(groups):
        counts[row, k] = n
    codes = assign_groups(counts, RATIOS, seed=seed)
    assert codes.shape == (len(groups),)
    for k in range(4):
        n = int((counts[:, k] > 0).sum())
        if n:
            assert reached(counts, codes, k) == SPLITS_BY_GROUPS.get(n, {0, 1, 2})
    np.testing.assert_array_equal(codes, assign_groups(counts, RATIOS, seed=seed))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_groups_of_two_classes_are_placed_too(seed):
    rng = np.random.default_rng(seed)
    counts = np.zeros((40, 3), int)
    counts[np.arange(40), rng.choice(3, 40, p=[0.7, 0.2, 0.1])] = rng.integers(1, 7, 40)
    counts[:4, 0] += 1
    counts[:4, 2] += 1
    codes = assign_groups(counts, RATIOS, seed=seed)
    assert set(codes.tolist()) <= {0, 1, 2}
    assert reached(counts, codes, 2) == {0, 1, 2}


def test_shares_are_exact_where_nothing_binds():
    labels = np.repeat([0, 1, 2], [1000, 100, 10])
    counts = np.eye(3, dtype=int)[labels]
    codes = assign_groups(counts, RATIOS)
    for k, wanted in enumerate(([700, 100, 200], [70, 10, 20], [7, 1, 2])):
        assert np.bincount(codes[labels == k], minlength=3).tolist() == wanted
    assert (assign_groups(counts, RATIOS, seed=1) != codes).any()


def test_groups_come_near_the_shares():
    rng = np.random.default_rng(0)
    counts = np.zeros((225, 2), int)
    counts[np.arange(225), (np.arange(225) < 30).astype(int)] = rng.integers(4, 8, 225)
    codes = assign_groups(counts, RATIOS)
    share = np.stack([counts[codes == split].sum(0) for split in range(3)]) / counts.sum(0)
    np.testing.assert_allclose(share[:, 0], RATIOS, atol=0.01)
    np.testing.assert_allclose(share[:, 1], RATIOS, atol=0.035)


@pytest.mark.parametrize(
    ("ratios", "allowed"), [((0.8, 0.0, 0.2), {0, 2}), ((0.9, 0.1, 0.0), {0, 1}), ((1.0, 0.0, 0.0), {0})]
)
def test_a_closed_split_gets_nothing(ratios, allowed):
    counts = np.eye(2, dtype=int)[np.arange(50) % 2] * 3
    assert set(assign_groups(counts, ratios).tolist()) == allowed


def test_no_group_at_all():
    assert assign_groups(np.zeros((0, 3), int), RATIOS).shape == (0,)
