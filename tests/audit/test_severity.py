from __future__ import annotations

from pathlib import Path

import pytest

from scarce.audit import severity, things_found


@pytest.mark.parametrize(
    ("level", "score", "wanted"),
    [
        ("data", 0.0, "note"), ("data", 0.49, "note"), ("class", 0.3, "note"), ("data", 0.5, "warning"),
        ("class", 0.9, "error"), ("sample", 0.0, "note"), ("sample", 0.2, "warning"), ("group", 0.9, "error"),
        ("box", 0.89, "warning"),
    ],
)  # fmt: skip
def test_what_merely_states_a_fact_is_a_note(level: str, score: float, wanted: str) -> None:
    assert severity({"level": level, "score": score}) == wanted


def test_notes_and_pairs_are_not_counted() -> None:
    rows = [
        {"check": "dark", "level": "data", "score": 0.01}, {"check": "dark", "level": "sample", "score": 0.7},
        {"check": "near_duplicate", "level": "pair", "score": 1.0},
    ]  # fmt: skip
    assert things_found(rows) == {"dark": 1}


def test_shares_of_leaks_are_notes_where_nothing_leaks(shared_data: Path) -> None:
    from scarce.loop.measure import judged

    ds = judged(shared_data / "time_series" / "ECG200.npz", ["leakage"])
    rows = [row for row in ds.findings.to_pylist() if row["check"] == "leakage"]
    assert any("of 100 test samples" in row["why"] for row in rows), "it is said"
    assert "leakage" not in things_found(ds.findings), "and counted as nothing"


def test_no_chance_is_named_that_so_few_samples_do_not_show() -> None:
    import re

    import numpy as np

    from scarce.audit.outlier import Outlier
    from scarce.dataset import Dataset, Schema

    n = 400
    features = (np.random.default_rng(0).normal(size=(n, 8)) + 20).astype(np.float32)
    features[7] *= -1
    ids = [f"s{row:04d}" for row in range(n)]
    ds = Dataset.from_columns(Schema(classes=()), {"id": ids, "uri": ids}).with_columns({"embedding.x": features})
    told = [row["why"] for row in Outlier().measure(ds).findings if row["level"] == "sample"]
    assert told
    named = [int(found[1].replace(",", "")) for why in told if (found := re.search(r"sample in ([\d,]+)", why))]
    assert max(named) == 10 * n
    assert "fewer than 1 ordinary sample in 4,000" in told[0]


def test_an_annotator_of_one_class_has_no_kappa() -> None:
    import numpy as np

    from scarce.audit.agreement import judge_agreement

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 200)
    ratings = np.stack([truth, np.where(rng.random(200) < 0.1, 1 - truth, truth), np.zeros(200, int)], axis=1)
    found = judge_agreement(ratings, repeats=50)
    assert np.isnan(found.per_rater[2].value)
    assert found.per_rater[0].value > 0.2


def test_columns_of_which_the_same_is_said_share_a_sentence() -> None:
    from scarce.audit.table_schema import NO_ROWS, Told, joined

    told = [Told(0.4, NO_ROWS, f"column {name!r} holds 0 everywhere: it tells nothing") for name in "abc"]
    (one,) = joined(told)
    assert one.why == "columns 'a', 'b', 'c', each holds 0 everywhere: it tells nothing"


def test_a_class_given_away_by_many_properties_shows_few_of_them(shared_data: Path) -> None:
    from collections import Counter

    from scarce.audit.spurious import MOST_TOLD
    from scarce.loop.measure import judged

    ds = judged(shared_data / "fabric_defects", ["spurious"])
    rows = [row for row in ds.findings.to_pylist() if row["check"] == "spurious"]
    told = Counter(row["members"][0] for row in rows if row["level"] == "class")
    assert told
    assert max(told.values()) <= MOST_TOLD
    assert len(rows) <= len(told) * MOST_TOLD * 5
    assert any("more properties tell it, too" in row["why"] for row in rows)
