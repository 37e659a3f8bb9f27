"""Whom to ask next: shared among people, without a matrix of all samples and people."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from scarce import ballot
from scarce.dataset import Dataset, Schema
from scarce.errors import UnknownNameError
from scarce.faults.annotator_noise import annotate, confusion_of
from scarce.label import vote
from scarce.loop.voting import Ahead, next_votes


def test_a_preselection_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    posterior = rng.dirichlet(np.ones(4), 3000)
    confusion = np.stack([confusion_of("symmetric", 4, rate) for rate in (0.05, 0.2, 0.4)])
    voted = np.where(rng.random((3000, 3)) < 0.3, 0, -1)
    whole = vote.next_votes(posterior, confusion, 60, voted=voted)
    monkeypatch.setattr("scarce.label.vote._ask.BLOCK", 500)
    parts = vote.next_votes(posterior, confusion, 60, voted=voted)
    np.testing.assert_array_equal(whole.rows, parts.rows)
    np.testing.assert_array_equal(whole.voters, parts.voters)


def test_many_samples_and_people_need_no_matrix_of_both() -> None:
    rng = np.random.default_rng(0)
    posterior = rng.dirichlet(np.ones(2), 60_000)
    confusion = np.stack([confusion_of("symmetric", 2, 0.1)] * 100)
    tracemalloc.start()
    found = vote.next_votes(posterior, confusion, 50)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found.rows) == 50
    assert peak < 32e6, "the matrix alone takes 48 MB"


@pytest.fixture(scope="module")
def crowd() -> tuple[Dataset, vote.Voted]:
    n = 240
    truth = np.random.default_rng(0).integers(0, 3, n)
    rates = (0.02, 0.15, 0.2)
    cast = annotate(truth, np.stack([confusion_of("symmetric", 3, rate) for rate in rates]), missing=0.4, seed=1)
    cast[200:] = -1
    schema = Schema(modality="image", task="class", classes=("a", "b", "c"))
    given = [schema.classes[code] if row < 30 else None for row, code in enumerate(truth)]
    ds = Dataset.from_columns(schema, {
        "id": [f"{row:04d}" for row in range(n)], "uri": [f"pics/{row}.png" for row in range(n)],
        "split": ["train"] * n, "label": pa.array(given, pa.string()),
        "label_source": pa.array(["given" if name else None for name in given], pa.string()),
    })  # fmt: skip
    ds = ballot.with_ratings(
        ds, np.arange(n), cast, ("anna", "ben", "eva"), kind="human", when=datetime(2026, 1, 1, tzinfo=UTC)
    )
    return ds, vote.run(ds, method="dawid_skene")


def test_votes_are_shared_among_those_who_are_there(crowd: tuple[Dataset, vote.Voted]) -> None:
    ds, found = crowd
    name = np.array(found.voters)
    said = next_votes(ds, found, Ahead(votes=30))
    assert set(np.unique(name[said.voters], return_counts=True)[1]) == {10}
    assert (said.rows >= 30).all(), "a label that was given needs no vote"
    assert (found.votes[said.rows, said.voters] < 0).all()
    few = next_votes(ds, found, Ahead(votes=30, people=("ben", "eva"), most_each=12))
    assert sorted(np.unique(name[few.voters], return_counts=True)[1]) == [12, 12]
    assert set(name[few.voters]) == {"ben", "eva"}
    with pytest.raises(UnknownNameError, match="ana"):
        next_votes(ds, found, Ahead(votes=3, people=("ana",)))


def test_a_model_says_where_nobody_voted(crowd: tuple[Dataset, vote.Voted]) -> None:
    ds, found = crowd
    probs = np.tile([0.98, 0.01, 0.01], (len(ds), 1))
    probs[200:205] = 1 / 3
    said = next_votes(ds.with_columns({"pred_probs.probe": probs}), found, Ahead(votes=40))
    silent = said.rows[said.rows >= 200]
    assert set(range(200, 205)) <= set(silent.tolist())
    assert set(range(205, 240)) - set(silent.tolist()), "the model is sure about these"
