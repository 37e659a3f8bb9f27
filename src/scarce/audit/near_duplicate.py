"""Nearly equal samples: re-saved, scaled, blurred, brightened, mirrored or cropped copies, and reworded texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import numpy as np

from scarce.audit._base import AbstractCheck, Measurement, ds_embedding, unit_rows
from scarce.audit._group import forest, stars, told
from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.errors import DataError

SEEN, MIRRORED, CROPPED, FEATURES, WORDS = range(5)
"""How a pair was found."""
BLOCK = 8192
TINY, HUGE = 1e-6, 1e15
"""Rows whose largest value is smaller or larger are scaled first: their squares leave what float32 can hold."""


class Pairs(NamedTuple):
    """Verified pairs: (P, 2) row numbers i < j, (P,) similarity in [0, 1], and (P,) how they were found, if known."""

    rows: Ints
    similarity: Floats
    how: Ints = np.zeros(0, np.int64)


def duplicate_pairs(embeddings: Array, *, threshold: float = 0.99) -> Ints:
    """Return (P, 2) all pairs i < j of rows whose cosine reaches the threshold, exactly, in order.

    Args:
        embeddings: (N, D), finite; a row of zeros has no direction and belongs to no pair.
        threshold: least cosine, in (0, 1].

    Raises:
        DataError: wrong shape or threshold, a value that is NaN or infinite, or more than 50 million pairs.
    """
    from scarce.audit import _join

    try:
        rows = np.asarray(embeddings)
    except ValueError:
        rows = np.array(None)
    if rows.dtype.kind not in "fiub":
        raise DataError("audit.near_duplicate", "embeddings are no matrix of numbers", f"they are {rows.dtype}",
                        "pass (N, D) float32")  # fmt: skip
    if rows.ndim != 2:
        raise DataError("audit.near_duplicate", f"embeddings have shape {rows.shape}", do="pass (N, D)")
    if not 0 < threshold <= 1:
        raise DataError("audit.near_duplicate", f"threshold = {threshold} is not in (0, 1]")
    return _join.all_pairs(_measurable(rows), threshold)[0]


def _measurable(rows: Array) -> Array:
    """Return finite rows, scaled where the square of their length is out of reach; looked at in blocks.

    Raises:
        DataError: a row is not finite.
    """
    if rows.dtype.kind != "f" or not rows.size:
        return rows
    top = np.empty(len(rows))
    for a in range(0, len(rows), BLOCK):
        part = np.asarray(rows[a : a + BLOCK])
        np.maximum(part.max(axis=1), -part.min(axis=1), out=top[a : a + BLOCK])
    bad = np.flatnonzero(~np.isfinite(top))
    if len(bad):
        what = f"embeddings are NaN or infinite in {len(bad)} of {len(rows)} rows, first in row {bad[0]}"
        raise DataError("audit.near_duplicate", what, do="leave those rows out, or mend what made them")
    odd = np.flatnonzero((top > 0) & ((top < TINY) | (top > HUGE)))
    if len(odd):
        rows = rows.astype(np.float64)
        rows[odd] /= top[odd, None]
    return rows


def hamming_pairs(hashes: Array, max_distance: int) -> Ints:
    """Return (P, 2) all pairs i < j of 64-bit hashes that differ in at most ``max_distance`` bits, in order.

    Args:
        hashes: (N,) uint64.
        max_distance: 0 to 64.

    Raises:
        DataError: wrong shape, or more than 50 million pairs.
    """
    from scarce.audit import _hamming

    values = np.ascontiguousarray(hashes)
    if values.ndim != 1 or values.dtype.kind not in "iu" or not 0 <= max_distance <= 64:
        raise DataError("audit.near_duplicate", f"hashes are {values.dtype} {values.shape}, distance {max_distance}",
                        do="pass (N,) uint64 and 0 to 64")  # fmt: skip
    return _hamming.near_hashes(values.astype(np.uint64), int(max_distance))


@final
@dataclass(frozen=True, kw_only=True)
class NearDuplicate(AbstractCheck):
    """Find samples that are copies of each other with small changes.

    Use always before splitting: copies on both sides of a split flatter every score.
    Do not use when all samples are frames of one still scene; give the scene as a group instead.
    Needs: scan.thumbnail (images), scan.text_hash (texts that can be opened) or embedding (N, D). A pair must be near
    and nearer than ordinary neighbors are, so that sound parts which all look alike are not called copies. Mirrored and
    cropped copies are proposed by the embedding and verified on the thumbnails. Pictures of 96 pixels or more are then
    opened, small: one picture saved twice is told from another exposure of the same thing, whose noise and light are
    its own. Texts are compared by the pieces of their wording.
    Writes: score (N,) = similarity to the nearest copy, 0 without one; group findings without chaining (every member is
    near to the center) and pair findings that span every component. Other exposures are in no group; their pairs,
    scored below 0.5, only keep them together in splits and folds.
    Source: ratio test after Lowe 2004, section 7.1, on whole pictures.

    Args:
        threshold: least correlation of detail (thumbnails), in (0, 1].
        ratio: a copy is at most this share of the distance to ordinary neighbors away.
        surely: pairs at least this alike are copies whatever the neighbors are.
        crops: seek mirrored and cropped copies among the embedding's neighbors.
        embedding_threshold: least cosine of such candidates.
        embedding_ratio: ratio for such candidates, before they are verified.
        crop_threshold: least correlation of detail when one is laid into the other.
        crop_ratio: a crop is at most this share of the distance to the next best candidate away.
        wording: least Jaccard similarity of the sets of 5-letter pieces of two texts, in (0, 1].
        encoder: whose features; empty = the newest.
    """

    needs: ClassVar[tuple[str, ...]] = ("scan.thumbnail|scan.text_hash|embedding",)
    threshold: float = 0.93
    ratio: float = 0.15
    surely: float = 0.995
    crops: bool = True
    embedding_threshold: float = 0.9
    embedding_ratio: float = 1.0
    crop_threshold: float = 0.85
    crop_ratio: float = 0.6
    wording: float = 0.7
    encoder: str = ""

    def measure(self, ds: Dataset) -> Measurement:
        """Return groups and spanning pairs of near copies."""
        from scarce.audit import _difference, _saved

        found = self.pairs(ds)
        same = np.ones(len(found.rows), bool)
        whole = np.flatnonzero(np.isin(found.how, (SEEN, MIRRORED)))
        same[whole] = _saved.copies(ds, found.rows[whole], found.how[whole] == MIRRORED)
        copies, similarity = found.rows[same], found.similarity[same]
        score = np.zeros(len(ds))
        np.maximum.at(score, copies.ravel(), np.repeat(similarity, 2))
        tree = forest(len(ds), found.rows, np.where(same, found.similarity, 0.5 * found.similarity))
        tree, other = tree[same[tree]], tree[~same[tree]]
        notes = _difference.notes(ds, found.rows[tree], found.how[tree])
        groups = stars(len(ds), copies, similarity)
        findings = told(ds, groups, found.rows[tree], found.similarity[tree], self._say, notes=notes)
        findings += told(ds, [], found.rows[other], 0.49 * found.similarity[other], _say_other)
        return Measurement(np.clip(score, 0, 1), findings)

    def pairs(self, ds: Dataset) -> Pairs:
        """Return all verified pairs (in crowds of copies: enough to hang together)."""
        if ds.schema.modality == "text" and "scan.text_hash" in ds:
            return self._worded(ds)
        parts = []
        if "scan.thumbnail" in ds:
            parts.append(self._alike(ds["scan.thumbnail"]))
        if any(name.startswith("embedding.") for name in ds.wide) and (self.crops or not parts):
            known = parts[0].rows if parts else np.zeros((0, 2), np.int64)
            parts.append(self._embedded(ds, known))
        if not parts:
            return Pairs(np.zeros((0, 2), np.int64), np.zeros(0, np.float32))
        return _best(_together(parts))

    def _say(self, similarity: float) -> str:
        return f"nearly the same content (similarity {similarity:.3f})"

    def _alike(self, thumbnails: Array) -> Pairs:
        from scarce.audit import _align, _join, _scale

        rows = _align.unit_detail(thumbnails)
        scale, _ = _scale.local_scale(rows)
        upright = self._judged(*_join.candidate_pairs(rows, self.threshold), scale, SEEN)
        if len(rows) > MIRROR_LIMIT:
            return upright
        mirror = _align.mirrored(rows, thumbnails.shape[1])
        turned = self._judged(*_join.candidate_pairs(rows, self.threshold, other=mirror), scale, MIRRORED)
        return _together([upright, turned])

    def _worded(self, ds: Dataset) -> Pairs:
        from scarce import modality
        from scarce.audit import _shingle

        texts = modality.open_samples(ds, np.arange(len(ds)))
        pairs, value = _shingle.duplicate_texts([str(text) for text in texts], threshold=self.wording)
        return Pairs(pairs, value, np.full(len(pairs), WORDS))

    def _judged(self, pairs: Ints, value: Floats, scale: Floats, how: int) -> Pairs:
        ordinary = np.minimum(scale[pairs[:, 0]], scale[pairs[:, 1]])
        keep = (value >= self.surely) | (1 - value <= self.ratio * ordinary)
        return Pairs(pairs[keep], value[keep], np.full(int(keep.sum()), how))

    def _embedded(self, ds: Dataset, known: Ints) -> Pairs:
        """Return pairs by features: as candidates for crops that thumbnails verify, or alone where there are none."""
        from scarce.audit import _crop, _join, _scale

        rows = unit_rows(ds_embedding(ds, self.encoder)[1])
        scale, dimension = _scale.local_scale(rows)
        seen = "scan.thumbnail" in ds
        pairs, value = _join.candidate_pairs(rows, self.embedding_threshold if seen else self.threshold, most_per_row=8)
        far = 1 - value
        relative = far / np.minimum(scale[pairs[:, 0]], scale[pairs[:, 1]])
        if not seen:
            keep = (far <= 1e-6) | (relative <= min(self.ratio, _scale.chance_ratio(len(ds), dimension)))
            keep &= _equal_length(ds_embedding(ds, self.encoder)[1], pairs, far)
            return Pairs(pairs[keep], value[keep], np.full(int(keep.sum()), FEATURES))
        new = ~np.isin(pairs @ [len(ds), 1], known @ [len(ds), 1])
        likely = np.flatnonzero((relative <= self.embedding_ratio) & new)
        pairs = pairs[np.sort(likely[np.argsort(relative[likely], kind="stable")[: 2 * len(ds)]])]
        value = _crop.crop_similarity(ds["scan.thumbnail"], pairs)
        good = (value >= self.crop_threshold) & (1 - value <= self.crop_ratio * _rivals(len(ds), pairs, value))
        return Pairs(pairs[good], value[good], np.full(int(good.sum()), CROPPED))


def _say_other(half: float) -> str:
    return f"another exposure of the same thing (similarity {half / 0.49:.3f}), with noise or light of its own: no copy"


MIRROR_LIMIT = 30_000
"""Above this many samples mirrored copies are sought among the embedding's neighbors only."""


def _rivals(n: int, pairs: Ints, value: Floats) -> Floats:
    """Return (P,) the distance 1 - similarity of the best other candidate of either member."""
    best = np.full((n, 2), -1.0)
    for (i, j), similarity in zip(pairs.tolist(), value.tolist(), strict=True):
        for row in (i, j):
            best[row] = sorted((*best[row], similarity))[:0:-1]
    other = [
        np.where(value >= best[pairs[:, side], 0], best[pairs[:, side], 1], best[pairs[:, side], 0]) for side in (0, 1)
    ]
    return np.asarray(1 - np.maximum(other[0], other[1]))


def _equal_length(features: Floats, pairs: Ints, far: Floats) -> Array:
    """Return whether the rows of a pair are about as long as their angle is small: a multiple is no copy."""
    length = np.linalg.norm(features, axis=1)
    left, right = length[pairs[:, 0]], length[pairs[:, 1]]
    return np.asarray(np.abs(left - right) <= (2 * np.sqrt(np.maximum(far, 0)) + 1e-3) * np.maximum(left, right))


def _together(parts: Sequence[Pairs]) -> Pairs:
    return Pairs(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _best(pairs: Pairs) -> Pairs:
    order = np.lexsort((-pairs.similarity, pairs.rows[:, 1], pairs.rows[:, 0]))
    rows = pairs.rows[order]
    fresh = np.r_[True, (rows[1:] != rows[:-1]).any(axis=1)] if len(rows) else np.zeros(0, bool)
    return Pairs(rows[fresh], pairs.similarity[order][fresh], pairs.how[order][fresh])
