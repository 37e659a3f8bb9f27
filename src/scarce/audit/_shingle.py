"""Texts that share most of their wording: an exact join of sets of shingles by their Jaccard similarity.

Two sets that are alike enough share one of their rarest members at least (Chaudhuri, Ganti and Kaushik 2006; Bayardo,
Ma and Srikant 2007), so only texts which share a rare shingle are compared. Nothing is drawn and no pair is missed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import numba as nb
import numpy as np

from scarce.dataset import Floats, Ints

SLOTS = 2**31 - 1
LETTERS, SYLLABLES = 5, 3
"""Letters of a shingle; fewer where most stand for syllables or words (Chinese, Japanese, Korean)."""
FEWEST = 16
"""Texts with fewer distinct shingles are alike by chance and are not compared."""


def shingled(texts: Sequence[str]) -> tuple[Ints, Ints]:
    """Return where each text's shingles begin, (N + 1,), and their numbers, distinct and ascending in each text.

    Case, Unicode form, punctuation and blanks make no difference. Different shingles share a number once in 2^31.
    """
    parts = [_numbers(text) for text in texts]
    starts = np.r_[0, np.cumsum([len(part) for part in parts])].astype(np.int64)
    return starts, np.concatenate([np.zeros(0, np.int64), *parts])


def _numbers(text: str) -> Ints:
    kept = "".join(mark if mark.isalnum() else " " for mark in unicodedata.normalize("NFKC", text).casefold())
    codes = np.frombuffer(" ".join(kept.split()).encode("utf-32-le"), np.uint32).astype(np.uint64)
    letters = SYLLABLES if 2 * (codes >= 0x2E80).sum() > (codes != ord(" ")).sum() else LETTERS
    if len(codes) < letters:
        return np.zeros(0, np.int64)
    number = np.zeros(len(codes) - letters + 1, np.uint64)
    for place in range(letters):
        number = (number ^ codes[place : place + len(number)]) * np.uint64(0x9E3779B97F4A7C15)
        number ^= number >> np.uint64(29)
    return np.unique(number % np.uint64(SLOTS)).astype(np.int64)


def similar_sets(starts: Ints, members: Ints, threshold: float, *, fewest: int = FEWEST) -> tuple[Ints, Floats]:
    """Return (P, 2) all pairs i < j of sets whose Jaccard similarity reaches the threshold, and (P,) the similarity.

    Equal sets are joined to the first of them only, so that a crowd of m copies costs m pairs.

    Args:
        starts: (N + 1,) where each set begins.
        members: distinct numbers, ascending in each set.
        threshold: in (0, 1].
        fewest: smaller sets belong to no pair.
    """
    first, copies = _equal(starts, members, fewest)
    if len(first) < 2:
        return copies, np.ones(len(copies), np.float32)
    starts, ranks = _by_rarity(starts, members, first)
    sizes = np.diff(starts)
    prefix = sizes - np.ceil(threshold * sizes - 1e-9).astype(np.int64) + 1
    owner = np.repeat(np.arange(len(sizes)), prefix)
    inside = np.arange(len(owner)) - np.repeat(np.r_[0, np.cumsum(prefix)[:-1]], prefix)
    token = ranks[starts[owner] + inside]
    order = np.lexsort((owner, token))
    lists = np.r_[0, np.cumsum(np.bincount(token))]
    pairs, value = _joined(starts, ranks, prefix, (lists, owner[order]), threshold)
    pairs = np.sort(first[pairs], axis=1)
    every = np.concatenate([copies, pairs])
    value = np.r_[np.ones(len(copies), np.float32), value].astype(np.float32)
    rank = np.lexsort((every[:, 1], every[:, 0]))
    return every[rank], value[rank]


def _equal(starts: Ints, members: Ints, fewest: int) -> tuple[Ints, Ints]:
    """Return the first of every kind of large enough sets, and pairs of these with their equals."""
    seen: dict[bytes, int] = {}
    first, copies = [], []
    for row in range(len(starts) - 1):
        own = members[starts[row] : starts[row + 1]]
        if len(own) < fewest:
            continue
        known = seen.setdefault(own.tobytes(), row)
        if known == row:
            first.append(row)
        else:
            copies.append((known, row))
    return np.array(first, np.int64), np.array(copies, np.int64).reshape(-1, 2)


def _by_rarity(starts: Ints, members: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Return where these sets begin and their members, renamed so that rare ones come first."""
    sizes = (starts[1:] - starts[:-1])[rows]
    own = np.concatenate([members[starts[row] : starts[row + 1]] for row in rows])
    _, name, count = np.unique(own, return_inverse=True, return_counts=True)
    rarity = np.empty(len(count), np.int64)
    rarity[np.argsort(count, kind="stable")] = np.arange(len(count))
    ranks = rarity[name]
    owner = np.repeat(np.arange(len(rows)), sizes)
    return np.r_[0, np.cumsum(sizes)], ranks[np.lexsort((ranks, owner))]


@nb.njit(nogil=True, cache=True)
def _shared(left: Any, right: Any) -> int:
    a, b, count = 0, 0, 0
    while a < left.size and b < right.size:
        if left[a] == right[b]:
            a, b, count = a + 1, b + 1, count + 1
        elif left[a] < right[b]:
            a += 1
        else:
            b += 1
    return count


@nb.njit(nogil=True, cache=True)
def _joined(starts: Any, ranks: Any, prefix: Any, index: Any, threshold: float) -> Any:
    """Return pairs of sets and their similarity; each pair of sets that shares a rare member is compared once."""
    lists, owners = index
    n = starts.size - 1
    pairs, value, count = np.empty((256, 2), np.int64), np.empty(256, np.float32), 0
    mark = np.full(n, -1, np.int64)
    for i in range(n):
        own = ranks[starts[i] : starts[i + 1]]
        for place in range(prefix[i]):
            for at in range(lists[own[place]], lists[own[place] + 1]):
                j = owners[at]
                if j >= i:
                    break
                size = starts[j + 1] - starts[j]
                if mark[j] == i or min(size, own.size) < threshold * max(size, own.size) - 1e-9:
                    continue
                mark[j] = i
                both = _shared(own, ranks[starts[j] : starts[j + 1]])
                alike = both / (own.size + size - both)
                if alike < threshold - 1e-9:
                    continue
                if count == value.size:
                    pairs, value = np.concatenate((pairs, pairs)), np.append(value, value)
                pairs[count, 0], pairs[count, 1], value[count] = j, i, alike
                count += 1
    return pairs[:count].copy(), value[:count].copy()


def duplicate_texts(texts: Sequence[str], *, threshold: float = 0.7) -> tuple[Ints, Floats]:
    """Return (P, 2) pairs i < j of texts that share most of their wording, and (P,) the Jaccard similarity.

    Args:
        texts: N texts; None and texts with fewer than 16 distinct shingles belong to no pair.
        threshold: least similarity of the sets of their 5-letter shingles.
    """
    return similar_sets(*shingled([str(text or "") for text in texts]), threshold)
