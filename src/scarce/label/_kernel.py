"""The inner loops over votes, compiled: one pass over the rows, no memory that grows with them."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np


@nb.njit(nogil=True, cache=True)
def group_rows(votes: Any, inverse: Any, first: Any, times: Any, most: int) -> int:
    """Give equal rows one number, in order of first appearance; return how many numbers, -1 = more than ``most``.

    Args:
        votes: (N, W) small integers, -1 = none.
        inverse: (N,) receives the number of each row.
        first: (most,) receives the first row of each number.
        times: (most,) receives how many rows have it.
        most: at most so many different rows are looked for.
    """
    size = 16
    while size < 2 * most:
        size *= 2
    slots = np.full(size, -1, np.int32)
    n, width = votes.shape
    found = 0
    for row in range(n):
        key = np.uint64(1469598103934665603)
        for column in range(width):
            key = (key ^ np.uint64(votes[row, column] + 1)) * np.uint64(1099511628211)
        key ^= key >> np.uint64(29)
        place = np.int64(key & np.uint64(size - 1))
        while True:
            number = slots[place]
            if number < 0:
                if found == most:
                    return -1
                slots[place] = found
                first[found] = row
                times[found] = 1
                inverse[row] = found
                found += 1
                break
            same = True
            for column in range(width):
                if votes[first[number], column] != votes[row, column]:
                    same = False
                    break
            if same:
                times[number] += 1
                inverse[row] = number
                break
            place = (place + 1) & (size - 1)
    return found


@nb.njit(nogil=True, cache=True)
def count_tokens(votes: Any, width: int, starts: Any) -> None:
    """Write where each row's tokens begin: starts (N + 1,); a block of ``width`` columns with a vote is one token."""
    n, columns = votes.shape
    for row in range(n):
        used = 0
        for begin in range(0, columns, width):
            for column in range(begin, min(begin + width, columns)):
                if votes[row, column] >= 0:
                    used += 1
                    break
        starts[row + 1] = starts[row] + used


@nb.njit(nogil=True, cache=True)
def write_tokens(votes: Any, width: int, base: int, starts: Any, tokens: Any) -> None:
    """Write the tokens: the block's votes as digits to the base K + 1, 0 = none, behind those of earlier blocks."""
    n, columns = votes.shape
    for row in range(n):
        place, offset = starts[row], 0
        for begin in range(0, columns, width):
            code, size = 0, 1
            for column in range(begin, min(begin + width, columns)):
                code = code * base + votes[row, column] + 1
                size *= base
            if code:
                tokens[place] = offset + code
                place += 1
            offset += size


@nb.njit(nogil=True, cache=True, fastmath={"contract", "reassoc"})
def expect(starts: Any, tokens: Any, times: Any, logs: Any, prior: Any, sums: Any, totals: Any) -> None:  # noqa: C901, PLR0913, PLR0917
    """Add up what each token stands for under the present parameters.

    Args:
        starts: (P + 1,) where the tokens of each row begin.
        tokens: the tokens.
        times: (P,) how often each row counts.
        logs: (T, K) log probability of each token by class.
        prior: (K,) log probability of each class.
        sums: (T, K) receives the expected number of rows by token and class.
        totals: (K,) receives the expected number of rows by class; rows without votes are left out.
    """
    k = len(prior)
    z = np.empty(k)
    for row in range(len(starts) - 1):
        begin, end = starts[row], starts[row + 1]
        if begin == end:
            continue
        for code in range(k):
            z[code] = prior[code]
        for place in range(begin, end):
            token = tokens[place]
            for code in range(k):
                z[code] += logs[token, code]
        top = z[0]
        for code in range(1, k):
            top = max(top, z[code])
        total = 0.0
        for code in range(k):
            z[code] = np.exp(z[code] - top)
            total += z[code]
        share = times[row] / total
        for code in range(k):
            z[code] *= share
            totals[code] += z[code]
        for place in range(begin, end):
            token = tokens[place]
            for code in range(k):
                sums[token, code] += z[code]


@nb.njit(nogil=True, cache=True, fastmath={"contract", "reassoc"})
def expect_two(starts: Any, tokens: Any, times: Any, logs: Any, prior: Any, sums: Any, totals: Any) -> None:  # noqa: PLR0913, PLR0917
    """Do what :func:`expect` does, for two classes: one exponential and one number a token instead of two."""
    odds = np.empty(len(logs))
    ones = np.zeros(len(logs))
    every = np.zeros(len(logs))
    for token in range(len(logs)):
        odds[token] = logs[token, 1] - logs[token, 0]
    start, all_ones, rows = prior[1] - prior[0], 0.0, 0.0
    for row in range(len(starts) - 1):
        begin, end = starts[row], starts[row + 1]
        if begin == end:
            continue
        z, weight = start, times[row]
        for place in range(begin, end):
            z += odds[tokens[place]]
        small = np.exp(-abs(z))
        one = weight / (1.0 + small)
        if z < 0:
            one *= small
        all_ones += one
        rows += weight
        for place in range(begin, end):
            ones[tokens[place]] += one
            every[tokens[place]] += weight
    for token in range(len(logs)):
        sums[token, 1] += ones[token]
        sums[token, 0] += every[token] - ones[token]
    totals[1] += all_ones
    totals[0] += rows - all_ones


@nb.njit(nogil=True, cache=True, fastmath={"contract", "reassoc"})
def soft_rows(starts: Any, tokens: Any, logs: Any, prior: Any, shift: Any, out: Any) -> None:  # noqa: PLR0917
    """Write the probabilities of rows by their tokens: out (P, K).

    Args:
        starts: as in :func:`expect`.
        tokens: likewise.
        logs: likewise.
        prior: likewise.
        shift: (P, K) added to the log probabilities, or (0, 0).
        out: receives the probabilities, which sum to 1.
    """
    k = len(prior)
    z = np.empty(k)
    for row in range(len(starts) - 1):
        for code in range(k):
            z[code] = prior[code]
        for place in range(starts[row], starts[row + 1]):
            token = tokens[place]
            for code in range(k):
                z[code] += logs[token, code]
        if len(shift):
            for code in range(k):
                z[code] += shift[row, code]
        top = z[0]
        for code in range(1, k):
            top = max(top, z[code])
        total = 0.0
        for code in range(k):
            z[code] = np.exp(z[code] - top)
            total += z[code]
        for code in range(k):
            out[row, code] = z[code] / total


@nb.njit(nogil=True, cache=True)
def share_rows(starts: Any, tokens: Any, table: Any, prior: Any, shift: Any, out: Any) -> None:  # noqa: PLR0917
    """Write the shares of each class in rows' summed tokens: out (P, K); ``prior`` where there is nothing to share.

    Args:
        starts: as in :func:`expect`.
        tokens: likewise.
        table: (T, K) what each token gives each class, >= 0.
        prior: (K,) class shares.
        shift: (P, K) added to the sums, or (0, 0).
        out: receives the shares.
    """
    k = len(prior)
    z = np.empty(k)
    for row in range(len(starts) - 1):
        z[:] = 0.0
        for place in range(starts[row], starts[row + 1]):
            for code in range(k):
                z[code] += table[tokens[place], code]
        if len(shift):
            for code in range(k):
                z[code] += shift[row, code]
        total = z.sum()
        for code in range(k):
            out[row, code] = z[code] / total if total > 0 else prior[code]


@nb.njit(nogil=True, cache=True)
def expect_shares(starts: Any, tokens: Any, times: Any, table: Any, sums: Any, totals: Any) -> None:  # noqa: PLR0917
    """Add up what each token stands for if a row's class is spread like its votes; arguments as in :func:`expect`."""
    k = len(totals)
    z = np.empty(k)
    for row in range(len(starts) - 1):
        begin, end = starts[row], starts[row + 1]
        if begin == end:
            continue
        z[:] = 0.0
        for place in range(begin, end):
            for code in range(k):
                z[code] += table[tokens[place], code]
        share = times[row] / z.sum()
        for code in range(k):
            z[code] *= share
            totals[code] += z[code]
        for place in range(begin, end):
            for code in range(k):
                sums[tokens[place], code] += z[code]


@nb.njit(nogil=True, cache=True)
def pair_counts(votes: Any, times: Any, k: int, out: Any) -> None:
    """Count which two votes were cast together: out (W * K, W * K), the upper half and the diagonal."""
    n, width = votes.shape
    seen = np.empty(width, np.int64)
    for row in range(n):
        used = 0
        for column in range(width):
            if votes[row, column] >= 0:
                seen[used] = column * k + votes[row, column]
                used += 1
        for one in range(used):
            for two in range(one, used):
                out[seen[one], seen[two]] += times[row]


@nb.njit(nogil=True, cache=True)
def same_pairs(votes: Any, times: Any, out: Any) -> None:
    """Count how often two columns named one class together: out (K, W, W), the upper half and the diagonal."""
    n, width = votes.shape
    seen = np.empty(width, np.int64)
    for row in range(n):
        used = 0
        for column in range(width):
            if votes[row, column] >= 0:
                seen[used] = column
                used += 1
        for one in range(used):
            said = votes[row, seen[one]]
            for two in range(one, used):
                if votes[row, seen[two]] == said:
                    out[said, seen[one], seen[two]] += times[row]


@nb.njit(nogil=True, cache=True)
def summarize(votes: Any, gold: Any, counts: Any, right: Any) -> None:
    """Count per column: votes, votes beside others, votes beside a different one; and by class on gold rows.

    Args:
        votes: (N, W) codes, -1 = none.
        gold: (N,) right codes, -1 = not known.
        counts: (W, 3) receives votes, overlaps, conflicts.
        right: (W, 2) receives right and wrong votes on gold rows.
    """
    for row in range(votes.shape[0]):
        used, low, high = 0, -1, -1
        for column in range(votes.shape[1]):
            value = votes[row, column]
            if value >= 0:
                low = value if used == 0 else min(low, value)
                high = value if used == 0 else max(high, value)
                used += 1
        for column in range(votes.shape[1]):
            value = votes[row, column]
            if value >= 0:
                counts[column, 0] += 1
                counts[column, 1] += used > 1
                counts[column, 2] += low != high
                if gold[row] >= 0:
                    right[column, 0 if value == gold[row] else 1] += 1
