"""Samples of a long tail to train on, and others that judge, with no group on both sides."""

from __future__ import annotations

import numpy as np

from scarce.dataset import Ints


def parted(labels: Ints, groups: Ints, sizes: Ints, judged: int, seed: int) -> tuple[Ints, Ints]:
    """Return places that are trained on, and that judge; a class with too few samples beside whole groups gets fewer.

    Samples are drawn one by one where that cuts no group, and else by groups: of whole groups, in random order, those
    judge first that bring a class no further than wanted.

    Args:
        labels: (R,) codes, each of 0 .. K - 1 there.
        groups: (R,) codes of what must stay on one side.
        sizes: (K,) samples of each class that are trained on.
        judged: samples of each class that judge.
        seed: of the draw.
    """
    rng = np.random.default_rng([seed, 0x6C6F73])
    orders = [rng.permutation(np.flatnonzero(labels == code)) for code in range(len(sizes))]
    judges = np.concatenate([order[:judged] for order in orders])
    fitted = np.concatenate([order[judged:][:size] for order, size in zip(orders, sizes, strict=True)])
    if not np.isin(groups[fitted], groups[judges]).any():
        return fitted, judges
    apart = _judging(orders, groups, judged)
    sides = [(order[~apart[groups[order]]], order[apart[groups[order]]]) for order in orders]
    fitted = np.concatenate([free[:size] for (free, _), size in zip(sides, sizes, strict=True)])
    return fitted, np.concatenate([kept[:judged] for _, kept in sides])


def _judging(orders: list[Ints], groups: Ints, judged: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return (G,) which groups judge, so that each class has as many samples in them as are wanted."""
    apart = np.zeros(int(groups.max()) + 1, bool)
    for order in sorted(orders, key=len):  # the rarest class chooses first
        own = groups[order]
        found, first, sizes = np.unique(own, return_index=True, return_counts=True)
        turn = np.argsort(first, kind="stable")
        room = judged - int(apart[own].sum())
        for exact in (True, False):
            for group, size in zip(found[turn].tolist(), sizes[turn].tolist(), strict=True):
                if room > 0 and not apart[group] and (size <= room or not exact):
                    apart[group] = True
                    room -= size
    return apart
