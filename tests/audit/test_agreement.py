from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from scarce import audit, columns
from scarce.audit.agreement import (
    Agreement,
    cohen_kappa,
    cohen_matrix,
    disagreement,
    fleiss_kappa,
    in_words,
    judge_agreement,
    krippendorff_alpha,
)
from scarce.ballot import ratings_of
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError
from scarce.metric import agreement as coefficient

FLEISS_1971 = """444444 222555 233335 555555 222444 113333 333355 113334 114444 555555 144444 124444 222333 144444
224445 333335 111455 111112 224444 133555 555555 244444 224555 114444 144445 222224 111155 224444 133333 555555"""
FLEISS_TEXTBOOK = """0 0 0 0 14, 0 2 6 4 2, 0 0 3 5 6, 0 3 9 2 0, 2 2 8 1 1, 7 7 0 0 0, 3 2 6 3 0, 2 5 3 2 2, 6 5 2 1 0,
0 2 2 3 7"""


def slow_alpha(ratings: np.ndarray) -> float:
    """Krippendorff's alpha as his paper writes it: a coincidence matrix, item by item, pair by pair."""
    k = int(ratings.max()) + 1
    table = np.zeros((k, k))
    for row in ratings:
        votes = row[row >= 0]
        for i, a in enumerate(votes):
            for j, b in enumerate(votes):
                if i != j:
                    table[a, b] += 1 / (len(votes) - 1)
    n = table.sum()
    totals = table.sum(0)
    return 1 - (n - 1) * (n - np.trace(table)) / (n * n - (totals**2).sum())


def crowd(folder: Path) -> np.ndarray:
    rows = list(csv.DictReader((folder / "votes.csv").open(encoding="utf-8")))
    item = np.unique([row["item"] for row in rows], return_inverse=True)[1]
    worker = np.unique([row["worker"] for row in rows], return_inverse=True)[1]
    out = np.full((item.max() + 1, worker.max() + 1), -1)
    out[item, worker] = [int(row["label"]) for row in rows]
    return out


def drawn(n: int, raters: int, k: int = 4, missing: float = 0.2, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    votes = np.where(rng.random((n, raters)) < 0.7, truth[:, None], rng.integers(0, k, (n, raters)))
    return np.where(rng.random((n, raters)) < missing, -1, votes)


def test_published_values() -> None:
    fleiss = np.array([[int(vote) - 1 for vote in row] for row in FLEISS_1971.split()])
    assert fleiss_kappa(fleiss) == pytest.approx(0.4302, abs=5e-5)
    table = np.array([[int(cell) for cell in row.split()] for row in FLEISS_TEXTBOOK.split(",")])
    ratings = np.stack([np.repeat(np.arange(5), row) for row in table])
    assert fleiss_kappa(ratings) == pytest.approx(0.2099, abs=5e-5)
    rows = [[1, 1, -1, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4], [4, 4, 4, 4],
            [1, 1, 2, 1], [2, 2, 2, 2], [-1, 5, 5, 5], [-1, -1, 1, 1], [-1, 3, -1, -1]]  # fmt: skip
    krippendorff = np.array(rows)
    krippendorff[krippendorff > 0] -= 1
    assert krippendorff_alpha(krippendorff) == pytest.approx(0.743, abs=5e-4)


@pytest.mark.parametrize("n", [500, 3000])
def test_cohen_equals_sklearn(n: int) -> None:
    """Few items are counted pair by pair, many by who said what."""
    from sklearn.metrics import cohen_kappa_score

    ratings = drawn(n, 4, missing=0.3)
    matrix, shared = cohen_matrix(ratings)
    expected = []
    for one in range(4):
        for two in range(one + 1, 4):
            both = (ratings[:, one] >= 0) & (ratings[:, two] >= 0)
            expected.append(cohen_kappa_score(ratings[both, one], ratings[both, two]))
            assert matrix[one, two] == matrix[two, one] == pytest.approx(expected[-1], abs=1e-12)
            assert shared[one, two] == both.sum()
    assert cohen_kappa(ratings) == pytest.approx(np.mean(expected))
    assert cohen_kappa(ratings[:, :2]) == pytest.approx(expected[0])


@pytest.mark.parametrize(("raters", "k"), [(3, 4), (12, 9)])
def test_alpha_with_missing_votes_equals_the_slow_way(raters: int, k: int) -> None:
    """Few combinations of votes are counted together, many are taken item by item; both must be right."""
    ratings = drawn(300, raters, k, missing=0.4)
    assert krippendorff_alpha(ratings) == pytest.approx(slow_alpha(ratings), abs=1e-10)
    assert krippendorff_alpha(ratings.astype(np.int8)) == pytest.approx(slow_alpha(ratings), abs=1e-10)


@pytest.mark.parametrize("name", ["face", "product"])
def test_alpha_of_a_real_crowd(name: str, shared_data: Path) -> None:
    ratings = crowd(shared_data / "crowd_votes" / name)
    found = judge_agreement(ratings, repeats=200)
    assert found.alpha.value == pytest.approx(slow_alpha(ratings), abs=1e-10)
    assert found.alpha.low < found.alpha.value < found.alpha.high
    assert found.items == ((ratings >= 0).sum(axis=1) >= 2).sum()
    assert len(found.per_rater) == ratings.shape[1]


def test_intervals_cover_and_both_ways_of_drawing_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = krippendorff_alpha(drawn(200_000, 3))
    covered = []
    for seed in range(60):
        found = judge_agreement(drawn(250, 3, seed=seed + 1), repeats=300, seed=seed).alpha
        covered.append(found.low <= truth <= found.high)
    assert np.mean(covered) >= 0.85
    ratings = drawn(3000, 3, seed=9)
    by_counts = judge_agreement(ratings, repeats=2000)
    monkeypatch.setattr(coefficient, "MOST_MULTISETS", 0)
    monkeypatch.setattr(coefficient, "MOST_ITEMS", 0)
    by_limit = judge_agreement(ratings, repeats=2000)
    for one, two in ((by_counts.alpha, by_limit.alpha), (by_counts.fleiss, by_limit.fleiss)):
        assert one.value == pytest.approx(two.value, abs=1e-10)
        assert one.high - one.low == pytest.approx(two.high - two.low, rel=0.12)


def test_per_class_is_the_alpha_of_one_class_against_the_rest() -> None:
    ratings = drawn(400, 3)
    found = judge_agreement(ratings, repeats=50).per_class
    for code in range(4):
        binary = np.where(ratings < 0, -1, ratings == code)
        assert found[code].value == pytest.approx(slow_alpha(binary), abs=1e-10)


def test_a_careless_annotator_stands_out() -> None:
    ratings = drawn(600, 5, missing=0.1)
    ratings[:, 2] = np.where(ratings[:, 2] < 0, -1, np.random.default_rng(3).integers(0, 4, 600))
    per_rater = judge_agreement(ratings).per_rater
    assert per_rater[2].high < min(one.low for place, one in enumerate(per_rater) if place != 2)
    assert per_rater[2].low < 0.05


def test_bands_in_words() -> None:
    words = [in_words(value) for value in (-0.1, 0.2, 0.4, 0.6, 0.8, 0.81, np.nan)]
    assert words == ["poor", "slight", "fair", "moderate", "substantial", "almost perfect", "not defined"]


def test_degenerate_and_wrong_ratings() -> None:
    same = np.zeros((5, 3), int)
    assert np.isnan([krippendorff_alpha(same), fleiss_kappa(same), cohen_kappa(same)]).all()
    alone = np.array([[0, -1], [-1, 1]])
    assert np.isnan([krippendorff_alpha(alone), fleiss_kappa(alone), cohen_kappa(alone)]).all()
    assert np.isnan(krippendorff_alpha(np.zeros((0, 3), int)))
    assert judge_agreement(alone, repeats=5).items == 0
    far = np.array([[5, 5], [900_000, 900_000], [5, 900_000]])
    assert krippendorff_alpha(far) == pytest.approx(slow_alpha(np.where(far == 5, 0, 1)))
    with pytest.raises(DataError, match="float64"):
        fleiss_kappa(np.zeros((2, 2)))
    with pytest.raises(DataError, match="-1"):
        cohen_kappa(np.array([[-2, 0]]))
    with pytest.raises(DataError, match="shape"):
        krippendorff_alpha(np.arange(4))


def voted(ratings: np.ndarray, classes: tuple[str, ...] = ("good", "hole", "stain", "tear")) -> Dataset:
    ids = [f"s{row:05d}" for row in range(len(ratings))]
    votes = [
        {"sample": ids[row], "voter": f"person {rater}", "kind": "human", "label": classes[ratings[row, rater]]}
        for row, rater in np.argwhere(ratings >= 0)
    ]
    ds = Dataset.from_columns(Schema(classes=classes), {"id": ids, "label": [classes[0]] * len(ids)})
    return dataclasses.replace(ds, votes=pa.Table.from_pylist(votes, schema=columns.VOTE))


def test_the_check_reports_everything() -> None:
    ratings = drawn(300, 3, missing=0.15)
    ds = voted(ratings)
    read, names = ratings_of(ds)
    assert (read == ratings).all()
    assert names == ["person 0", "person 1", "person 2"]
    ds = audit.run(ds, only="agreement")
    rows = ds.findings.to_pylist()
    why = " ".join(row["why"] for row in rows)
    assert f"alpha {krippendorff_alpha(ratings):.3f}" in why
    assert f"kappa {fleiss_kappa(ratings):.3f}" in why
    assert "matrix of person 0, person 1, person 2" in why
    assert {row["members"][0] for row in rows if row["level"] == "class"} == set(ds.schema.classes)
    np.testing.assert_allclose(ds["audit.agreement.score"], disagreement(ratings), atol=1e-6)
    split = {row["members"][0] for row in rows if row["level"] == "sample"}
    for row, sample in enumerate(ds.ids):
        known = ratings[row][ratings[row] >= 0]
        assert (sample in split) == (len(known) >= 2 and 2 * np.bincount(known).max() <= len(known))


def test_votes_of_models_and_earlier_votes_do_not_count() -> None:
    ds = voted(np.array([[0, 1], [1, 1], [0, 0]]))
    again = [{"sample": "s00000", "voter": "person 1", "kind": "human", "label": "good", "when": 5_000_000}]
    model = [{"sample": sample, "voter": "net", "kind": "model", "label": "tear"} for sample in ds.ids]
    new = pa.Table.from_pylist([*again, *model], schema=columns.VOTE)
    ds = dataclasses.replace(ds, votes=pa.concat_tables([ds.votes, new]))
    assert ratings_of(ds)[0].tolist() == [[0, 0], [1, 1], [0, 0]]
    assert Agreement().unmet(Dataset.from_columns(Schema(classes=("a", "b")), {"id": ["x"]}))


@pytest.mark.parametrize(("missing", "sure", "done"), [(0.0, 0.99, True), (0.0, 0.6, False)])
def test_the_checklist_asks_the_check(missing: float, sure: float, done: bool) -> None:
    from scarce.loop.checklist import _agreement

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 400)
    votes = np.where(rng.random((400, 3)) < sure, truth[:, None], rng.integers(0, 4, (400, 3)))
    told, ticked = _agreement(SimpleNamespace(dataset=voted(votes)))
    assert ticked == done
    assert "95 % interval" in told
    assert "3 annotators on 400 samples" in told
