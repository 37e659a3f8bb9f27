"""Consensus of annotators, against truth, published figures and outside oracles."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from scarce.ballot import with_votes
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError
from scarce.label import vote
from scarce.registry import names

sys.path.insert(0, str(Path(__file__).parents[1]))
from crowd import drawn, read_crowd, shared_credit

FITS = {
    "majority": vote.fit_majority, "dawid_skene": vote.fit_dawid_skene, "one_coin": vote.fit_one_coin,
    "mace": vote.fit_mace, "glad": vote.fit_glad,
}  # fmt: skip


def voted(ds_rows: list[tuple[str, str, str | None]], classes: tuple[str, ...] = ("good", "torn")) -> Dataset:
    ids = sorted({row[0] for row in ds_rows})
    ds = Dataset.from_columns(Schema(classes=classes), {"id": ids, "uri": [f"{one}.png" for one in ids]})
    return with_votes(ds, [{"sample": one, "voter": who, "label": label} for one, who, label in ds_rows])


@pytest.mark.parametrize(
    ("crowd", "k", "method", "accuracy"),
    [
        ("product", 2, "majority", 0.8966), ("product", 2, "dawid_skene", 0.9366), ("product", 2, "mace", 0.93),
        ("product", 2, "one_coin", 0.90), ("product", 2, "glad", 0.92), ("face", 4, "majority", 0.637),
        ("face", 4, "dawid_skene", 0.64), ("face", 4, "mace", 0.64), ("face", 4, "glad", 0.62),
    ],
)  # fmt: skip
def test_real_crowds_are_judged_as_well_as_published(
    shared_data: Path, crowd: str, k: int, method: str, accuracy: float
) -> None:
    gold, votes = read_crowd(shared_data / "crowd_votes" / crowd)
    found = FITS[method](votes, k)
    assert shared_credit(found.posterior, gold) >= accuracy - 5e-4
    np.testing.assert_allclose(found.posterior.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found.confusion.sum(axis=2), 1, atol=1e-9)


@pytest.mark.filterwarnings("ignore:The (inplace|copy) keyword")  # crowd-kit with pandas 3.1
@pytest.mark.parametrize("crowd", ["product", "face"])
def test_dawid_skene_is_that_of_crowd_kit(shared_data: Path, crowd: str) -> None:
    kit = pytest.importorskip("crowdkit.aggregation")
    import pandas as pd

    gold, votes = read_crowd(shared_data / "crowd_votes" / crowd)
    item, worker = np.nonzero(votes >= 0)
    table = pd.DataFrame({"task": item, "worker": worker, "label": votes[item, worker]})
    theirs = kit.DawidSkene(n_iter=100).fit_predict(table).reindex(range(len(gold))).to_numpy()
    ours = vote.fit_dawid_skene(votes, int(votes.max()) + 1).posterior.argmax(axis=1)
    assert (ours == theirs).mean() > 0.999
    assert (ours == gold).mean() >= (theirs == gold).mean() - 2e-4


def plain_dawid_skene(votes: np.ndarray, k: int, passes: int) -> tuple[np.ndarray, np.ndarray]:
    """The textbook's loop, row by row."""
    posterior = np.stack([[(row == code).sum() for code in range(k)] for row in votes]).astype(float)
    posterior /= posterior.sum(axis=1, keepdims=True)
    confusion = np.zeros((votes.shape[1], k, k))
    for _ in range(passes):
        for voter in range(votes.shape[1]):
            counts = np.full((k, k), 0.01)
            for row, said in zip(posterior, votes[:, voter], strict=True):
                if said >= 0:
                    counts[:, said] += row
            confusion[voter] = counts / counts.sum(axis=1, keepdims=True)
        prior = (posterior.sum(axis=0) + 0.01) / (posterior.sum() + 0.01 * k)
        for i, row in enumerate(votes):
            logs = np.log(prior) + sum(np.log(confusion[j, :, said]) for j, said in enumerate(row) if said >= 0)
            posterior[i] = np.exp(logs - logs.max()) / np.exp(logs - logs.max()).sum()
    return posterior, confusion


@pytest.mark.parametrize("k", [2, 3, 5])
def test_tokens_and_groups_change_nothing(k: int) -> None:
    _, votes = drawn(300, k, seed=k)
    votes = votes[(votes >= 0).any(axis=1)]
    votes = np.concatenate([votes, votes[:200], votes[:150]])
    posterior, confusion = vote.fit_dawid_skene(votes, k, iterations=3, tolerance=0)
    theirs, matrices = plain_dawid_skene(votes, k, 4)
    np.testing.assert_allclose(posterior, theirs, atol=2e-5)
    np.testing.assert_allclose(confusion, matrices, atol=2e-5)


@pytest.mark.parametrize("method", sorted(FITS))
def test_careless_and_contrary_annotators_do_not_hurt(method: str) -> None:
    truth, votes = drawn(800)
    found = FITS[method](votes, 3)
    assert shared_credit(found.posterior, truth) >= shared_credit(vote.fit_majority(votes, 3).posterior, truth) - 1e-9
    if method in ("dawid_skene", "one_coin", "mace", "glad"):
        assert found.accuracy[:4].min() > found.accuracy[4:].max()


def test_who_answers_without_looking_is_named_and_intervals_hold_the_truth() -> None:
    truth, votes = drawn(900)
    votes = np.hstack([votes, np.zeros((900, 1), int), np.full((900, 1), -1)])
    votes[3, 7] = truth[3]
    people = {one.name: one for one in vote.annotator_quality(votes, vote.fit_dawid_skene(votes, 3), list("abcdefgh"))}
    assert [people[name].verdict for name in "abcdefgh"] == ["", "", "", "", "random", "contrary", "constant", ""]
    for name in "abcd":
        assert people[name].low < 0.85 < people[name].high
        assert people[name].high - people[name].low < 0.1
    assert people["h"].votes == 1
    assert people["h"].high - people["h"].low > 0.6


def test_intervals_of_real_annotators_hold_their_accuracy_on_gold(shared_data: Path) -> None:
    gold, votes = read_crowd(shared_data / "crowd_votes" / "product")
    fitted = vote.fit_dawid_skene(votes, 2)
    guessed = {one.name: one for one in vote.annotator_quality(votes, fitted) if one.votes >= 30}
    known = {one.name: one for one in vote.annotator_quality(votes, fitted, gold=gold)}
    inside = [one.low <= known[name].accuracy <= one.high for name, one in guessed.items()]
    assert len(inside) > 80
    assert np.mean(inside) > 0.75  # below the nominal 0.95: real annotators err together on hard samples


def test_crowdlab_is_that_of_cleanlab() -> None:
    from cleanlab.multiannotator import get_label_quality_multiannotator

    truth, votes = drawn(500)
    votes = votes[:, :4]
    seen = (votes >= 0).any(axis=1)
    truth, votes = truth[seen], votes[seen]
    probs = np.random.default_rng(1).dirichlet(np.ones(3), len(truth)) * 0.6 + np.eye(3)[truth] * 0.4
    theirs = get_label_quality_multiannotator(np.where(votes < 0, np.nan, votes), probs, verbose=False)["label_quality"]
    ours = vote.fit_crowdlab(votes, 3, probs)
    label = theirs["consensus_label"].to_numpy()
    assert (ours.posterior.argmax(axis=1) == label).mean() > 0.99
    np.testing.assert_allclose(
        ours.posterior[np.arange(len(label)), label], theirs["consensus_quality_score"], atol=1e-4
    )
    assert (ours.posterior.argmax(axis=1) == truth).mean() > shared_credit(vote.fit_majority(votes, 3).posterior, truth)


def test_the_next_vote_is_asked_of_the_best_about_the_least_sure() -> None:
    posterior = np.array([[0.5, 0.5], [0.99, 0.01], [0.6, 0.4]])
    confusion = np.array([[[0.95, 0.05], [0.05, 0.95]], [[0.5, 0.5], [0.5, 0.5]], [[0.7, 0.3], [0.3, 0.7]]])
    gains = vote.expected_gain(posterior, confusion)
    entropy = -(confusion[0, 0] * np.log2(confusion[0, 0])).sum()
    assert gains[0, 0] == pytest.approx(1 - entropy)
    np.testing.assert_allclose(gains[:, 1], 0, atol=1e-12)
    found = vote.next_votes(posterior, confusion, 2, voted=np.array([[0, -1, -1], [-1] * 3, [-1] * 3]))
    assert list(zip(found.rows.tolist(), found.voters.tolist(), strict=True)) == [(2, 0), (0, 2)]
    assert sorted(vote.next_votes(posterior, confusion, 3, most_each=1).voters.tolist()) == [0, 1, 2]
    assert len(vote.next_votes(posterior, confusion, 99).rows) == 3


def test_asking_by_expected_gain_beats_asking_at_random(shared_data: Path) -> None:
    gold, votes = read_crowd(shared_data / "crowd_votes" / "face")
    first = np.where(np.cumsum(votes >= 0, axis=1) <= 2, votes, -1)
    fitted = vote.fit_dawid_skene(first, 4)
    hidden = (votes >= 0) & (first < 0)
    asked = vote.next_votes(fitted.posterior, fitted.confusion, 250, voted=np.where(hidden, -1, 0))
    smart = first.copy()
    smart[asked.rows, asked.voters] = votes[asked.rows, asked.voters]
    scores = []
    for seed in range(10):
        rows = np.random.default_rng(seed).permutation(np.flatnonzero(hidden.any(axis=1)))[:250]
        plain = first.copy()
        for row in rows:
            voter = np.random.default_rng([seed, row]).choice(np.flatnonzero(hidden[row]))
            plain[row, voter] = votes[row, voter]
        scores.append(shared_credit(vote.fit_dawid_skene(plain, 4).posterior, gold))
    assert shared_credit(vote.fit_dawid_skene(smart, 4).posterior, gold) > np.mean(scores)


def test_a_better_guideline_shows_in_agreement_and_no_change_does_not() -> None:
    from scarce.audit.agreement import krippendorff_alpha
    from scarce.faults.annotator_noise import annotate, confusion_of

    truth = np.random.default_rng(0).integers(0, 3, 300)
    loose, strict = (
        annotate(truth, np.stack([confusion_of("symmetric", 3, rate)] * 3), seed=4) for rate in (0.35, 0.1)
    )
    found = vote.agreement_change(loose, strict, 3)
    assert (found.before, found.after) == pytest.approx((krippendorff_alpha(loose), krippendorff_alpha(strict)))
    assert found.verdict == "better"
    again = annotate(truth, np.stack([confusion_of("symmetric", 3, 0.35)] * 3), seed=9)
    same = vote.agreement_change(loose, again, 3)
    assert same.low < 0 < same.high
    assert same.verdict == "no evidence"
    with pytest.raises(DataError, match="no sample has two votes after"):
        vote.agreement_change(loose, np.full((300, 2), -1), 3)


def test_agreement_is_split_at_a_time() -> None:
    ds = voted([(one, who, "good") for one in "abc" for who in ("x", "y")])
    when = [datetime(2026, 1, 1, tzinfo=UTC)] * 4 + [datetime(2026, 3, 1, tzinfo=UTC)] * 2
    labels = ["good", "torn", "torn", "good", "good", "torn"]
    table = ds.votes.set_column(5, "when", pa.array(when, pa.timestamp("us")))
    table = table.set_column(3, "label", pa.array(labels, pa.string()))
    ds = Dataset(ds.schema, ds.table, votes=table)
    found = vote.agreement_before_and_after(ds, datetime(2026, 2, 1, tzinfo=UTC))
    assert (found.items_before, found.items_after, found.undated) == (2, 1, 0)


def test_labels_are_written_corrections_stay_and_doubt_is_asked_about() -> None:
    said = [("a", "x", "good"), ("a", "y", "good"), ("a", "z", "good"), ("b", "x", "torn"), ("b", "y", "torn"),
            ("b", "z", "good"), ("c", "x", "good"), ("c", "y", "torn"), ("d", "x", "torn"), ("d", "y", "torn"),
            ("e", "x", "torm")]  # fmt: skip
    ds = voted(said).with_columns({"label": ["good", None, None, "good", None],
                                   "label_source": ["given", None, None, "human", None]})  # fmt: skip
    found = vote.run(ds, method="majority")
    assert found.dataset.table["label"].to_pylist() == ["good", "torn", None, "good", None]
    assert found.dataset.table["label_source"].to_pylist() == ["vote", "vote", None, "human", None]
    assert found.dataset["label_probs"][1].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert found.kept == 1
    assert [one["sample"] for one in found.questions()] == ["c", "b"]
    assert found.questions()[0]["reason"] == "annotators disagree: good 1, torn 1"
    assert found.unknown == {"torm": 1}
    assert vote.run(ds, method="majority", overwrite=True).dataset.table["label"].to_pylist()[3] == "torn"
    assert found.dataset.steps[-1].params["labeled"] == 2


def test_crowdlab_takes_features_of_the_dataset() -> None:
    from scarce.testing import tiny_dataset

    ds = tiny_dataset({"good": 60, "scratch": 40})
    truth = ds["label"]
    wrong = np.random.default_rng(0).random((100, 3)) < 0.3
    rows = [{"sample": ds.ids[i], "voter": f"v{j}", "label": ds.schema.classes[truth[i] ^ int(wrong[i, j])]}
            for i in range(100) for j in range(3)]  # fmt: skip
    ds = with_votes(Dataset(ds.schema, ds.table, wide={"embedding.tiny": ds["embedding.tiny"]}), rows)
    found = vote.run(ds, method="crowdlab")
    plain = vote.run(ds, method="majority")
    assert (found.dataset["label"] == truth).mean() > (plain.dataset["label"] == truth).mean()
    bare = Dataset(ds.schema, ds.table, votes=ds.votes)
    with pytest.raises(DataError, match="scarce encode"):
        vote.run(bare, method="crowdlab")


def test_auto_takes_the_model_that_the_votes_can_feed() -> None:
    from scarce.label.vote._run import choose_method

    _, many = drawn(800)
    assert choose_method(many, 3) == "dawid_skene"
    assert choose_method(many[:40], 3) == "one_coin"
    assert choose_method(many[:8], 3) == "majority"
    assert choose_method(many[:, :1], 3) == "majority"


@pytest.mark.parametrize("method", names("label.vote"))
@pytest.mark.parametrize(
    "votes",
    [np.full((4, 3), -1), np.zeros((0, 3), int), np.array([[0], [1], [-1]]), np.zeros((5, 2), int),
     np.zeros((3, 0), int)],
    ids=["nobody", "nothing", "one annotator", "one class", "no annotator"],
)  # fmt: skip
def test_little_is_enough(method: str, votes: np.ndarray) -> None:
    if method == "crowdlab":
        with pytest.raises(DataError) if votes.shape != (5, 2) else np.errstate():
            vote.fit_crowdlab(votes, 2, np.full((len(votes), 2), 0.5))
        return
    found = FITS[method](votes, 2)
    assert found.posterior.shape == (len(votes), 2)
    assert found.confusion.shape == (votes.shape[1], 2, 2)
    assert np.isfinite(found.posterior).all()
    assert np.isfinite(found.confusion).all()
    if votes.shape == (5, 2):
        assert (found.posterior.argmax(axis=1) == 0).all()


BAD: list[tuple[Any, int, str]] = [
    (np.array([[0, 2]]), 2, "unknown classes, for example 2 in row 0"), (np.array([[0, -2]]), 2, "unknown classes"),
    (np.array([0, 1]), 2, "have shape"), (np.array([[0.0, np.nan]]), 2, "votes are float64"),
    (np.array([["a"]]), 2, "whole numbers"), (np.array([[0]]), 0, "n_classes is 0"),
]  # fmt: skip


@pytest.mark.parametrize(("votes", "k", "message"), BAD)
@pytest.mark.parametrize("method", sorted(FITS))
def test_nonsense_is_refused(method: str, votes: Any, k: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        FITS[method](votes, k)


def test_a_thousand_classes_are_no_trouble_or_refused_in_words() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 1000, 400)
    votes = np.where(rng.random((400, 3)) < 0.8, truth[:, None], rng.integers(0, 1000, (400, 3)))
    for found in (vote.fit_majority(votes, 1000), vote.fit_one_coin(votes, 1000, iterations=3)):
        assert (found.posterior.argmax(axis=1) == truth).mean() > 0.85
    with pytest.raises(DataError, match="GiB"):
        vote.fit_dawid_skene(np.zeros((10, 200), int), 1000)


def test_nobody_voted_is_said_with_what_is_there() -> None:
    with pytest.raises(DataError, match=r"2 votes name no class, for example 'toorn'; did you mean 'torn'"):
        vote.run(voted([("a", "x", "toorn"), ("a", "y", "toorn")]))
    with pytest.raises(DataError, match="no vote names a class"):
        vote.run(Dataset.from_columns(Schema(classes=("good", "torn")), {"id": ["a"]}))
