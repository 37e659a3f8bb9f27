"""A budget for the whole pool, and mistakes that are told before any work."""

from __future__ import annotations

import numpy as np
import pytest

from scarce.errors import ConfigError, UnknownNameError
from scarce.label.query import Pool, check
from scarce.label.query._base import AbstractQuery
from scarce.label.query._copies import Sieve
from scarce.label.query._run import _ranked
from scarce.label.query.priority import Priority


def sieve(rows: np.ndarray, rng: np.random.Generator) -> Sieve:
    n = len(rows)
    return Sieve(rng.integers(0, n, n), rng.integers(0, n // 2, n), rows, 0.9)


@pytest.mark.parametrize("kin", [True, False])
def test_blocks_let_through_what_single_rows_do(kin: bool) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(150, 6)).astype(np.float32)[rng.integers(0, 150, 1300)]
    rows += rng.normal(scale=0.3, size=rows.shape).astype(np.float32)
    one, many = (sieve(rows, np.random.default_rng(1)) for _ in range(2))
    order = rng.permutation(1300)
    singly = [one.passes(int(row), kin=kin) for row in order]
    assert 50 < sum(singly) < 1250
    np.testing.assert_array_equal(many.through(order, kin=kin), singly)
    assert one.count == many.count
    np.testing.assert_allclose(one.seen[: one.count], many.seen[: many.count], atol=1e-6)
    assert one.used == many.used


def test_a_pool_that_is_taken_whole_is_not_chosen_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(3), 60).astype(np.float32)
    labels = np.where(np.arange(60) < 10, np.arange(60) % 3, -1)
    pool = Pool(labels=labels, candidates=np.arange(10, 60), embeddings=rng.normal(size=(60, 4)).astype(np.float32),
                pred_probs=probs, classes=("a", "b", "c"))  # fmt: skip
    greedy: list[int] = []
    plain = Priority.rank
    monkeypatch.setattr(Priority, "rank", lambda self, pool, n: greedy.append(n) or plain(self, pool, n))
    found = _ranked(Priority(), pool, 50)
    assert sorted(found.rows) == list(range(10, 60))
    assert (np.diff(found.value) <= 0).all()
    assert greedy == []
    _ranked(Priority(), pool, 20)
    assert greedy == [20]
    assert issubclass(Priority, AbstractQuery)


def test_mistakes_are_told_before_features_are_made() -> None:
    with pytest.raises(UnknownNameError, match="nosuch"):
        check("nosuch", 5)
    with pytest.raises(ConfigError, match="budget = -3"):
        check("margin", -3)
    assert check("auto", 5) is None
