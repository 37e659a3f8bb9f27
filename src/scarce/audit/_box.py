"""Boxes against boxes: what a detector's predictions say about the boxes that people drew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from scarce.audit._shape import Boxes, area, overlap
from scarce.dataset import Floats, Mask

SAME: Final = 0.5
"""From this intersection over union on, two boxes mean one object."""
TOUCHING: Final = 0.1
GRAZING: Final = 0.02
"""Below this a prediction has nothing to do with a box; a box moved by half its size still grazes its object."""
COPY: Final = 0.9


class Issue(NamedTuple):
    """Something about one box.

    Attributes:
        picture: its row.
        kind: ``missing``, ``wrong_class``, ``badly_placed``, ``extra``, ``twice``, ``outside``, ``empty`` or
            ``odd_size``.
        corners: (4,) of the box; for ``missing`` the predicted one.
        code: given class, or the predicted one for ``missing``.
        better: class that it should have, or -1.
        score: in [0, 1], 1 = worst.
        why: a sentence.
    """

    picture: int
    kind: str
    corners: Floats
    code: int
    better: int
    score: float
    why: str


def against_predictions(
    given: Sequence[Boxes | None], predicted: Sequence[Boxes | None], classes: Sequence[str]
) -> list[Issue]:
    """Return what the predictions contradict: missing, extra and badly placed boxes, and wrong classes.

    A prediction counts as much as predictions of its confidence have been right (isotonic regression against the given
    boxes, which knows neither the detector nor its scale); a box that no prediction touches counts as much as the
    detector usually finds its class.

    Args:
        given: N lists of boxes; None = nobody looked at that picture.
        predicted: N lists of predicted boxes with scores; None = not predicted.
        classes: K names.
    """
    both = [row for row, (a, b) in enumerate(zip(given, predicted, strict=True)) if a is not None and b is not None]
    pairs = [(row, given[row], predicted[row]) for row in both]
    known = [(row, a, b, overlap(a.corners, b.corners)) for row, a, b in pairs if a is not None and b is not None]
    trust = _trust(known)
    usual, recall = _usual(known, len(classes))
    out: list[Issue] = []
    for (row, a, b, common), p in zip(known, trust, strict=True):
        same = a.codes[:, None] == b.codes[None]
        out += _missing(row, b, common, p, classes)
        for i in range(len(a)):
            out += _doubted((row, i), (a, b), (common[i], same[i], p), (usual, recall), classes)
    return sorted(out, key=lambda issue: -issue.score)


Known = tuple[int, Boxes, Boxes, Floats]


def _trust(known: Sequence[Known]) -> list[Floats]:
    """Return for each picture (B,) how often predictions of such confidence are right."""
    from sklearn.isotonic import IsotonicRegression

    scores = np.concatenate([b.scores for _, _, b, _ in known] or [np.zeros(0)])
    right = np.concatenate(
        [((common >= SAME) & (a.codes[:, None] == b.codes[None])).any(0) for _, a, b, common in known] or [np.zeros(0)]
    )
    if len(scores) < 20 or right.all() or not right.any():
        rate = float(right.mean()) if len(right) else 0.0
        return [np.minimum(b.scores, rate) for _, _, b, _ in known]
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, right.astype(float))
    return [np.asarray(model.predict(b.scores)) if len(b) else np.zeros(0) for _, _, b, _ in known]


def _usual(known: Sequence[Known], k: int) -> tuple[Floats, Floats]:
    """Return (K, 2) the 5 % point and the median of the overlap of found boxes, (K,) the share of boxes found."""
    low, share = np.tile([SAME, (1 + SAME) / 2], (k, 1)), np.zeros(k)
    best = [(common * (a.codes[:, None] == b.codes[None])).max(1, initial=0) for _, a, b, common in known]
    codes = np.concatenate([a.codes for _, a, _, _ in known] or [np.zeros(0, np.int64)])
    every = np.concatenate(best or [np.zeros(0)])
    total = (every >= TOUCHING).sum() / max(len(every), 1)
    for code in range(k):
        own = every[codes == code]
        share[code] = ((own >= TOUCHING).sum() + 5 * total) / (len(own) + 5)
        if (own >= SAME).sum() >= 20:
            low[code] = np.quantile(own[own >= SAME], [0.05, 0.5])
    return low, share


def _missing(row: int, b: Boxes, common: Floats, trust: Floats, classes: Sequence[str]) -> list[Issue]:
    reach = common.max(0, initial=0)
    alone = [j for j in np.flatnonzero(reach < TOUCHING) if trust[j] > 0]
    return [
        Issue(
            row, "missing", b.corners[j], int(b.codes[j]), int(b.codes[j]), float(trust[j] * (1 - reach[j])),
            f"{classes[b.codes[j]]} at {place(b.corners[j])} is predicted ({b.scores[j]:.2f}) and no box is there",
        )
        for j in alone
    ]  # fmt: skip


def _doubted(
    at: tuple[int, int], boxes: tuple[Boxes, Boxes], seen: tuple[Floats, Mask, Floats], usual: tuple[Floats, Floats],
    classes: Sequence[str],
) -> list[Issue]:  # fmt: skip
    (row, i), (a, b), (common, same, trust), (low, recall) = at, boxes, seen, usual
    code, where = int(a.codes[i]), f"{classes[a.codes[i]]} at {place(a.corners[i])}"
    if common.max(initial=0) < GRAZING:
        score = float(recall[code]) * (1 - float(common.max(initial=0)))
        why = f"{where}: nothing is predicted there; the model finds {100 * recall[code]:.0f} % of this class"
        return [Issue(row, "extra", a.corners[i], code, -1, score, why)]
    fits = np.where(same, common, 0)
    least, middle = low[code]
    if fits.max(initial=0) >= middle:
        return []
    other = np.where(~same & (common >= SAME), trust, 0)
    if other.max(initial=0) > 0:
        j = int(other.argmax())
        for_own = float(np.where(same & (common >= SAME), trust, 0).max(initial=0))
        score = max(float(other[j]) - for_own, 0.0)
        why = f"{where}: {classes[b.codes[j]]} is predicted there ({b.scores[j]:.2f})"
        return [Issue(row, "wrong_class", a.corners[i], code, int(b.codes[j]), score, why)]
    near = np.where(same & (common >= GRAZING), trust, 0)
    if near.max(initial=0) <= 0:
        return []
    j = int(near.argmax())
    beyond = max(float(middle - common[j]), 0.0) / max(float(middle - least), 0.02)
    score = float(near[j]) * beyond / (2 + beyond)
    why = f"{where}: predicted at {place(b.corners[j])}, overlap {common[j]:.2f}, usually {least:.2f} and more"
    return [Issue(row, "badly_placed", a.corners[i], code, code, score, why)]


def by_geometry(
    given: Sequence[Boxes | None], sizes: Sequence[tuple[int, int] | None], classes: Sequence[str]
) -> list[Issue]:
    """Return boxes that cannot be right by themselves: empty, outside, drawn twice, of another order of size.

    Args:
        given: N lists of boxes.
        sizes: N pairs width, height in pixels; None = not known.
        classes: K names.
    """
    out: list[Issue] = []
    spread = _log_sizes(given, len(classes))
    for row, boxes in enumerate(given):
        if boxes is None or not len(boxes):
            continue
        areas, common = area(boxes.corners), np.triu(overlap(boxes.corners, boxes.corners), 1)
        for i in range(len(boxes)):
            code, at = int(boxes.codes[i]), place(boxes.corners[i])
            issue = _alone(boxes.corners[i], float(areas[i]), sizes[row], spread[code])
            if issue:
                kind, score, why = issue
                out.append(Issue(row, kind, boxes.corners[i], code, -1, score, f"{classes[code]} at {at}: {why}"))
        for i, j in np.argwhere(common >= COPY):
            one, two = classes[boxes.codes[i]], classes[boxes.codes[j]]
            told = f"drawn twice, as {one}" if one == two else f"drawn as {one} and as {two}"
            why = f"the box at {place(boxes.corners[j])} is {told}"
            out.append(Issue(row, "twice", boxes.corners[j], int(boxes.codes[j]), -1, float(common[i, j]), why))
    return out


def _alone(
    corners: Floats, area_of: float, size: tuple[int, int] | None, usual: tuple[float, float]
) -> tuple[str, float, str] | None:
    if not np.isfinite(corners).all() or area_of <= 0:
        return "empty", 1.0, "it has no area"
    if size:
        inside = overlap(corners[None], np.array([[0, 0, *size]], np.float64))[0, 0] * size[0] * size[1] / area_of
        beyond = float(np.maximum([-corners[0], -corners[1], corners[2] - size[0], corners[3] - size[1]], 0).max())
        if beyond > 1.5:
            return "outside", max(0.5, 1 - float(inside)), f"it leaves the picture of {size[0]} x {size[1]} pixels"
    far = abs(np.log(area_of) - usual[0]) / usual[1]
    if far > 6:
        return "odd_size", float(1 - 3 / far), f"its area is {np.exp(abs(np.log(area_of) - usual[0])):.0f} times off"
    return None


def _log_sizes(given: Sequence[Boxes | None], k: int) -> list[tuple[float, float]]:
    """Return for each class center and spread of the logarithm of the area."""
    areas: list[list[float]] = [[] for _ in range(k)]
    for boxes in given:
        for code, value in zip(boxes.codes, area(boxes.corners), strict=True) if boxes else ():
            if value > 0:
                areas[code].append(float(np.log(value)))
    out = []
    for own in areas:
        center = float(np.median(own)) if own else 0.0
        spread = 1.4826 * float(np.median(np.abs(np.array(own) - center))) if len(own) >= 10 else np.inf
        out.append((center, max(spread, 0.25)))
    return out


def place(corners: Floats) -> str:
    """Return a box for people."""
    return "(" + ", ".join(f"{value:.0f}" for value in corners) + ")"
