"""Nearly equal texts, conflicting labels, bursts, and what a leak is worth."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from scarce import audit, io, modality
from scarce.audit._leak_estimate import leaked_score
from scarce.audit._shingle import duplicate_texts, shingled, similar_sets
from scarce.audit.label_conflict import LabelConflict, label_doubt
from scarce.audit.leakage import bursts
from scarce.testing import check_audit


def brute(starts: np.ndarray, members: np.ndarray, threshold: float) -> set[tuple[int, int]]:
    sets = [set(members[a:b].tolist()) for a, b in pairwise(starts.tolist())]
    return {
        (i, j)
        for i in range(len(sets))
        for j in range(i + 1, len(sets))
        if sets[i] and sets[j] and len(sets[i] & sets[j]) / len(sets[i] | sets[j]) >= threshold - 1e-9
    }


@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.8, 1.0])
def test_the_join_of_sets_is_exact(threshold: float) -> None:
    rng = np.random.default_rng(1)
    sets = [np.unique(rng.zipf(1.4, rng.integers(2, 40)) % 200) for _ in range(150)]
    sets += [np.setdiff1d(one, one[: len(one) // 6]) for one in sets[:50]]
    starts = np.r_[0, np.cumsum([len(one) for one in sets])]
    pairs, value = similar_sets(starts, np.concatenate(sets), threshold, fewest=1)
    expected = brute(starts, np.concatenate(sets), threshold)
    found = {tuple(pair) for pair in pairs.tolist()}
    assert found <= expected
    near = {pair for pair, alike in zip(map(tuple, pairs.tolist()), value.tolist(), strict=True) if alike < 1}
    equal = {pair for pair in expected if np.array_equal(sets[pair[0]], sets[pair[1]])}
    first = {pair[1] for pair in equal}
    assert {pair for pair in expected - equal if not first & set(pair)} <= near


def test_a_crowd_of_equal_texts_costs_few_pairs() -> None:
    pairs, value = duplicate_texts(
        ["the same long sentence again and again"] * 5000 + ["another one that differs a lot"]
    )
    assert len(pairs) == 4999
    assert (pairs[:, 0] == 0).all()
    assert (value == 1).all()


def test_reworded_texts_are_found_and_others_are_not() -> None:
    texts = [
        "The seam on the left sleeve is torn, and the lining hangs out.",
        "the seam on the left sleeve is torn and the lining hangs out!!",
        "The seam on the right sleeve is torn, and the lining hangs out.",
        "A coffee stain near the collar; otherwise the shirt looks like new.",
        "short", "short", "", None,
    ]  # fmt: skip
    pairs, value = duplicate_texts(texts)
    assert pairs.tolist() == [[0, 1], [0, 2]]
    assert value[0] == 1
    assert value[1] < 1
    assert duplicate_texts([])[0].shape == (0, 2)


def test_scripts_of_syllables_have_shorter_pieces() -> None:
    starts, _ = shingled(["이 영화는 정말 재미있었어요", "this film was really fun"])
    assert starts[1] == len("이 영화는 정말 재미있었어요") - 2


def test_real_reviews(shared_data: Path, tmp_path: Path) -> None:
    """Sentences of real reviews, with copies in which a word is dropped, over two labels."""
    place = shared_data / "text_small" / "subj.csv"
    if not place.is_file():
        pytest.skip("text_small is not here")
    with place.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))[:3000]
    name = next(key for key in rows[0] if "text" in key or "sent" in key)
    texts = [row[name] for row in rows]
    long = [row for row, text in enumerate(texts) if len(text) > 120][:60]
    copies = [" ".join(word for k, word in enumerate(texts[row].split()) if k != 7) for row in long]
    known = {tuple(pair) for pair in duplicate_texts(texts)[0].tolist()}
    assert len(known) <= 15
    with (tmp_path / "texts.csv").open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow(["text", "label"])
        table.writerows([text, "a" if row % 2 else "b"] for row, text in enumerate(texts))
        table.writerows([text, "b" if long[row] % 2 else "a"] for row, text in enumerate(copies))
    ds = audit.run(modality.scan(io.read(tmp_path / "texts.csv")), ["near_duplicate", "label_conflict"])
    place_of = {uri: int(uri.partition("#")[2].partition(":")[0]) for uri in ds["uri"].tolist()}
    first = min(place_of.values())
    pairs = [
        tuple(sorted(place_of[uri] - first for uri in ds["uri"][ds.rows_of(row["members"])].tolist()))
        for row in ds.findings.to_pylist()
        if row["check"] == "near_duplicate" and row["level"] == "pair"
    ]
    wanted = {(row, len(texts) + k) for k, row in enumerate(long)}
    assert len(wanted & set(pairs)) / len(wanted) >= 0.95
    assert len(set(pairs) - wanted) <= len(known)
    torn = [row for row in ds.findings.to_pylist() if row["check"] == "label_conflict"]
    assert len(torn) >= 0.9 * len(wanted)


def test_doubt_is_the_share_of_other_labels() -> None:
    np.testing.assert_allclose(label_doubt(np.array([0, 0, 0, 1])), [0.25, 0.25, 0.25, 0.75])
    np.testing.assert_allclose(label_doubt(np.array([1, 1, -1])), [0, 0, np.nan])
    assert np.isnan(label_doubt(np.array([-1, -1]))).all()
    assert label_doubt(np.zeros(0, int)).shape == (0,)


def test_the_contract_holds() -> None:
    check_audit(LabelConflict())


def test_bursts_are_runs_without_a_pause() -> None:
    start = np.datetime64("2026-01-01T10:00:00", "us")
    moments = start + np.array([0, 60, 1, 2, 61, 300]).astype("timedelta64[s]")
    moments[5] = np.datetime64("NaT")
    assert bursts(moments, 2.0).tolist() == [0, 1, 0, 0, 1, -1]
    assert bursts(moments[:1], 2.0).tolist() == [-1]


def test_a_leak_is_worth_what_is_lost_without_it() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((400, 8))
    labels = rng.integers(0, 2, 400)
    test = np.arange(400) >= 200
    features[200:300], labels[200:300] = features[:100], labels[:100]
    part = np.arange(400)
    part[200:300] = part[:100]
    told = leaked_score(features, labels, test, part)
    assert told is not None
    assert told.leaked == 1
    assert 0.3 < told.without < 0.7
    assert told.flattery == pytest.approx(0.5 * (told.leaked - told.without), abs=1e-9)
    assert told.low < told.flattery < told.high
    assert leaked_score(features, labels, test, np.arange(400)) is None
    assert leaked_score(features[:3], labels[:3], np.array([False, True, True]), np.zeros(3, int)) is None
