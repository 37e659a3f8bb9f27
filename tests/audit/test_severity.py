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
