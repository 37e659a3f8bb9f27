"""The same object in other pictures: other light, a small shift, another crop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from scarce.audit._base import AbstractCheck, Measurement
from scarce.audit._group import COPY, components, forest, known_pairs, stars, told
from scarce.audit.near_duplicate import Pairs
from scarce.dataset import Array, Dataset, Floats, Ints

if TYPE_CHECKING:
    from scarce.audit._same import Views

FEWEST = 12
"""Fewer pictures say nothing about how alike ordinary ones are."""
NEAREST = 10
ORDINARY_FROM, ORDINARY_TO, ORDINARY = 24, 64, 6
"""Ordinary look-alikes of a picture: so many neighbors, evenly between these ranks; a larger group hides itself."""
ROUGHLY = 0.65
"""Pairs whose detail at half the size correlates less than this share of the threshold are not looked at closely."""
RATIO_STEP, CLEAR = 0.1, 0.25
"""Groups stand out if the next step of the ratio would add at most this share of pairs."""


@final
@dataclass(frozen=True, kw_only=True)
class SameObject(AbstractCheck):
    """Find pictures that show the same object again: under other light, shifted or cropped a little.

    Use always before splitting when parts may have been photographed more than once: a split through such a group
    flatters every score. They are no copies, and nothing is set aside.
    Do not use for objects that turn, are mirrored or change their distance between pictures; pass a group column then.
    More than about 24 pictures of one object look like a kind of their own and are not found.
    Needs: pictures of at least 48 pixels that were scanned; it opens each once, small. A pair must agree in fine detail
    at the best shift, and clearly more than either picture agrees with its ordinary look-alikes; where alike and not
    alike run into each other, as among clothes or faces, fewer pairs or none are named.
    Writes: score (N,) = correlation of detail with the most alike picture of the same object, 0 without one; group
    findings without chaining, pair findings that span every component.
    Source: cross-correlation of locally normalized pictures (Lewis 1995, Fast Normalized Cross-Correlation); the ratio
    test after Lowe 2004, section 7.1, on whole pictures.

    Args:
        threshold: least correlation of detail at the best shift, in (0, 1].
        ratio: a pair is at most this share of the distance to ordinary look-alikes apart.
        peak: and at most this share of its own distance at the next best shift: a weave fits itself at many.
        size: scale at which pictures are compared, in pixels (side of the square of the median picture's area).
        smallest: least shorter side of a picture that is judged, in pixels.
        most: above this many pictures the check is skipped; its time grows with their number.
    """

    needs: ClassVar[tuple[str, ...]] = ("scan.width", "scan.height")
    modalities: ClassVar[tuple[str, ...]] = ("image",)
    after: ClassVar[tuple[str, ...]] = ("exact_duplicate", "near_duplicate")
    threshold: float = 0.45
    ratio: float = 0.7
    peak: float = 0.8
    size: int = 128
    smallest: int = 48
    most: int = 20_000

    def unmet(self, ds: Dataset) -> str:
        """Return why the check cannot run: the frame's reasons, pictures that are too small, too few or too many."""
        reason = super().unmet(ds)
        if reason:
            return reason
        count = len(self._rows(ds))
        if count < FEWEST:
            return f"it needs {FEWEST} pictures of {self.smallest} pixels or more a side, here are {count}"
        if count > self.most:
            return f"it judges {self.most:,} pictures at most, here are {count:,}; most = {count} makes it run"
        return ""

    def measure(self, ds: Dataset) -> Measurement:
        """Return groups and spanning pairs of pictures of one object."""
        judged, found = self._found(ds)
        score = np.full(len(ds), np.nan)
        score[judged] = 0.0
        np.maximum.at(score, found.rows[:, 0], found.similarity)
        np.maximum.at(score, found.rows[:, 1], found.similarity)
        copies = components(len(ds), known_pairs(ds, ("exact_duplicate", "near_duplicate"), least=COPY))
        groups = [
            star
            for star in stars(len(ds), found.rows, found.similarity)
            if (copies[star.members] != copies[star.center]).any()
        ]
        tree = forest(len(ds), found.rows, found.similarity)
        return Measurement(
            score, told(ds, groups, found.rows[tree], found.similarity[tree], _say, what="pictures of one object")
        )

    def pairs(self, ds: Dataset) -> Pairs:
        """Return the pairs of rows that show the same object."""
        return self._found(ds)[1]

    def _rows(self, ds: Dataset) -> Ints:
        return np.flatnonzero(np.minimum(ds["scan.width"], ds["scan.height"]) >= self.smallest)

    def _found(self, ds: Dataset) -> tuple[Ints, Pairs]:
        """Return the rows that were judged, and the pairs."""
        from scarce.audit import _same

        seen = _same.views(ds, self._rows(ds), self.size)
        if len(seen.rows) < FEWEST:
            return np.zeros(0, np.int64), Pairs(np.zeros((0, 2), np.int64), np.zeros(0, np.float32))
        candidates, ordinary = _proposed(seen.signature)
        rough = _same.shifted_correlations(_same.halved(seen.detail), candidates)[:, 0]
        candidates = candidates[rough >= ROUGHLY * self.threshold]
        near, next_best = _same.shifted_correlations(seen.detail, candidates).T
        alike = np.flatnonzero((near >= self.threshold) & (1 - near <= self.peak * (1 - next_best)))
        candidates, near = candidates[alike], near[alike]
        rows, place = np.unique(candidates, return_inverse=True)
        level = _ordinary_level(seen, rows, ordinary)
        far = (1 - near) / np.maximum(1 - level[place.reshape(-1, 2)].max(axis=1), 1e-6)
        keep = far <= clear_ratio(far, self.ratio)
        return seen.rows, Pairs(seen.rows[candidates[keep]], near[keep])


def _ordinary_level(seen: Views, rows: Ints, ordinary: Ints) -> Floats:
    """Return, for M of the rows, the highest correlation with one of their (N, R) ordinary look-alikes."""
    from scarce.audit import _same

    both = np.stack([np.repeat(rows, ordinary.shape[1]), ordinary[rows].ravel()], axis=1)
    pairs, place = np.unique(np.sort(both, axis=1), axis=0, return_inverse=True)
    value = _same.shifted_correlations(seen.detail, pairs)[place.reshape(-1), 0]
    return np.asarray(value.reshape(-1, ordinary.shape[1]).max(axis=1, initial=0))


def _proposed(signature: Floats) -> tuple[Ints, Ints]:
    """Return (P, 2) distinct pairs of near neighbors, and (N, R) the ordinary look-alikes of each row."""
    from scarce.audit._same import ranked

    n = len(signature)
    first, last = min(ORDINARY_FROM, (n - 1) // 2), min(ORDINARY_TO, n - 2)
    nearest = np.arange(min(NEAREST, first))
    ordinary = np.unique(np.linspace(first, last, ORDINARY).astype(np.int64))
    near = ranked(signature, np.r_[nearest, ordinary])
    sides = np.split(near, [len(nearest)], axis=1)
    pairs = np.stack([np.repeat(np.arange(n), sides[0].shape[1]), sides[0].ravel()], axis=1)
    return np.unique(np.sort(pairs, axis=1), axis=0), sides[1]


def clear_ratio(far: Array, most: float) -> float:
    """Return the largest ratio at which pairs stand out: one step further there are hardly more; 0 if there is none.

    Pictures of the same objects leave a gap between their pairs and all others; kinds that merely look alike do not.

    Args:
        far: (P,) distance of each pair over the distance of ordinary look-alikes.
        most: the ratio to begin with, lowered in steps of 0.1.
    """
    ratio = most
    while ratio > RATIO_STEP / 2:
        inside = int((far <= ratio).sum())
        if int((far <= ratio + RATIO_STEP).sum()) - inside <= CLEAR * inside:
            return ratio
        ratio -= RATIO_STEP
    return 0.0


def _say(similarity: float) -> str:
    return f"the same detail under other light or shifted (correlation {similarity:.2f})"
