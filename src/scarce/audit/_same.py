"""Whether two pictures show the same detail, whatever the light and wherever in the frame.

A picture is first freed from its light: fine detail over its local strength. Candidates are neighbors by the magnitude
of their spectrum, which a shift does not change; pairs are judged by their correlation at the best shift.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.errors import ScarceError

COARSE = 48
"""Scale of the pictures whose spectra are compared: side of the square of median area, in pixels."""
FINE, COARSE_BLUR = 3.0, 2.0
"""Standard deviation, in pixels, below which structure counts as detail."""
LONGEST = 2.0
"""A picture's long side is at most this many times the scale."""
STEP = 42
"""Detail of one local standard deviation, as int8; clipped at three."""
FLAT = 0.2
"""Pictures whose detail is weaker than this show nothing that could be compared."""
SPECTRUM = 128
REACH, OVERLAP = 0.2, 0.85
"""Largest shift as a share of the largest picture, and least overlap as a share of the smaller picture, per axis."""
PEAK = 5
"""A second peak lies more than so many pixels away."""
ALIKE_IN_SIZE = 16
"""Pairs whose larger sides are the same multiple of so many pixels are transformed together."""
OPEN_AT_ONCE, PIXELS_AT_ONCE = 16, 2**22


class Views(NamedTuple):
    """Pictures without their light.

    Attributes:
        rows: (M,) their row numbers in the dataset, ascending.
        detail: M arrays (H, W) int8, in units of 1 / 42 local standard deviations; sizes differ.
        signature: (M, 512) float32 unit rows whose products say how alike the spectra are.
    """

    rows: Ints
    detail: Sequence[Array]
    signature: Floats


def views(ds: Dataset, rows: Ints, side: int) -> Views:
    """Open pictures once, all at one scale, and return those that can be compared.

    Args:
        ds: has ``scan.width`` and ``scan.height``.
        rows: which rows.
        side: scale: the square of the median picture's area gets this side, in pixels; none is enlarged.
    """
    from scarce.execute.local import spread

    area = ds["scan.width"][rows].astype(np.float64) * ds["scan.height"][rows].astype(np.float64)
    scale = float(np.sqrt(np.median(area)))

    def seen(part: Ints) -> list[tuple[Array, Floats] | None]:
        return [None if picture is None else _view(picture, scale, side) for picture in _opened(ds, part, side)]

    parts = [rows[start : start + OPEN_AT_ONCE] for start in range(0, len(rows), OPEN_AT_ONCE)]
    found = [one for part in spread(seen, parts) for one in part]
    good = [place for place, one in enumerate(found) if one is not None]
    kept = [one for one in found if one is not None]
    signature = np.stack([one[1] for one in kept]) if kept else np.zeros((0, SPECTRUM * 4), np.float32)
    return Views(rows[good], [one[0] for one in kept], centered(signature))


def _opened(ds: Dataset, rows: Ints, side: int) -> list[tuple[Array, float] | None]:
    """Return pictures and their long side in the original, in pixels; None where one cannot be opened."""
    from scarce import modality

    try:
        pictures = modality.open_samples(ds, rows, at_least=side)
    except ScarceError:
        if len(rows) == 1:
            return [None]
        return [one for row in rows for one in _opened(ds, np.array([row]), side)]
    long = np.maximum(ds["scan.width"][rows], ds["scan.height"][rows]).astype(float)
    return [(np.asarray(picture), size) for picture, size in zip(pictures, long.tolist(), strict=True)]


def _view(opened: tuple[Array, float], scale: float, side: int) -> tuple[Array, Floats] | None:
    import cv2

    picture, long = opened
    gray = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    fine = local_detail(_resized(gray, long, min(side / scale, 1.0), side), FINE)
    if fine.std() < FLAT:
        return None
    coarse = local_detail(_resized(gray, long, min(COARSE / scale, 1.0), COARSE), COARSE_BLUR)
    return np.rint(fine * STEP).clip(-127, 127).astype(np.int8), spectrum(coarse)


def _resized(gray: Array, long: float, factor: float, side: int) -> Array:
    import cv2

    factor = min(factor * long, LONGEST * side) / max(gray.shape)
    height, width = (max(8, round(factor * size)) for size in gray.shape)
    return np.asarray(cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA))


def local_detail(gray: Array, blur: float) -> Floats:
    """Return (H, W) float32 fine detail over its local strength, clipped at 3, mean 0: light and its slope fall out.

    Args:
        gray: (H, W) uint8.
        blur: structure below this standard deviation, in pixels, is detail; strength is taken over twice as much.
    """
    import cv2

    image = gray.astype(np.float32)
    image -= cv2.GaussianBlur(image, (0, 0), blur)
    strength = np.sqrt(cv2.GaussianBlur(image * image, (0, 0), 2 * blur))
    out = np.clip(image / (strength + 1.0), -3, 3)
    return np.asarray(out - out.mean(), np.float32)


def spectrum(detail: Floats) -> Floats:
    """Return (512,) roots of the lower half of the spectrum's magnitude in 16 x 32 cells; a shift changes little."""
    import cv2
    from scipy import fft

    quarter = SPECTRUM // 4
    half = np.abs(fft.fft2(detail, s=(SPECTRUM, SPECTRUM)))[:quarter]
    low = np.concatenate([half[:, :quarter], half[:, -quarter:]], axis=1)
    return np.asarray(np.sqrt(cv2.resize(low, (32, 16), interpolation=cv2.INTER_AREA)).ravel(), np.float32)


def centered(rows: Floats) -> Floats:
    """Return (N, D) rows less their mean, of length 1."""
    from scarce.audit._base import unit_rows

    return unit_rows(rows - rows.mean(axis=0)) if len(rows) else rows


def ranked(signature: Floats, ranks: Ints) -> Ints:
    """Return (N, R) the neighbors of each row at the given ranks, 0 = nearest.

    Args:
        signature: (N, D) unit rows.
        ranks: (R,) ascending, at most N - 2.
    """
    n, last = len(signature), int(ranks[-1])
    out = np.empty((n, len(ranks)), np.int64)
    for start in range(0, n, 1024):
        near = signature[start : start + 1024] @ signature.T
        own = np.arange(len(near))
        near[own, own + start] = -np.inf
        top = np.argpartition(-near, last, axis=1)[:, : last + 1]
        order = np.argsort(-np.take_along_axis(near, top, axis=1), axis=1, kind="stable")
        out[start : start + 1024] = np.take_along_axis(top, order, axis=1)[:, ranks]
    return out


def halved(detail: Sequence[Array]) -> list[Array]:
    """Return detail (H, W) at half the size, float32; its correlations cost a quarter and are rarely much lower."""
    import cv2

    sizes = [(max(8, one.shape[1] // 2), max(8, one.shape[0] // 2)) for one in detail]
    return [
        np.asarray(cv2.resize(one.astype(np.float32), size, interpolation=cv2.INTER_AREA))
        for one, size in zip(detail, sizes, strict=True)
    ]


def shifted_correlations(detail: Sequence[Array], pairs: Ints) -> Floats:
    """Return (P, 2) float32 correlation of detail at the best shift, and at the best shift far from that, in [0, 1].

    Both are 0 where pictures cannot overlap enough. A weave fits itself at many shifts, an object at one.

    Args:
        detail: pictures without their light, (H, W) each; sizes may differ.
        pairs: (P, 2) places in ``detail``; neighboring pairs that share members are cheaper.
    """
    from scarce.execute.local import spread

    out = np.zeros((len(pairs), 2), np.float32)
    if not len(pairs):
        return out
    search = _Search.of(detail)
    canvas = np.ceil(search.sizes[pairs].max(axis=1) / ALIKE_IN_SIZE) @ [2**20, 1]
    order = np.argsort(canvas, kind="stable")
    parts: list[Ints] = []
    for group in np.split(order, np.flatnonzero(np.diff(canvas[order])) + 1):
        pixels = search.sizes[pairs[group]].max(axis=(0, 1)).prod() * (1 + REACH) ** 2
        size = max(16, int(PIXELS_AT_ONCE / pixels))
        parts += [group[start : start + size] for start in range(0, len(group), size)]
    for part, found in zip(parts, spread(lambda part: search.best(pairs[part]), parts), strict=True):
        out[part] = found
    return out


class _Search(NamedTuple):
    """Cross-correlation by the Fourier transform, over small shifts only.

    Attributes:
        detail: the pictures.
        sizes: (N, 2) their heights and widths.
        strength: (N,) root mean squares.
        reach: the largest shift down and across.
    """

    detail: Sequence[Array]
    sizes: Ints
    strength: Floats
    reach: Ints

    @classmethod
    def of(cls, detail: Sequence[Array]) -> _Search:
        sizes = np.array([one.shape for one in detail], np.int64)
        strength = np.array([np.sqrt(np.mean(np.square(one, dtype=np.float32))) for one in detail], np.float32)
        return cls(detail, sizes, np.maximum(strength, 1e-6), np.ceil(REACH * sizes.max(axis=0)).astype(np.int64))

    def best(self, pairs: Ints) -> Floats:
        from scipy import fft

        both = np.sort(self.sizes[pairs], axis=1)
        loose = np.floor(both[:, 1] - OVERLAP * both[:, 0]).astype(np.int64).max(axis=0)
        down, across = (int(most) for most in np.minimum(self.reach, loose))
        most = both[:, 1].max(axis=0) + np.array([down, across])
        shape = tuple(fft.next_fast_len(int(size), real=True) for size in most)
        shifts = np.arange(-down, down + 1), np.arange(-across, across + 1)
        rows, place = np.unique(pairs, return_inverse=True)
        stack = np.zeros((len(rows), *shape), np.float32)
        for canvas, row in zip(stack, rows.tolist(), strict=True):
            height, width = self.detail[row].shape
            canvas[:height, :width] = self.detail[row]
        spectra = fft.rfft2(stack)
        left, right = place.reshape(-1, 2).T
        cross = fft.ifft(spectra[left] * spectra[right].conj(), axis=1, overwrite_x=True)[:, shifts[0]]
        value = fft.irfft(cross, n=shape[1], axis=2, overwrite_x=True)[:, :, shifts[1]]
        value *= self._share(pairs, 0, shifts[0])[:, :, None]
        value *= self._share(pairs, 1, shifts[1])[:, None, :]
        best = _two_peaks(value)
        best /= (self.strength[pairs[:, 0]] * self.strength[pairs[:, 1]])[:, None]
        return np.asarray(np.clip(best, 0, 1), np.float32)

    def _share(self, pairs: Ints, axis: int, shift: Ints) -> Floats:
        """Return (P, S) one over the overlap, in pixels, at each shift along an axis; 0 where it is too small."""
        one, other = (self.sizes[pairs[:, side], axis, None] for side in (0, 1))
        overlap = np.minimum(one, other + shift) - np.maximum(0, shift)
        enough = overlap >= OVERLAP * np.minimum(one, other)
        return np.where(enough, 1 / np.maximum(overlap, 1), 0).astype(np.float32)


def _two_peaks(value: Floats) -> Floats:
    """Return (P, 2) the highest value of each map and the highest outside of that peak; uses up the (P, H, W) maps."""
    out = np.empty((len(value), 2), value.dtype)
    for peaks, one in zip(out, value, strict=True):
        top, left = divmod(int(one.argmax()), one.shape[1])
        peaks[0] = one[top, left]
        one[max(0, top - PEAK) : top + PEAK + 1, max(0, left - PEAK) : left + PEAK + 1] = 0
        peaks[1] = one.max()
    return out
