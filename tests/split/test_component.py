from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scarce.dataset import Dataset, Schema
from scarce.kin import chain, component_codes
from scarce.split._component import Links, components, links

NONE = np.zeros((0, 2), np.int64)


def dataset(n: int, **columns: object) -> Dataset:
    return Dataset.from_columns(Schema(classes=("a", "b")), {"id": [f"{i:04d}" for i in range(n)], **columns})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30))
def test_components_match_a_plain_union(pairs):
    parent = list(range(20))

    def root(at: int) -> int:
        return at if parent[at] == at else root(parent[at])

    for a, b in pairs:
        parent[root(a)] = root(b)
    codes = component_codes(20, np.array(pairs, np.int64).reshape(-1, 2))
    for a in range(20):
        for b in range(20):
            assert (codes[a] == codes[b]) == (root(a) == root(b))
    first = [int(np.flatnonzero(codes == code)[0]) for code in range(codes.max() + 1)]
    assert first == sorted(first)


def test_reads_groups_and_pairs_of_the_three_checks():
    ds = dataset(6, group=["x", None, "x", None, None, None])
    ds = ds.with_findings("exact_duplicate", [
        {"level": "pair", "members": ["0001", "0003"], "score": 1.0, "why": ""},
        {"level": "group", "members": ["0001", "0003"], "score": 1.0, "why": ""},
        {"level": "pair", "members": ["0001", "gone"], "score": 1.0, "why": ""},
    ])  # fmt: skip
    ds = ds.with_findings("near_duplicate", [{"level": "pair", "members": ["0004", "0005"], "score": 0.97, "why": ""}])
    ds = ds.with_findings("same_object", [{"level": "pair", "members": ["0000", "0004"], "score": 0.6, "why": ""}])
    ds = ds.with_findings("leakage", [{"level": "pair", "members": ["0000", "0005"], "score": 1.0, "why": ""}])
    found = links(ds)
    assert found.sure.tolist() == [[0, 2], [1, 3]]
    assert found.near.tolist() == [[4, 5], [0, 4]]
    np.testing.assert_allclose(found.similarity, [0.97, 0.6])
    assert chain(np.array(["b", None, "a", "b", "b"], object)).tolist() == [[0, 3], [3, 4]]


def test_a_large_chain_is_loosened_at_its_weakest_links():
    n = 400
    near = np.stack([np.arange(99), np.arange(1, 100)], 1)
    similarity = np.full(99, 0.99, np.float32)
    similarity[[19, 39, 59, 79]] = 0.93
    labels = np.zeros(n, np.int64)
    found = components(dataset(n), Links(NONE, near, similarity), labels=labels, n_classes=2)
    assert np.bincount(found.code)[:5].tolist() == [20, 20, 20, 20, 20]
    assert len(found.findings) == 1
    assert "100 samples" in found.findings[0]["why"]
    assert "0.930" in found.findings[0]["why"]


def test_groups_and_exact_copies_are_never_cut():
    sure = np.stack([np.arange(99), np.arange(1, 100)], 1)
    found = components(dataset(400), Links(sure, NONE, np.zeros(0)), labels=np.zeros(400, int), n_classes=2)
    assert np.bincount(found.code)[0] == 100
    assert "must stay in one split" in found.findings[0]["why"]
    near = np.array([[99, 100]])
    found = components(dataset(400), Links(sure, near, np.ones(1)), labels=np.zeros(400, int), n_classes=2)
    assert np.bincount(found.code)[0] == 100


def test_half_of_a_class_is_too_much_but_few_copies_are_left_whole():
    labels = np.zeros(1000, np.int64)
    labels[:30] = 1
    near = np.stack([np.arange(17), np.arange(1, 18)], 1)
    found = components(dataset(1000), Links(NONE, near, np.linspace(0.99, 0.94, 17)), labels=labels, n_classes=2)
    assert np.bincount(found.code)[0] == 15
    few = np.stack([np.arange(7), np.arange(1, 8)], 1)
    labels[8:30] = 0
    found = components(dataset(1000), Links(NONE, few, np.full(7, 0.95)), labels=labels, n_classes=2)
    assert np.bincount(found.code)[0] == 8
    assert not found.findings
