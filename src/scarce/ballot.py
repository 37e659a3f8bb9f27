"""Votes: who said what about which sample, as a long table and as the matrix that label models take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce import columns
from scarce.dataset import Array, Dataset, Ints, Mask
from scarce.errors import DataError

MACHINES: Final = ("rule", "zero_shot", "model")
"""Kinds of votes, and sources of labels, that no person gave: one may train on them, and never judge by them."""
NO_CONTENT: Final = "the table holds votes and no content"
"""How reading says that samples are known by a name alone: nothing can be learned from such a name."""


def ratings_of(ds: Dataset, *, kinds: tuple[str, ...] = ()) -> tuple[Ints, list[str]]:
    """Return (N, R) ratings of a dataset's votes, -1 = no vote, and the R voters' names.

    Where one voted twice on a sample the later vote counts. Votes of rules and models are left out unless named.

    Args:
        ds: N rows.
        kinds: kinds of votes that count; empty = all but ``rule``, ``zero_shot`` and ``model``.
    """
    votes = ds.votes
    kind = pc.fill_null(votes["kind"], "")
    wanted = pc.is_in(kind, pa.array(kinds)) if kinds else pc.invert(pc.is_in(kind, pa.array(MACHINES)))
    votes = votes.filter(pc.and_(wanted, pc.is_valid(votes["voter"])))
    when = votes["when"].to_numpy(zero_copy_only=False)
    votes = votes.take(pa.array(np.argsort(np.where(np.isnat(when), np.datetime64(0, "us"), when), kind="stable")))
    row = pc.index_in(votes["sample"], value_set=ds.table["id"].combine_chunks()).to_numpy(zero_copy_only=False)
    code = pc.index_in(votes["label"], value_set=pa.array(ds.schema.classes, pa.string()))
    known = pc.fill_null(code, -1).to_numpy(zero_copy_only=False).astype(np.int32)
    voters = sorted(set(votes["voter"].to_pylist()))
    rater = pc.index_in(votes["voter"], value_set=pa.array(voters, pa.string())).to_numpy(zero_copy_only=False)
    out = np.full((len(ds), len(voters)), -1, np.int8 if len(ds.schema.classes) < 128 else np.int32)
    here = np.isfinite(row.astype(float))
    out[row[here].astype(np.int64), rater[here].astype(np.int64)] = known[here]
    voted = np.flatnonzero((out >= 0).any(axis=0))
    return out[:, voted], [voters[rater] for rater in voted]


def vouched(ds: Dataset) -> Mask:
    """Return (N,) bool: labelled, and by people. A label of a rule or a model is no truth to judge by."""
    return np.asarray((ds["label"] >= 0) & ~np.isin(ds["label_source"].astype(str), MACHINES))


def holds_content(ds: Dataset) -> bool:
    """Return whether there is more about the samples than names and votes."""
    said = ds.findings.filter(pc.equal(ds.findings["check"], "read"))["why"].to_pylist()
    return not any((why or "").startswith(NO_CONTENT) for why in said)


def with_votes(ds: Dataset, rows: Iterable[Mapping[str, Any]]) -> Dataset:
    """Return the dataset with votes added behind the present ones; none is overwritten.

    Args:
        ds: the data set.
        rows: ``sample`` and ``voter`` are needed; ``kind`` (``human``, or one of :data:`MACHINES`), ``label``
            (a class name, None = abstains), ``prob``, ``when`` (UTC), ``seconds``.

    Raises:
        DataError: sample or voter is missing, or the sample is not here.
    """
    new = [{"kind": "human", **row} for row in rows]
    known = set(ds.ids.tolist())
    for row in new:
        if not row.get("sample") or not row.get("voter"):
            raise DataError("votes", f"a vote has sample {row.get('sample')!r} and voter {row.get('voter')!r}",
                            do="give both")  # fmt: skip
        if row["sample"] not in known:
            raise DataError("votes", f"there is no sample {row['sample']!r}", f"{len(ds)} samples are there")
    added = pa.Table.from_pylist(new, schema=columns.VOTE)
    return replace(ds, votes=pa.concat_tables([ds.votes, added]))


def with_ratings(  # noqa: PLR0913 - one knob each
    ds: Dataset,
    rows: Ints,
    ratings: Ints,
    voters: Sequence[str],
    *,
    kind: str,
    when: datetime,
    soft: Mapping[int, Array] | None = None,
) -> Dataset:
    """Return the dataset with a whole matrix of votes added; a voter's vote that did not change is not added again.

    Args:
        ds: N rows.
        rows: (M,) the rows that were voted on.
        ratings: (M, R) class codes, -1 = no vote.
        voters: R names.
        kind: one of :data:`MACHINES`, or ``human``.
        when: the time of the votes.
        soft: column to (M, K) probabilities; NaN = none.
    """
    before, names = ratings_of(ds, kinds=(kind,))
    fresh = ratings >= 0
    for column, voter in enumerate(voters):
        if voter in names:
            fresh[:, column] = ratings[:, column] != before[rows, names.index(voter)]
    at_column, at_row = np.nonzero(fresh.T)
    code = ratings[at_row, at_column]
    probs = np.full(len(at_row), np.nan, np.float32)
    for number, said in (soft or {}).items():
        own = (at_column == number) & (code >= 0)
        probs[own] = said[at_row[own], code[own]]
    n, at = len(at_row), when.astimezone(UTC).replace(tzinfo=None)
    added = {
        "sample": ds.table["id"].combine_chunks().take(pa.array(rows[at_row])),
        "voter": pa.array(list(voters), pa.string()).take(pa.array(at_column)),
        "kind": pa.array([kind] * n, pa.string()),
        "label": pa.array(ds.schema.classes, pa.string()).take(pa.array(code, pa.int32(), mask=code < 0)),
        "prob": pa.array(probs, pa.float32(), from_pandas=True),
        "when": pa.array([at] * n, pa.timestamp("us")), "seconds": pa.nulls(n, pa.float32()),
    }  # fmt: skip
    table = pa.table({name: added[name] for name in columns.VOTE.names}, schema=columns.VOTE)
    return replace(ds, votes=pa.concat_tables([ds.votes, table]))
