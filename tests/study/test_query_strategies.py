"""Which strategy needs the fewest labels, on real garments; curves, savings and resuming."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scarce.dataset import Dataset
from scarce.errors import ConfigError, DataError, ReadError, UnknownNameError
from scarce.study._base import within
from scarce.study._curve import Curves, difference, labels_to_reach, needed, saving
from scarce.study._journal import Journal
from scarce.study._learner import Kernel, learner
from scarce.study.query_strategies import QueryStrategies, Task

SMALL = QueryStrategies(
    strategies=("margin", "typi_clust:margin"), initial=20, step=20, budget=60, seeds=2, model="kernel", target=0.7
)


def test_doubt_and_a_cold_start_beat_random_on_garments_and_the_test_split_is_not_seen(
    pictures: Dataset, tmp_path: Path
) -> None:
    journal = tmp_path / "study.jsonl"
    found = SMALL.run(pictures, journal=journal, minutes=5, seed=0)
    rows = found.body["strategies"]
    assert set(rows) == {"random", "margin", "typi_clust:margin"}
    assert found.body["setting"]["pool"] + found.body["setting"]["judged"] == (pictures["split"] == "train").sum()
    assert rows["typi_clust:margin"]["mean"][0] > rows["random"]["mean"][0] + 0.03
    assert rows["margin"]["mean"][0] == rows["random"]["mean"][0]
    assert rows["random"]["labels"] == [20, 40, 60]
    assert found.page.startswith("<!doctype html>")
    assert "<script" not in found.page
    assert json.loads(json.dumps(found.body)) == found.body

    lines = journal.read_text("utf-8").splitlines(keepends=True)
    journal.write_text("".join(lines[:4]) + lines[4][:30], "utf-8")
    again = SMALL.run(pictures, journal=journal, minutes=5, seed=0)
    assert again.body == found.body
    with pytest.raises(ReadError, match=r"another setting. seed = 0 there, 1 now"):
        SMALL.run(pictures, journal=journal, minutes=5, seed=1)


def test_a_journal_without_results_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "study.jsonl"
    Journal(path, {"weeks": 12})
    Journal(path, {"weeks": 8})
    assert json.loads(path.read_text("utf-8")) == {"setting": {"weeks": 8}}


def test_without_time_one_part_is_done_and_the_next_run_goes_on(pictures: Dataset, tmp_path: Path) -> None:
    short = QueryStrategies(strategies=("margin",), initial=20, step=20, budget=40, seeds=1, model="linear")
    first = short.run(pictures, journal=tmp_path / "s.jsonl", minutes=0, seed=0)
    assert first.body["seeds_done"] == 0
    assert "0 of 1 seeds" in first.page
    for _ in range(2):
        last = short.run(pictures, journal=tmp_path / "s.jsonl", minutes=0, seed=0)
    assert last.body["seeds_done"] == 1


def test_parts_that_are_done_are_not_begun_again() -> None:
    assert list(within(["a", "b", "c"], ["b"], minutes=1, what="runs")) == ["a", "c"]
    assert list(within(["a", "b", "c"], ["a"], minutes=0, what="runs")) == ["b"]


def test_labels_to_reach_a_target_lie_on_the_line_between_rounds() -> None:
    labels = np.array([10, 20, 30])
    score = np.array([[0.5, 0.7, 0.9], [0.9, 0.9, 0.9], [0.1, 0.2, 0.3]])
    np.testing.assert_allclose(labels_to_reach(labels, score, 0.8), [25.0, 10.0, np.nan])


def test_a_known_saving_is_found_with_an_interval_that_holds_it() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(10, 510, 10)
    noise = rng.normal(0, 0.01, (20, 1))
    slow = Curves(labels, 1 - np.exp(-labels / 200) + noise)
    fast = Curves(labels, 1 - np.exp(-labels / 100) + noise)
    found = saving(fast, slow, 0.7)
    assert found["low"] - 0.01 <= 0.5 <= found["high"] + 0.01
    assert found["high"] - found["low"] < 0.05
    assert not found["at_least"]
    assert needed(fast, 0.7)["value"] == pytest.approx(-100 * np.log(0.3), rel=0.05)
    censored = saving(fast, slow, 0.95)
    assert censored["at_least"]
    assert censored["value"] == pytest.approx(1 - needed(fast, 0.95)["value"] / 500)
    assert saving(slow, fast, 0.99)["value"] is None
    assert difference(fast, slow, 100)["low"] > 0


def test_kernel_answers_are_those_of_kernel_ridge(pictures: Dataset) -> None:
    from sklearn.kernel_ridge import KernelRidge

    points, codes = pictures["embedding.pca"], pictures["label"]
    made = Kernel(points[:1000], points[1000:], 10)
    for start in (0, 60, 120):
        made.learn(np.arange(start, start + 60), codes[start : start + 60])
    scale = 2 * points[:1000].var(axis=0).sum()
    peer = KernelRidge(alpha=made.ridge, kernel="rbf", gamma=made.width / scale)
    peer.fit(points[:180], np.eye(10)[codes[:180]] - 0.1)
    assert (made.answers() == peer.predict(points[1000:]).argmax(axis=1)).mean() > 0.999
    np.testing.assert_allclose(made.pool_probs().sum(axis=1), 1, atol=1e-5)
    with pytest.raises(UnknownNameError, match="kernel"):
        learner("kernels", points, points, 10)


def test_bad_input_is_refused(pictures: Dataset) -> None:
    task = Task(np.eye(4), np.arange(4) % 2, np.eye(4), np.arange(4) % 2, ("a", "b"))
    for study, error, words in (
        (QueryStrategies(strategies=("margins",)), UnknownNameError, "margin"),
        (QueryStrategies(strategies=("margin:random",)), ConfigError, "cannot ask first"),
        (QueryStrategies(strategies=("a:b:c",)), ConfigError, "FIRST:THEN"),
        (QueryStrategies(initial=5), ConfigError, "the pool has 4"),
    ):
        with pytest.raises(error, match=words):
            study.compare(task, journal=None, minutes=1, seed=0)
    bare = Dataset(pictures.schema, pictures.table)
    with pytest.raises(DataError, match="no features"):
        SMALL.run(bare, journal=None, minutes=1, seed=0)
    none = pictures.with_columns({"label": [None] * len(pictures), "label_source": [None] * len(pictures)})
    with pytest.raises(DataError, match="40 of at least two"):
        SMALL.run(none, journal=None, minutes=1, seed=0)


def test_a_small_pool_is_asked_in_small_rounds() -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(60) % 2
    features = (rng.normal(size=(60, 4)) + 2 * truth[:, None]).astype(np.float32)
    task = Task(features, truth, features, truth, ("a", "b"))
    found = QueryStrategies(strategies=("margin",), seeds=2).compare(task, journal=None, minutes=1, seed=0)
    assert (found.body["setting"]["initial"], found.body["setting"]["step"]) == (6, 6)
