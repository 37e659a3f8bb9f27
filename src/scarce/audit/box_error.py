"""Wrong boxes: missing, of the wrong class, badly placed, drawn twice, outside the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, final

import numpy as np

from scarce.audit import _box, _shape
from scarce.audit._base import AbstractCheck, Finding, Measurement, finding
from scarce.audit._box import Issue
from scarce.audit._shape import Boxes
from scarce.dataset import Array, Dataset, Floats, Ints

IMPOSSIBLE = ("empty", "outside")
BATCH = 64
CUT_SIZE = 96
"""Pixels to which a cut-out is squeezed for the encoder: boxes are small, and thousands of them take a while."""
LEAST_AREA = 4.0
"""Square pixels; smaller boxes show nothing."""


def box_issues(
    given: Sequence[Boxes | None],
    predicted: Sequence[Boxes | None] | None,
    sizes: Sequence[tuple[int, int] | None],
    classes: Sequence[str],
) -> list[Issue]:
    """Return what is wrong with boxes, worst first: by geometry, and against a detector's predictions if given.

    Args:
        given: N lists of boxes; None = nobody looked at that picture.
        predicted: N lists of out-of-sample predictions with scores, or None.
        sizes: N pairs width, height in pixels.
        classes: K names.
    """
    found = _box.by_geometry(given, sizes, classes)
    if predicted is not None:
        found += _box.against_predictions(given, predicted, classes)
    return sorted(found, key=lambda issue: -issue.score)


@final
@dataclass(frozen=True, kw_only=True)
class BoxError(AbstractCheck):
    """Find boxes that are missing, badly placed, drawn twice, outside the picture, or of the wrong class.

    Use when objects or defects are marked by boxes. Without a detector's predictions it judges geometry and classes;
    missing and badly placed boxes need a second column with out-of-sample predictions. Do not use predictions of a
    model that was trained on the same boxes: it repeats their errors.
    Needs: a column of boxes: ``meta.boxes``, ``objects``, ``annotations`` or ``bboxes``, each cell JSON such as
    ``[{"label": "scratch", "x1": 3, "y1": 5, "x2": 40, "y2": 22}]`` or with COCO's ``bbox``; optional ``meta.
    predicted_boxes``, ``detections`` or ``predictions`` of the same form with ``score``.
    Writes: score (N,) of the worst box of a picture; box findings with kind, place and the better class.
    Source: ObjectLab (Tkachenko et al. 2023) for the three kinds; scores by isotonic trust are ours. Classes are judged
    on the features of each box's cut-out, by the adaptive rule of label_error with pictures as groups.

    Args:
        column: of the boxes; empty = the first of the names above.
        predictions: column of the predicted boxes; empty = the first of the names above.
        least: score from which a finding is written.
        classes: judge classes on the pixels of the boxes.
        encoder: of the cut-outs; ``auto`` = the best that is installed.
        seed: of the folds.
    """

    modalities: ClassVar[tuple[str, ...]] = ("image",)
    column: str = ""
    predictions: str = ""
    least: float = 0.5
    classes: bool = True
    encoder: str = "auto"
    seed: int = 0

    def unmet(self, ds: Dataset) -> str:
        """Return why it cannot run: nothing holds boxes."""
        if not _shape.column_of(ds, self.column, _shape.BOXES):
            return f"it needs a column of boxes ({self.column or ', '.join(_shape.BOXES)})"
        return super().unmet(ds)

    def measure(self, ds: Dataset) -> Measurement:
        """Judge all boxes."""
        lost: dict[int, str] = {}
        given, names = _shape.boxes_of(ds, _shape.column_of(ds, self.column, _shape.BOXES), lost=lost)
        column = _shape.column_of(ds, self.predictions, _shape.PREDICTED)
        predicted = None
        if column:
            predicted, names = _shape.boxes_of(ds, column, names, lost=lost)
        issues = box_issues(given, predicted, _shape.sizes_of(ds), names)
        if self.classes and len(names) > 1:
            issues += _wrong_classes(ds, given, names, self.encoder, self.seed)
        issues = _merged(issues)
        score = np.array([np.nan if boxes is None else 0.0 for boxes in given])
        for issue in issues:
            score[issue.picture] = max(score[issue.picture], issue.score)
        flagged = [issue for issue in issues if issue.score >= self.least]
        total = sum(len(boxes) for boxes in given if boxes is not None)
        kinds = {kind: sum(issue.kind == kind for issue in flagged) for kind in dict.fromkeys(x.kind for x in flagged)}
        told = ", ".join(f"{kind.replace('_', ' ')} {count}" for kind, count in kinds.items()) or "none is suspect"
        found: list[Finding] = [finding("data", (), min(1.0, len(flagged) / max(total, 1)), f"{total} boxes: {told}")]
        found += [
            finding("box", [ds.ids[issue.picture]], issue.score, f"{issue.kind.replace('_', ' ')}: {issue.why}")
            for issue in flagged
        ]
        for row, why in sorted(lost.items()):
            score[row] = 1.0
            found.append(finding("sample", [ds.ids[row]], 1.0, f"not judged: {why}"))
        return Measurement(score, found)


def _merged(issues: Sequence[Issue]) -> list[Issue]:
    """Return one issue per kind and box, worst first; a box that cannot be is judged by nothing else."""
    impossible = {(issue.picture, tuple(np.round(issue.corners, 1))) for issue in issues if issue.kind in IMPOSSIBLE}
    best: dict[tuple[Any, ...], Issue] = {}
    for issue in sorted(issues, key=lambda issue: -issue.score):
        if issue.kind not in IMPOSSIBLE and (issue.picture, tuple(np.round(issue.corners, 1))) in impossible:
            continue
        best.setdefault((issue.picture, issue.kind, tuple(np.round(issue.corners, 1))), issue)
    return list(best.values())


def _wrong_classes(
    ds: Dataset, given: Sequence[Boxes | None], names: tuple[str, ...], encoder: str, seed: int
) -> list[Issue]:
    from scarce import probe
    from scarce.audit.label_error import judge_labels

    drawn = [(row, boxes) for row, boxes in enumerate(given) if boxes is not None and len(boxes)]
    large = [(row, boxes, np.flatnonzero(_shape.area(boxes.corners) >= LEAST_AREA)) for row, boxes in drawn]
    where = [(row, int(i)) for row, _, some in large for i in some]
    codes = np.concatenate([boxes.codes[some] for _, boxes, some in large] or [np.zeros(0, np.int64)])
    corners = np.concatenate([boxes.corners[some] for _, boxes, some in large] or [np.zeros((0, 4))])
    counts = np.bincount(codes, minlength=len(names))
    if (counts >= 5).sum() < 2 or len(np.unique([row for row, _ in where])) < 10:
        return []
    groups = np.array([row for row, _ in where])
    features = box_features(ds, groups, corners, encoder)
    probs = np.asarray(probe.cross_val_probs(features, codes, len(names), groups=groups, seed=seed), np.float64)
    opinion = judge_labels(codes, probs / probs.sum(axis=1, keepdims=True), seed=seed)
    out = []
    for i in np.flatnonzero(opinion.wrong > 0.5):
        better = int(opinion.suggested[i])
        why = f"{names[codes[i]]} at {_box.place(corners[i])} looks like {names[better]} ({probs[i, better]:.2f})"
        wrong = float(opinion.wrong[i])
        out.append(Issue(int(groups[i]), "wrong_class", corners[i], int(codes[i]), better, wrong, why))
    return out


def box_features(
    ds: Dataset, pictures: Ints, corners: Floats, encoder: str = "auto", *, size: int = CUT_SIZE
) -> Floats:
    """Return (B, D) float32 features of the cut-outs of boxes.

    Args:
        ds: the pictures.
        pictures: (B,) row of each box's picture, in rising order.
        corners: (B, 4) of each box.
        encoder: name of an encoder plugin for pictures; ``auto`` = the best that is installed.
        size: side in pixels to which a cut-out is squeezed.

    Raises:
        ReadError: a picture cannot be opened.
    """
    from scarce import modality, registry
    from scarce.encode import AbstractEncoder, choose

    kind = registry.load("encode", choose(ds, encoder), AbstractEncoder)  # type: ignore[type-abstract]
    plugin = kind.from_params({"size": size} if any(field.name == "size" for field in fields(kind)) else {})
    rows = np.unique(pictures)
    out: list[Floats] = []
    with plugin.session():
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            opened = dict(zip(part.tolist(), modality.open_samples(ds, part), strict=True))
            inside = np.flatnonzero(np.isin(pictures, part))
            cuts = [cut_out(np.asarray(opened[int(pictures[i])]), corners[i]) for i in inside]
            out.append(np.asarray(plugin.embed([plugin.reduce(cut) for cut in cuts]), np.float32))
    return np.concatenate(out)


def cut_out(picture: Array, corners: Floats) -> Array:
    """Return the square around a box, as wide as its longer side, as far as the picture goes."""
    height, width = picture.shape[:2]
    side = max(corners[2] - corners[0], corners[3] - corners[1], 4.0)
    x, y = (corners[0] + corners[2]) / 2, (corners[1] + corners[3]) / 2
    left, top = int(np.clip(x - side / 2, 0, width - 2)), int(np.clip(y - side / 2, 0, height - 2))
    right, bottom = int(np.clip(x + side / 2, left + 2, width)), int(np.clip(y + side / 2, top + 2, height))
    return np.ascontiguousarray(picture[top:bottom, left:right])
