"""Whether two pictures are one picture saved twice, or the same thing photographed again.

Saving, scaling and brightening are one rule for all pixels: after the best curve from gray to gray, what is left is
the rounding of the codec, which is fine and even. A second exposure has noise of its own and hardly ever the same
light: what is left has other grain, and a slow shading that neither rounding nor noise explains.
"""

from __future__ import annotations

import numpy as np

from scarce.dataset import Array, Dataset, Floats, Ints, Mask
from scarce.errors import ScarceError

SIDE, SMALLEST = 256, 96
"""Pictures are compared at this long side, in pixels; those with a shorter side below the second are not judged."""
SAME_GRAIN = 0.985
"""Correlation of the finest detail from which the noise itself is the same."""
CONTAINED = 0.55
"""Least covariance of the finest detail over the weaker one's power: a codec takes away and adds little of its own."""
GRAIN, TONE, SLOW = 1.0, 1.0, 4.0
"""Standard deviations of the blurs, in pixels: the first at full size, the others at a quarter of it."""
QUARTER, DEGREE = 4, 3
EVEN, ROUNDING = 0.03, 0.05
"""Even noise of one gray level leaves so much slow shading; a rounded curve leaves so many gray levels."""
SCALED = 0.95
"""Sizes nearer to each other than this are cut, not scaled."""
LEAST_CUT = 0.88
"""A cut leaves at least this share of either side; a smaller picture is scaled, or no copy."""
BORDER = 5
"""So many pixels around what is cut off are left out, too."""
DARKEST, LIGHTEST, LEAST_SEEN = 3, 252, 0.2
"""Gray levels beyond these are cut off; with less to see than this share between them, pictures are judged whole."""
MOST = 20_000
"""So many pairs are opened at most, the first ones; the others count as copies."""
AT_ONCE = 32


def saved_twice(one: Array, other: Array) -> bool:
    """Return whether two aligned pictures of one view are the same exposure.

    Args:
        one: (H, W) uint8 gray, the same way up as the other.
        other: (H, W) uint8 gray; the size may differ.
    """
    cut = _cut_out(one, other)
    if cut is not None:
        first, second = _one_size(*cut)
        if _one_exposure(first, second, np.ones(first.shape, bool), scaled=False):
            return True
    first, second = _one_size(one, other)
    scaled = one_frame(one.shape, other.shape)
    if _one_exposure(first, second, np.ones(first.shape, bool), scaled=scaled):
        return True
    laid, inside = _registered(first, second)
    return bool(inside.any()) and _one_exposure(first, laid, inside, scaled=scaled and one.shape != other.shape)


def _cut_out(one: Array, other: Array) -> tuple[Array, Array] | None:
    """Return the smaller picture and what of the larger one it fits best, pixel on pixel; None if neither is cut."""
    import cv2

    small, large = sorted((np.ascontiguousarray(image) for image in (one, other)), key=lambda image: image.size)
    (h, w), (high, wide) = small.shape, large.shape
    if small.shape == large.shape or h > high or w > wide or h < LEAST_CUT * high or w < LEAST_CUT * wide:
        return None
    top, left = np.unravel_index(
        int(cv2.matchTemplate(large, small, cv2.TM_CCOEFF_NORMED).argmax()), (high - h + 1, wide - w + 1)
    )
    return small, large[top : top + h, left : left + w]


def one_frame(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Return whether one size (height, width) may be the other one scaled and rounded; a cut frame may not."""
    (h, w), (high, wide) = sorted([one, other], key=lambda size: size[0] * size[1])
    if h > SCALED * high or w > SCALED * wide:
        return (h, w) == (high, wide)
    return abs(h - high * w / wide) <= 1 + 0.5 * high / wide and abs(w - wide * h / high) <= 1 + 0.5 * wide / high


def _one_exposure(first: Floats, second: Floats, seen: Mask, *, scaled: bool) -> bool:
    import cv2

    inside = seen & (first > DARKEST) & (first < LIGHTEST) & (second > DARKEST) & (second < LIGHTEST)
    inside = cv2.erode(inside.astype(np.uint8), np.ones((BORDER, BORDER), np.uint8)) > 0
    inside = seen if inside.mean() < LEAST_SEEN else inside
    toned = _toned(first, second, inside)
    likeness, contained, rest = _grain(toned, second, inside)
    if likeness >= SAME_GRAIN:
        return True
    difference = np.where(inside, toned - second, 0.0).astype(np.float32)
    slow = float(cv2.GaussianBlur(_quarter(difference), (0, 0), SLOW).std())
    return scaled and contained >= CONTAINED and slow <= ROUNDING + EVEN * rest


def _registered(first: Floats, second: Floats) -> tuple[Floats, Mask]:
    """Return the second picture moved and stretched a little so that it lies on the first, and where it does."""
    import cv2

    start = np.eye(2, 3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 12, 1e-4)
    one, other = (cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for image in (first, second))
    whole = np.ones(one.shape, np.uint8)
    try:
        _, found = cv2.findTransformECC(one, other, start, cv2.MOTION_AFFINE, stop, whole, 3)
    except cv2.error:
        return second, np.zeros(first.shape, bool)
    shift = np.array(found, np.float32)
    shift[:, 2] = 2 * shift[:, 2] + 0.5 - 0.5 * shift[:, :2].sum(axis=1)
    size, way = (first.shape[1], first.shape[0]), cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    laid = np.asarray(cv2.warpAffine(second, shift, size, flags=way, borderMode=cv2.BORDER_REPLICATE), np.float32)
    ones = np.ones(second.shape, np.float32)
    inside = cv2.warpAffine(ones, shift, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP) > 0.999
    return laid, np.asarray(cv2.erode(inside.astype(np.uint8), np.ones((BORDER, BORDER), np.uint8)) > 0)


def _one_size(one: Array, other: Array) -> tuple[Floats, Floats]:
    import cv2

    height, width = (min(sizes) for sizes in zip(one.shape, other.shape, strict=True))
    factor = min(1.0, SIDE / max(height, width))
    size = (max(8, round(width * factor)), max(8, round(height * factor)))
    first, second = (
        np.asarray(cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA), np.float32)
        for image in (one, other)
    )
    return first, second


def _toned(first: Floats, second: Floats, seen: Mask) -> Floats:
    """Return the first picture with the gray curve of the second; fitted where noise and blur are averaged out."""
    import cv2

    small = tuple(_quarter(image) for image in (first, second))
    known = cv2.erode(_quarter(seen.astype(np.float32)), np.ones((3, 3), np.uint8)) > 0.999
    if known.mean() < LEAST_SEEN:
        known[:] = True
    x, y = (cv2.GaussianBlur(image, (0, 0), TONE)[known] / 128 - 1 for image in small)
    if x.std() < 1e-3:
        return np.asarray(first + (second.mean() - first.mean()), np.float32)
    curve = np.polynomial.Polynomial.fit(x, y, DEGREE, domain=(-1, 1))
    return np.asarray((curve(first / 128 - 1) + 1) * 128, np.float32)


def _quarter(image: Floats) -> Floats:
    import cv2

    height, width = (max(4, round(size / QUARTER)) for size in image.shape)
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))


def _grain(first: Floats, second: Floats, seen: Mask) -> tuple[float, float, float]:
    """Return how alike the finest detail is, how much of the weaker one is in both, and the rest in gray levels."""
    import cv2

    x, y = ((image - cv2.GaussianBlur(image, (0, 0), GRAIN))[seen] for image in (first, second))
    xx, yy, xy = (float(np.dot(a, b)) / len(x) for a, b in ((x, x), (y, y), (x, y)))
    rest = max(xx + yy - 2 * xy, 0.0) ** 0.5
    if min(xx, yy) < 1e-9:
        return (1.0 if rest < 1e-3 else 0.0), 1.0, rest
    return xy / (xx * yy) ** 0.5, xy / min(xx, yy), rest


def copies(ds: Dataset, pairs: Ints, mirrored: Mask) -> Mask:
    """Return (P,) which pairs are one picture saved twice; those that cannot be judged count as such.

    Args:
        ds: its pictures are opened, small, where ``scan.width`` and ``scan.height`` say that they are large enough.
        pairs: (P, 2) row numbers of pictures of one view.
        mirrored: (P,) whether one is the mirror image of the other.
    """
    from scarce.execute.local import spread

    out = np.ones(len(pairs), bool)
    if not len(pairs) or "scan.width" not in ds or "scan.height" not in ds or ds.schema.modality != "image":
        return out
    judged = (np.minimum(ds["scan.width"], ds["scan.height"]) >= SMALLEST)[pairs].all(axis=1)
    if "scan.pixel_hash" in ds:
        judged &= ds["scan.pixel_hash"][pairs[:, 0]] != ds["scan.pixel_hash"][pairs[:, 1]]
    order = np.flatnonzero(judged)[:MOST]
    parts = [order[start : start + AT_ONCE] for start in range(0, len(order), AT_ONCE)]
    for part, found in zip(parts, spread(lambda part: _judged(ds, pairs[part], mirrored[part]), parts), strict=True):
        out[part] = found
    return out


def _judged(ds: Dataset, pairs: Ints, mirrored: Mask) -> list[bool]:
    opened: dict[int, Array | None] = {row: _gray(ds, row) for row in np.unique(pairs).tolist()}
    found = []
    for (i, j), turned in zip(pairs.tolist(), mirrored.tolist(), strict=True):
        one, other = opened[i], opened[j]
        known = one is not None and other is not None
        found.append(not known or saved_twice(one, other[:, ::-1] if turned else other))  # type: ignore[arg-type, index]
    return found


def _gray(ds: Dataset, row: int) -> Array | None:
    """Return a picture in gray; None where it cannot be opened."""
    import cv2

    from scarce import modality

    try:
        picture = np.asarray(modality.open_samples(ds, [row], at_least=SIDE)[0])
    except ScarceError:
        return None
    return picture if picture.ndim == 2 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
