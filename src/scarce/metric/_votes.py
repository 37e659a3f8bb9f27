"""The inner steps of agreement, compiled: one pass over the ratings, and nothing that grows with their number."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np


@nb.njit(nogil=True, cache=True)
def multisets(ratings: Any, choose: Any, times: Any, counts: Any) -> None:
    """Count items that got the same votes, whoever gave them.

    The votes in falling order, -1 for missing, are one of C(K + R, R) multisets; its number follows from the
    combinatorial number system.

    Args:
        ratings: (N, R) classes 0..K-1 or -1.
        choose: (K + R + 1, R + 1) binomial coefficients.
        times: (P,) receives how many items have each multiset.
        counts: (P, K) receives how often each class is in it.
    """
    n, raters = ratings.shape
    votes = np.zeros(raters, np.int64)
    for row in range(n):
        for rater in range(raters):
            value, place = ratings[row, rater] + 1, rater
            while place > 0 and votes[place - 1] < value:
                votes[place] = votes[place - 1]
                place -= 1
            votes[place] = value
        number = 0
        for place in range(raters):
            number += choose[votes[place] + raters - 1 - place, raters - place]
        if times[number] == 0:
            for place in range(raters):
                if votes[place] > 0:
                    counts[number, votes[place] - 1] += 1
        times[number] += 1


@nb.njit(nogil=True, cache=True)
def item_counts(ratings: Any, out: Any) -> None:
    """Write how often each class was named in each row: (N, K)."""
    for row in range(ratings.shape[0]):
        out[row, :] = 0
        for rater in range(ratings.shape[1]):
            if ratings[row, rater] >= 0:
                out[row, ratings[row, rater]] += 1


@nb.njit(nogil=True, cache=True)
def moments(ratings: Any, k: int, first: Any, second: Any) -> None:  # noqa: C901  compiled: calls cost
    """Add up the rows' terms (2K + 2,) and their products (2K + 2, 2K + 2); see ``agreement.terms``."""
    counts = np.zeros(k, np.int64)
    term = np.zeros(2 * k + 2)
    used = np.zeros(2 * k + 2, np.int64)
    for row in range(ratings.shape[0]):
        counts[:] = 0
        votes = 0
        for rater in range(ratings.shape[1]):
            if ratings[row, rater] >= 0:
                counts[ratings[row, rater]] += 1
                votes += 1
        if votes < 2:
            continue
        filled, pairs = 0, 0.0
        for code in range(k):
            if counts[code]:
                term[code] = counts[code]
                used[filled] = code
                filled += 1
            if counts[code] > 1:
                same = counts[code] * (counts[code] - 1.0)
                pairs += same
                term[k + code] = same / (votes - 1)
                used[filled] = k + code
                filled += 1
        term[2 * k], term[2 * k + 1] = 1.0, pairs / (votes * (votes - 1.0))
        used[filled], used[filled + 1] = 2 * k, 2 * k + 1
        filled += 2
        for i in range(filled):
            first[used[i]] += term[used[i]]
            for j in range(filled):
                second[used[i], used[j]] += term[used[i]] * term[used[j]]
        for i in range(filled):
            term[used[i]] = 0.0


@nb.njit(nogil=True, cache=True)
def patterns(ratings: Any, k: int, times: Any) -> None:
    """Count items that every rater rated alike: a row is a number of R digits to the base K + 1; times ((K + 1)^R,)."""
    for row in range(ratings.shape[0]):
        number = 0
        for rater in range(ratings.shape[1]):
            number = number * (k + 1) + ratings[row, rater] + 1
        times[number] += 1


@nb.njit(nogil=True, cache=True)
def unfolded(times: Any, k: int, out: Any) -> None:
    """Add up what each pair of raters said in counted patterns: (R, R, K, K), the first rater below the second."""
    raters = out.shape[0]
    said = np.zeros(raters, np.int64)
    for number in range(len(times)):
        if times[number]:
            rest = number
            for rater in range(raters - 1, -1, -1):
                said[rater] = rest % (k + 1) - 1
                rest //= k + 1
            for one in range(raters):
                for two in range(one + 1, raters):
                    if said[one] >= 0 and said[two] >= 0:
                        out[one, two, said[one], said[two]] += times[number]


@nb.njit(nogil=True, cache=True)
def confusions(ratings: Any, one: int, first: int, out: Any) -> None:
    """Count what one rater and B others, from ``first`` on, said about the same rows: (B, K, K)."""
    for row in range(ratings.shape[0]):
        own = ratings[row, one]
        if own >= 0:
            for other in range(out.shape[0]):
                said = ratings[row, first + other]
                if said >= 0:
                    out[other, own, said] += 1


@nb.njit(nogil=True, cache=True)
def against_others(ratings: Any, k: int, out: Any) -> None:
    """Add up, for each rater, own class against the other raters' classes, each row with weight 1: (R, K, K)."""
    counts = np.zeros(k, np.int64)
    for row in range(ratings.shape[0]):
        counts[:] = 0
        votes = 0
        for rater in range(ratings.shape[1]):
            if ratings[row, rater] >= 0:
                counts[ratings[row, rater]] += 1
                votes += 1
        if votes < 2:
            continue
        share = 1.0 / (votes - 1)
        for rater in range(ratings.shape[1]):
            own = ratings[row, rater]
            if own < 0:
                continue
            counts[own] -= 1
            for code in range(k):
                if counts[code]:
                    out[rater, own, code] += share * counts[code]
            counts[own] += 1
