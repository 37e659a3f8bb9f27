"""Votes in the form that label models count in: equal rows once, several columns as one token.

A vote matrix (N, W) is small numbers; what a model needs of a row is a sum of one table entry a vote. Columns are
taken in blocks of b: the votes of a block are one token, a number to the base K + 1, and a model's table of the
(K + 1)^b tokens is made before each pass. So a row of 20 votes costs three look-ups, and a pass over a million rows a
few hundredths of a second. Where rows repeat, each different one is counted once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError

MOST_TOKENS: Final = 4096
"""Tokens of one block; their table stays in the first-level cache."""
PROBE_ROWS: Final = 1 << 15
"""So many rows tell whether rows repeat."""
MOST_CONFUSION_BYTES: Final = 2**30


def valid_votes(who: str, votes: Array, n_classes: int) -> Ints:
    """Return votes as a contiguous (N, W) array of the smallest type; refuse what is no vote matrix.

    Args:
        who: the part of scarce that asks.
        votes: (N, W) class codes, -1 = none.
        n_classes: K, at least 1.

    Raises:
        DataError: wrong shape or type, a code below -1 or from K on, or a K below 1.
    """
    rows = np.asarray(votes)
    if rows.ndim != 2:
        raise DataError(who, f"votes have shape {rows.shape}", do="pass (N, W): one row a sample, one column a voter")
    if rows.dtype.kind not in "iu":
        what = f"votes are {rows.dtype}"
        raise DataError(who, what, do="pass whole numbers: class codes from 0 on, -1 = no vote")
    if isinstance(n_classes, bool) or int(n_classes) != n_classes or n_classes < 1:
        raise DataError(who, f"n_classes is {n_classes!r}", do="pass the number of classes, at least 1")
    if rows.size:
        low, high = int(rows.min()), int(rows.max())
        if low < -1 or high >= n_classes:
            beyond = (rows < -1) | (rows >= n_classes)
            row, column = np.argwhere(beyond)[0]
            what = f"{int(beyond.sum())} votes name unknown classes, for example {rows[row, column]} in row {row}"
            there = f"column {column}; known are 0 to {n_classes - 1}, and -1 for no vote"
            raise DataError(who, what, there, "leave such votes out, or add the class")
    kind = np.int8 if n_classes < 128 else np.int16 if n_classes < 2**15 else np.int32
    return np.ascontiguousarray(rows, kind)


def refuse_large(who: str, columns: int, classes: int) -> None:
    """Refuse a model of (W, K, K) numbers that would not fit.

    Raises:
        DataError: they take more than 1 GiB.
    """
    size = 8 * columns * classes * classes
    if size > MOST_CONFUSION_BYTES:
        what = f"{columns} confusion matrices of {classes} x {classes} take {size / 2**30:.1f} GiB"
        raise DataError(who, what, "1 GiB is the limit", "use majority, weighted or one_coin, or merge classes")


@dataclass(frozen=True, eq=False)
class Ballot:
    """Votes, encoded.

    Attributes:
        votes: (P, W) the different rows, or all of them.
        times: (P,) how many samples have each row.
        inverse: (N,) the row of each sample, or None where every sample is a row of its own.
        classes: K.
        width: columns of a block.
        starts: (P + 1,) where the tokens of each row begin.
        tokens: the tokens.
        tables: T, how many different tokens there may be.
    """

    votes: Ints
    times: Floats
    inverse: Ints | None
    classes: int
    width: int
    starts: Ints
    tokens: Ints
    tables: int

    @classmethod
    def of(cls, votes: Ints, n_classes: int, *, grouped: bool = True) -> Ballot:
        """Encode votes that :func:`valid_votes` returned.

        Args:
            votes: (N, W).
            n_classes: K.
            grouped: whether equal rows become one.
        """
        from scarce.label import _kernel

        rows, times, inverse = _distinct(votes) if grouped else _apart(votes)
        base, columns = n_classes + 1, max(rows.shape[1], 1)
        width = 1
        while width < columns and base ** (width + 1) <= MOST_TOKENS and (
            -(-columns // (width + 1)) * base ** (width + 1) <= max(1024, len(rows))
        ):  # fmt: skip
            width += 1
        starts: Ints = np.zeros(len(rows) + 1, np.int32 if rows.size < 2**31 else np.int64)
        _kernel.count_tokens(rows, width, starts)
        tokens = np.empty(int(starts[-1]), np.int32)
        _kernel.write_tokens(rows, width, base, starts, tokens)
        sizes = [base ** min(width, columns - first) for first in range(0, columns, width)]
        return cls(rows, times, inverse, n_classes, width, starts, tokens, sum(sizes))

    @property
    def columns(self) -> int:
        """W."""
        return int(self.votes.shape[1])

    def blocks(self) -> Iterator[tuple[slice, slice]]:
        """Yield the columns and the tokens of each block."""
        base, offset = self.classes + 1, 0
        for first in range(0, self.columns, self.width):
            last = min(first + self.width, self.columns)
            yield slice(first, last), slice(offset, offset + base ** (last - first))
            offset += base ** (last - first)

    def folded(self, table: Floats) -> Floats:
        """Return (T, K) sums of a table (W, K votes, K classes) over the votes of each token."""
        base, k = self.classes + 1, self.classes
        out = np.zeros((self.tables, k))
        for columns, tokens in self.blocks():
            part = out[tokens].reshape((base,) * (columns.stop - columns.start) + (k,))
            for axis, column in enumerate(range(columns.start, columns.stop)):
                shape = [1] * part.ndim
                shape[axis], shape[-1] = k, k
                part[(slice(None),) * axis + (slice(1, None),)] += table[column].reshape(shape)
        return out

    def unfolded(self, sums: Floats) -> Floats:
        """Return (W, K votes, K classes) sums by vote of sums (T, K) by token."""
        base, k = self.classes + 1, self.classes
        out = np.empty((self.columns, k, k))
        for columns, tokens in self.blocks():
            part = sums[tokens].reshape((base,) * (columns.stop - columns.start) + (k,))
            for axis, column in enumerate(range(columns.start, columns.stop)):
                others = tuple(other for other in range(part.ndim - 1) if other != axis)
                out[column] = part.sum(axis=others)[1:]
        return out

    def expanded(self, rows: Array) -> Array:
        """Return one row a sample of one row a different row."""
        return rows if self.inverse is None else rows[self.inverse]


def _apart(votes: Ints) -> tuple[Ints, Floats, Ints | None]:
    return votes, np.ones(len(votes)), None


def _distinct(votes: Ints) -> tuple[Ints, Floats, Ints | None]:
    """Return the different rows with their counts and each sample's row, or all rows where few repeat."""
    from scarce.label import _kernel

    n = len(votes)
    for rows in (PROBE_ROWS, n):
        part = votes[:rows]
        most = max(len(part) // 2, 1)
        inverse, first, times = np.empty(len(part), np.int32), np.empty(most, np.int64), np.empty(most)
        found = _kernel.group_rows(part, inverse, first, times, most) if len(part) else -1
        if found < 0:
            return _apart(votes)
        if len(part) == n:
            return np.ascontiguousarray(votes[first[:found]]), times[:found].copy(), inverse
    return _apart(votes)
