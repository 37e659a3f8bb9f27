"""How much a finding matters: the one place that says what counts as found and what fails a gate.

A finding is a **note** if it merely states a fact: its score is 0, or it is about the data or a class as a whole and
stays below :data:`WARNING`. Anything else is a **warning**, from :data:`ERROR` on an **error**. Notes are shown and
listed; they are no faults: they are not counted and fail no gate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import pyarrow as pa

Severity = Literal["note", "warning", "error"]
WARNING: Final = 0.5
"""From this score on a finding about a class or the data as a whole is a warning."""
ERROR: Final = 0.9
"""From this score on any finding is an error."""
WHOLE: Final = ("data", "class")
"""The levels that are about more than single samples."""


def severity(row: Mapping[str, Any]) -> Severity:
    """Return how much a finding (``level`` and ``score`` in [0, 1], 1 = worst) matters."""
    score = round(float(row["score"] or 0.0), 6)
    if score <= 0 or (row["level"] in WHOLE and score < WARNING):
        return "note"
    return "error" if score >= ERROR else "warning"


def things_found(findings: pa.Table | Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return check to the number of its findings, without notes and without pairs, which only link a group."""
    rows = findings.select(["check", "level", "score"]).to_pylist() if isinstance(findings, pa.Table) else findings
    return dict(Counter(row["check"] for row in rows if row["level"] != "pair" and severity(row) != "note"))
