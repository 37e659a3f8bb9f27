"""Slow modes on one thread: threads that wait for each other made the search ten times as expensive."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from scarce.label.spread._graph import neighbor_graph, slow_modes


def test_the_search_for_slow_modes_uses_one_thread_of_algebra(monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.sparse import linalg

    seen: list[int] = []
    real = linalg.eigsh

    def watched(*args: Any, **options: Any) -> Any:
        seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return real(*args, **options)

    monkeypatch.setattr(linalg, "eigsh", watched)
    graph = neighbor_graph(np.random.default_rng(0).random((200, 4)))
    values, vectors = slow_modes(graph.weights, 10)
    assert set(seen) == {1}
    assert values[0] == pytest.approx(0, abs=1e-6)
    assert vectors.shape == (200, 10)
