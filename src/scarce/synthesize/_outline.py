"""Outlines of drawn defects: blots, lines and slits, each as soft coverage in a window of its own."""

from __future__ import annotations

import numpy as np

from scarce.dataset import Floats
from scarce.synthesize._patch import decode_mask
from scarce.synthesize._site import Site

Box = tuple[int, int, int, int]
FINE = 4
"""Lines and polygons are drawn so many times as large and averaged: soft edges."""


def blot(
    site: Site, radius: float, *, ragged: float = 0.16, soft: float = 0.12, margin: float = 0.0
) -> tuple[Floats, Box]:
    """Return the (h, w) float32 coverage in [0, 1] of an uneven blot and its window x0 y0 x1 y1.

    With a look it is the real defect's own outline, mirrored, turned a little, scaled and bent; else a circle with
    random harmonics.

    Args:
        site: where it lies.
        radius: in pixels, where the outline is not a real one.
        ragged: how uneven the circle is.
        soft: width of the edge, in radii.
        margin: pixels of free room around it.
    """
    if site.look is not None:
        return _real_outline(site, margin, soft)
    box = site.box(radius * 1.9 + margin)
    dx, dy = site.offsets(box)
    rng = site.rng
    turn, flat = rng.uniform(0, np.pi), rng.uniform(0.7, 1.0)
    across, down = dx * np.cos(turn) + dy * np.sin(turn), (dy * np.cos(turn) - dx * np.sin(turn)) / flat
    orders = np.arange(2, 16)
    waves = rng.normal(0, 1.4 * ragged, len(orders)) / orders
    phases = rng.uniform(0, 2 * np.pi, len(orders))
    turns = np.linspace(-np.pi, np.pi, 256, dtype=np.float32)
    outline = 1 + sum(a * np.cos(k * turns + p) for a, k, p in zip(waves, orders, phases, strict=True))
    angle = ((np.arctan2(down, across) + np.pi) * (255 / (2 * np.pi))).astype(np.int16)
    distance = np.sqrt(across**2 + down**2) / (radius * np.clip(outline, 0.4, 1.8).astype(np.float32)[angle])
    wide = max(soft, 0.8 / radius)
    edge = np.clip((1 + wide / 2 - distance) / wide, 0, 1)
    return np.asarray(edge * edge * (3 - 2 * edge), np.float32), box


def _real_outline(site: Site, margin: float, soft: float) -> tuple[Floats, Box]:
    """Return the look's own outline, varied, around the site's middle."""
    import cv2

    look, rng = site.look, site.rng
    assert look is not None
    mask = decode_mask(look.outline)
    height, width = site.image.shape[:2]
    of = look.outline["of"]
    zoom = site.factor * float(np.sqrt(height * width / (of[0] * of[1])))
    turn = rng.normal(0, 12)
    reach = 0.5 * float(np.hypot(*mask.shape)) * zoom * 1.1 + margin + 2
    box = site.box(reach)
    x0, y0, x1, y1 = box
    matrix = cv2.getRotationMatrix2D(((mask.shape[1] - 1) / 2, (mask.shape[0] - 1) / 2), turn, zoom)
    if rng.random() < 0.5:
        mask = mask[:, ::-1]
    matrix[:, 2] += [site.x - x0 - (mask.shape[1] - 1) / 2, site.y - y0 - (mask.shape[0] - 1) / 2]
    cover = cv2.warpAffine(np.ascontiguousarray(mask, np.float32), matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    if min(cover.shape) > 4 and cover.max() > 0:  # bent by a few pixels, so that no two are the same
        bend = 0.04 * min(mask.shape) * zoom
        gy, gx = np.mgrid[: cover.shape[0], : cover.shape[1]].astype(np.float32)
        for axis in (gx, gy):
            grid = rng.normal(0, bend, (4, 4)).astype(np.float32)
            axis += cv2.resize(grid, cover.shape[::-1], interpolation=cv2.INTER_CUBIC)
        bent = cv2.remap(cover, gx, gy, cv2.INTER_LINEAR)
        cover = bent if bent.max() > 0 else cover
    edge = 0.7 + 0.12 * max(0.0, soft - 0.2) * min(mask.shape) * zoom
    return np.asarray(cv2.GaussianBlur(cover, (0, 0), edge), np.float32), box


def window_of(points: Floats, margin: float, size: tuple[int, ...]) -> Box:
    """Return x0 y0 x1 y1 around (P, 2) points with a margin, inside the picture, at least one pixel."""
    height, width = size[:2]
    wide = int(np.ceil(margin)) + 2
    low = np.clip(np.floor(points.min(axis=0)).astype(int) - wide, 0, [width - 1, height - 1])
    high = np.clip(np.ceil(points.max(axis=0)).astype(int) + wide + 1, low + 1, [width, height])
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def strokes(lines: list[tuple[Floats, Floats]], box: Box, *, dim: bool = True) -> Floats:
    """Return the soft (h, w) coverage in [0, 1] of lines.

    Args:
        lines: (P, 2) points x, y and the (P - 1,) widths in pixels between them.
        box: the window.
        dim: parts thinner than a pixel cover less.
    """
    import cv2

    x0, y0, x1, y1 = box
    canvas = np.zeros(((y1 - y0) * FINE, (x1 - x0) * FINE), np.uint8)
    for points, widths in lines:
        spots = np.rint(((points - (x0, y0)) * FINE + FINE / 2) * 16).astype(np.int32).tolist()
        for first, second, wide in zip(spots[:-1], spots[1:], widths.tolist(), strict=True):
            ink = 255 if not dim else int(np.clip(110 + 145 * wide, 110, 255))
            cv2.line(canvas, first, second, ink, max(1, round(wide * FINE)), cv2.LINE_AA, 4)
    cover = cv2.resize(canvas, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
    return np.asarray(cover, np.float32) / 255


def filled(points: Floats, box: Box) -> Floats:
    """Return the soft (h, w) coverage in [0, 1] of a polygon of (P, 2) points x, y."""
    import cv2

    x0, y0, x1, y1 = box
    canvas = np.zeros(((y1 - y0) * FINE, (x1 - x0) * FINE), np.uint8)
    spots = np.rint(((points - (x0, y0)) * FINE + FINE / 2) * 16).astype(np.int32)
    cv2.fillPoly(canvas, [spots], 255, cv2.LINE_AA, 4)
    cover = cv2.resize(canvas, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
    return np.asarray(cover, np.float32) / 255


def bent_line(
    rng: np.random.Generator, length: float, heading: float, *, bend: float, jag: float, n: int = 24
) -> Floats:
    """Return (n + 1, 2) points of a line from (0, 0).

    Args:
        rng: of bends.
        length: in pixels.
        heading: direction in radians.
        bend: standard deviation of the whole turn, radians.
        jag: standard deviation of the turn at each joint, radians, which does not add up.
        n: number of pieces.
    """
    turns = heading + np.linspace(0, rng.normal(0, bend), n) + np.cumsum(rng.normal(0, 0.2 * bend / np.sqrt(n), n))
    turns = turns + rng.normal(0, jag, n)
    steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * (length / n)
    return np.vstack([np.zeros((1, 2)), np.cumsum(steps, axis=0)])


def real_line(site: Site) -> tuple[Floats, Floats] | None:
    """Return the middle line of the look's outline, varied, laid at the site and inside the picture where it fits.

    Returns:
        (P, 2) points x, y and (P - 1,) widths in pixels; None where the outline is no line.
    """
    look, rng = site.look, site.rng
    assert look is not None
    mask, of, size = decode_mask(look.outline), look.outline["of"], np.array(site.image.shape[1::-1])
    spots = np.argwhere(mask)[:, ::-1].astype(np.float64)
    if len(spots) < 12:
        return None
    spots -= spots.mean(axis=0)
    axes = np.linalg.eigh(np.cov(spots.T))[1]
    along, across = spots @ axes[:, 1], spots @ axes[:, 0]
    wide = look.wide * float(np.sqrt(of[0] * of[1]))
    length = float(np.ptp(along)) + 1
    n = int(np.clip(length / max(3.0, 1.5 * wide), 3, 24))
    place = np.minimum(((along - along.min()) / length * n).astype(int), n - 1)
    count = np.bincount(place, minlength=n)
    middle = np.bincount(place, across, n) / np.maximum(count, 1)
    apart = np.sqrt(np.bincount(place, (across - middle[place]) ** 2, n) / np.maximum(count, 1))
    if length < 2.5 * wide or (count == 0).any() or float(apart.mean()) > 1.2 * wide:
        return None
    zoom = site.factor * float(np.sqrt(np.prod(size) / (of[0] * of[1])))
    fine = np.linspace(0, 1, max(4, int(length * zoom / 3)) + 1)
    knots = (np.arange(n) + 0.5) / n
    bend = sum(rng.normal(0, 0.03 * length / k) * np.sin(k * np.pi * fine + rng.uniform(0, 6.28)) for k in (1, 2, 3))
    line = np.interp(fine, knots, middle) * rng.choice([-1, 1]) + bend + rng.normal(0, 0.12 * wide, len(fine))
    turn = np.deg2rad(rng.normal(0, 8))
    spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points = np.stack([(fine - 0.5) * length, line], axis=1) @ axes[:, ::-1].T @ spin * zoom + (site.x, site.y)
    over, under = np.maximum(points.max(axis=0) - (size - 1), 0), np.maximum(-points.min(axis=0), 0)
    points += np.where((over > 0) & (under > 0), 0, under - over)
    widths = np.interp(fine[1:], knots, count / (length / n)) * zoom
    return points, np.clip(widths * np.interp(fine[1:], knots, rng.uniform(0.8, 1.2, n)), 1.0, 3 * wide * zoom)


def laid(points: Floats, site: Site) -> Floats:
    """Return points moved so that their middle is the site's when it follows a look, else their start."""
    anchor = points.mean(axis=0) if site.look is not None else points[0]
    moved: Floats = points - anchor + (site.x, site.y)
    return moved


def taper(n: int, *, ends: float = 0.15, power: float = 0.6) -> Floats:
    """Return (n,) widths in (0, 1] that thin out towards both ends."""
    return np.asarray(np.sin(np.linspace(ends, np.pi - ends, n)) ** power)
