"""Tables in which several people labelled the same samples: one column each, or one row for each vote."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce.dataset import Ints

PEOPLE: Final = frozenset(
    f"{who}{ending}"
    for who in ("annotator", "rater", "worker", "coder", "labeler", "labeller", "voter", "reviewer")
    for ending in ("", "_id", "_name")
) | {"annotated_by", "labeled_by", "labelled_by"}
"""Columns that say who cast the vote of a row."""
ITEMS: Final = (
    "item", "item_id", "task", "task_id", "sample", "sample_id", "example", "example_id", "question_id", "id", "uid",
)  # fmt: skip
_NAMED = re.compile(r"^(annotator|annotation|rater|worker|coder|labell?er|voter|vote|reviewer)_?(\w+)$")
_COUNTED = re.compile(r"^(\w*label)_?(\d+|[a-z])$")
_ASIDE = frozenset("id ids name count number n time seconds age sex gender comment note confidence s".split())
MOST_VALUES: Final = 200


@dataclass(frozen=True)
class Vote:
    """One vote: the row of the sample, who cast it, the label (None = abstained), when, in how long, and its kind."""

    row: int
    voter: str
    label: str | None
    when: Any = None
    seconds: float | None = None
    kind: str = "human"


def vote_columns(table: pa.Table, plain: Mapping[str, str], shut: set[str]) -> tuple[str, ...]:
    """Return the columns that each hold one person's labels; empty where there are none.

    They are called ``annotator_1``, ``rater_anna``, ``label_2`` and the like, hold at most 200 values, share at least
    half of them, and agree more often than chance. So the columns of one sample's several labels do not pass; neither
    do ``label_0`` to ``label_9`` of zeros and ones, which are a multi-label code.
    """
    found: dict[str, list[str]] = {}
    for name, word in plain.items():
        if name in shut or name not in table.column_names:
            continue
        named, counted = _NAMED.match(word), _COUNTED.match(word)
        if named and named[2].strip("_") not in _ASIDE:
            found.setdefault(named[1], []).append(name)
        elif counted:
            found.setdefault(counted[1], []).append(name)
    for stem, names in sorted(found.items(), key=lambda item: -len(item[1])):
        if len(names) > 1 and _alike([table[name] for name in names], binary=not stem.endswith("label")):
            return tuple(names)
    return ()


def _alike(columns: Sequence[pa.ChunkedArray], *, binary: bool) -> bool:
    if any(pa.types.is_floating(column.type) and not _whole(column) for column in columns):
        return False
    levels = [set(pc.unique(column.drop_null()).to_pylist()) for column in columns]
    every = set.union(*levels)
    if not 1 < len(every) <= MOST_VALUES or (not binary and {str(value) for value in every} <= {"0", "1"}):
        return False
    if any(2 * len(one & every) < len(every) for one in levels if one):
        return False
    one, two = columns[0], columns[1]
    book = pa.array(sorted(map(str, every)), pa.string())
    a, b = (pc.fill_null(pc.index_in(pc.cast(c, pa.string()), value_set=book), -1).to_numpy() for c in (one, two))
    both = (a >= 0) & (b >= 0)
    if not both.any():
        return True
    shares = [np.bincount(codes[both], minlength=len(book)) / both.sum() for codes in (a, b)]
    return bool((a[both] == b[both]).mean() > shares[0] @ shares[1])


def _whole(column: pa.ChunkedArray) -> bool:
    values = column.drop_null().to_numpy()
    return bool((np.isfinite(values) & (values == np.round(values))).all())


def item_and_voter(
    table: pa.Table, plain: Mapping[str, str], items: Sequence[str | None], label: str | None
) -> tuple[str, str] | None:
    """Return the column that names the sample and the one that names the voter, where each row is one vote.

    Args:
        table: the whole table.
        plain: column name to its plain form.
        items: columns that name the sample, if there are any: a file or a text.
        label: the column of the label; without one there are no votes.
    """
    who = next((name for name, word in plain.items() if word in PEOPLE and name in table.column_names), None)
    if who is None or label is None or who == label:
        return None
    lowered = {word: name for name, word in reversed(list(plain.items()))}
    known = [name for name in items if name] or [lowered[word] for word in ITEMS if word in lowered]
    for item in known:
        if item in (who, label) or item not in table.column_names:
            continue
        pairs = table.select([item, who]).drop_null().group_by([item, who]).aggregate([]).num_rows
        size = pc.count_distinct(table[item]).as_py()
        if pairs >= 0.9 * table.num_rows and size < pairs:
            return item, who
    return None


def gathered(table: pa.Table, item: str) -> tuple[Ints, Ints]:
    """Return the first row (M,) of every item, in order of appearance, and the item of every row (N,), -1 = none."""
    encoded = table[item].combine_chunks().dictionary_encode()
    place = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    rows = np.flatnonzero(place >= 0)
    _, first = np.unique(place[rows], return_index=True)
    return rows[first], place


def majority(votes: Sequence[Vote], n: int) -> list[str | None]:
    """Return each sample's label by majority; None where votes tie or nobody voted."""
    known = [vote for vote in votes if vote.label is not None]
    if not known:
        return [None] * n
    names, code = np.unique(np.array([vote.label for vote in known], object).astype(str), return_inverse=True)
    cell, times = np.unique(np.array([vote.row for vote in known], np.int64) * len(names) + code, return_counts=True)
    row = cell // len(names)
    most, ties = np.zeros(n, np.int64), np.zeros(n, np.int64)
    np.maximum.at(most, row, times)
    best = times == most[row]
    np.add.at(ties, row[best], 1)
    out: list[str | None] = [None] * n
    for at, which in zip(row[best].tolist(), (cell[best] % len(names)).tolist(), strict=True):
        if ties[at] == 1:
            out[at] = str(names[which])
    return out


def as_table(votes: Sequence[Vote], ids: Sequence[str], schema: pa.Schema) -> pa.Table:
    """Return the votes as the data set keeps them; ``schema`` is :data:`scarce.columns.VOTE`."""
    n = len(votes)
    values: dict[str, Any] = {
        "sample": [ids[vote.row] for vote in votes], "voter": [vote.voter for vote in votes],
        "kind": [vote.kind for vote in votes],
        "label": [vote.label for vote in votes], "prob": pa.nulls(n, pa.float32()),
        "when": [vote.when for vote in votes], "seconds": [vote.seconds for vote in votes],
    }  # fmt: skip
    return pa.table({name: pa.array(values[name], schema.field(name).type) for name in schema.names}, schema=schema)
