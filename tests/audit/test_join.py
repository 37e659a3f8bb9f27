"""The exact joins: the bfloat16 route, order, crowds, mirrored rows, and every kind of bad input."""

from __future__ import annotations

import numpy as np
import pytest

from scarce.audit import _join
from scarce.audit._group import components, stars
from scarce.audit.near_duplicate import duplicate_pairs, hamming_pairs
from scarce.errors import DataError


def clustered(n: int, d: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    spectrum = 1 / np.sqrt(1 + np.arange(d) / 8)
    rows = (rng.standard_normal((n, d)) * spectrum).astype(np.float32)
    rows += (rng.standard_normal((n // 50, d)) * spectrum).astype(np.float32)[rng.integers(0, n // 50, n)]
    copies = rng.choice(n, n // 8, replace=False)
    rows[copies] = rows[rng.choice(n, n // 8)] + rng.uniform(0, 0.2, (n // 8, 1)) * rng.standard_normal((n // 8, d))
    return rows


def test_bfloat16_finds_the_same_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    rows = clustered(3000, 96)
    expected, similarity = _join.all_pairs(rows, 0.99)
    blocks: list[int] = []
    made = _join.half_products

    def counted(front: np.ndarray, back: np.ndarray) -> object:
        products = made(front, back)
        assert products is not None
        return lambda *run: (blocks.append(1), products(*run))[1]

    monkeypatch.setattr(_join, "MANY", 1000)
    monkeypatch.setattr(_join, "computes_half", lambda: True)
    monkeypatch.setattr(_join, "half_products", counted)
    found, value = _join.all_pairs(rows, 0.99)
    assert len(blocks) > 10
    assert len(expected) > 100
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(value, similarity)


def test_bits_of_bfloat16_keep_the_order() -> None:
    torch = pytest.importorskip("torch")
    values = torch.linspace(0.05, 1.5, 1000).bfloat16()
    bits = values.view(torch.int16).numpy()
    assert (np.diff(bits) >= 0).all()
    assert ((bits >= _join.half_cut(0.9)) >= (values.float().numpy() >= 0.9)).all()


def test_the_order_of_rows_does_not_matter() -> None:
    rows = clustered(2500, 64, seed=3)
    order = np.random.default_rng(0).permutation(len(rows))
    back = np.sort(order[duplicate_pairs(rows[order])], axis=1)
    assert {tuple(pair) for pair in back.tolist()} == {tuple(pair) for pair in duplicate_pairs(rows).tolist()}


@pytest.mark.parametrize("kind", ["float16", "float64", "strided", "fortran", "reversed", "list", "mapped"])
def test_any_layout_gives_the_same_pairs(kind: str, tmp_path) -> None:
    rows = clustered(1500, 40, seed=1).astype(np.float16).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    wide = np.zeros((1500, 80), np.float32)
    wide[:, ::2] = rows
    other = {
        "float16": rows.astype(np.float16), "float64": rows.astype(np.float64), "strided": wide[:, ::2],
        "fortran": np.asfortranarray(rows), "reversed": rows[::-1][::-1], "list": rows.tolist(),
        "mapped": np.load(tmp_path / "rows.npy", mmap_mode="r"),
    }[kind]  # fmt: skip
    np.testing.assert_array_equal(duplicate_pairs(other, threshold=0.98), duplicate_pairs(rows, threshold=0.98))


def test_length_of_rows_makes_no_difference() -> None:
    rows = clustered(1200, 40, seed=2)
    longer = rows * np.random.default_rng(0).uniform(1e-6, 1e6, (1200, 1)).astype(np.float32)
    np.testing.assert_array_equal(duplicate_pairs(longer, threshold=0.97), duplicate_pairs(rows, threshold=0.97))


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_rows(n: int) -> None:
    assert duplicate_pairs(np.ones((n, 8))).tolist() == ([[0, 1]] if n == 2 else [])
    assert duplicate_pairs(np.ones((n, 0))).shape == (0, 2)
    assert hamming_pairs(np.zeros(n, np.uint64), 3).tolist() == ([[0, 1]] if n == 2 else [])


def test_rows_without_direction_among_many() -> None:
    rows = clustered(2000, 48, seed=5)
    bad = np.array([3, 700, 701, 1999])
    rows[bad] = 0
    found = duplicate_pairs(rows, threshold=0.95)
    assert len(found) > 50
    assert not np.isin(found, bad).any()
    good = np.setdiff1d(np.arange(2000), bad)
    np.testing.assert_array_equal(found, good[duplicate_pairs(rows[good], threshold=0.95)])


@pytest.mark.parametrize(
    ("rows", "threshold", "said"),
    [
        (np.ones(5), 0.99, r"shape \(5,\)"), (np.ones((2, 3, 4)), 0.99, "shape"), (np.ones((3, 2)), 0.0, "not in"),
        (np.ones((3, 2)), 1.5, "not in"), (np.ones((3, 2)), float("nan"), "not in"),
        (np.array([["a", "b"]]), 0.99, "numbers"), (np.ones((2, 2), complex), 0.99, "numbers"),
        (np.array([[None, 1]], object), 0.99, "numbers"), ([[1.0], [1.0, 2.0]], 0.99, "numbers"),
    ],
)  # fmt: skip
def test_what_is_no_matrix_of_numbers_is_refused(rows: object, threshold: float, said: str) -> None:
    with pytest.raises(DataError, match=said):
        duplicate_pairs(rows, threshold=threshold)


@pytest.mark.parametrize("hashes", [np.zeros((2, 2), np.uint64), np.zeros(3), np.array(["a"])])
def test_what_are_no_hashes_is_refused(hashes: np.ndarray) -> None:
    with pytest.raises(DataError):
        hamming_pairs(hashes, 3)


def test_signed_hashes_and_crowds_of_equal_ones() -> None:
    assert hamming_pairs(np.array([-1, 5, -2], np.int64), 1).tolist() == [[0, 2]]
    with pytest.raises(DataError, match="lower max_distance"):
        hamming_pairs(np.zeros(20_000, np.uint64), 4)


@pytest.mark.parametrize("most", [1, 5, 12, 30])
def test_hashes_that_share_much_are_joined_exactly(most: int) -> None:
    rng = np.random.default_rng(most)
    hashes = rng.integers(0, 2**20, 1200, dtype=np.uint64) << np.uint64(44 if most % 2 else 0)
    i, j = np.nonzero(np.triu(np.bitwise_count(hashes[:, None] ^ hashes[None]) <= min(most, 5), 1))
    assert hamming_pairs(hashes, min(most, 5)).tolist() == np.stack([i, j], axis=1).tolist()
    spread = rng.integers(0, 2**63, 300, dtype=np.uint64)
    i, j = np.nonzero(np.triu(np.bitwise_count(spread[:, None] ^ spread[None]) <= most, 1))
    assert hamming_pairs(spread, most).tolist() == np.stack([i, j], axis=1).tolist()


def test_crowds_are_whole_and_cost_few_pairs() -> None:
    """Two crowds of near copies among others: each hangs together, none is listed pair by pair."""
    rng = np.random.default_rng(7)
    rows = clustered(9000, 64, seed=7)
    crowds = np.split(rng.permutation(9000)[:4000], [1500])
    for members in crowds:
        rows[members] = rows[members[0]] + 0.002 * rng.standard_normal((len(members), 64))
    pairs, similarity = _join.candidate_pairs(rows, 0.99)
    assert len(pairs) < 9000 * 12
    assert (similarity >= np.float32(0.99)).all()
    part = components(9000, pairs)
    groups = stars(9000, pairs, similarity)
    for members in crowds:
        assert len(np.unique(part[members])) == 1
        largest = max(groups, key=lambda star: np.isin(star.members, members).sum())
        assert len(largest.members) >= len(members) - 1
    exact = duplicate_pairs(rows[np.setdiff1d(np.arange(9000), np.concatenate(crowds))])
    assert len(exact) > 50


def test_candidates_of_mirrored_rows_are_those_of_all_pairs() -> None:
    rng = np.random.default_rng(8)
    rows = rng.standard_normal((1500, 36)).astype(np.float32)
    rows[700:760] = rows[:60].reshape(60, 6, 6)[:, :, ::-1].reshape(60, 36)
    other = np.ascontiguousarray(rows.reshape(-1, 6, 6)[:, :, ::-1]).reshape(-1, 36)
    pairs, _ = _join.candidate_pairs(rows, 0.95, other=other)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    i, j = np.nonzero(np.triu(unit @ (other / np.linalg.norm(other, axis=1, keepdims=True)).T >= 0.95, 1))
    assert pairs.tolist() == np.stack([i, j], axis=1).tolist()
    assert len(pairs) >= 60
