"""Masks that contradict their picture's label or their neighbors: empty, full, of another size, missing, odd."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, final

import numpy as np

from scarce.audit import _shape
from scarce.audit._base import AbstractCheck, Finding, Measurement, finding, percent
from scarce.audit._shape import real_numbers
from scarce.dataset import Array, Dataset
from scarce.errors import DataError

PREDICTED = ("predicted_mask", "predicted_mask_uri", "predicted_masks")


class MaskIssue(NamedTuple):
    """What is wrong with one mask: a kind, a score in [0, 1] (1 = worst) and a sentence."""

    kind: str
    score: float
    why: str


def mask_disagreement(given: Array, predicted: Array, *, tolerance: int = 2) -> MaskIssue | None:
    """Return the worst disagreement between a mask and a prediction of it; None where they agree.

    A predicted region that the mask does not touch is ``missing``; a masked region that the prediction does not touch
    is ``extra``; regions that touch but overlap by less than half are ``badly_drawn``. Borders may differ by
    ``tolerance`` pixels, and regions smaller than that do not count.

    Args:
        given: (H, W) mask, nonzero = marked.
        predicted: (H, W) mask of the same size.
        tolerance: pixels.

    Raises:
        DataError: the sizes differ, one has no two axes or holds no real numbers, or the tolerance is negative.
    """
    import cv2

    who = "audit.mask_error"
    one, two = (real_numbers(who, name, mask, 2) > 0 for name, mask in (("given", given), ("predicted", predicted)))
    if tolerance < 0:
        raise DataError(who, f"tolerance = {tolerance} is negative", do="give pixels, 0 or more")
    if one.shape != two.shape:
        raise DataError(who, f"the mask is {one.shape}, the prediction {two.shape}")
    kernel = np.ones((2 * tolerance + 1, 2 * tolerance + 1), np.uint8)
    wide = [cv2.dilate(side.astype(np.uint8), kernel) > 0 for side in (one, two)]
    least = max(kernel.size, 4)
    found = [
        MaskIssue(kind, 1.0 - least / (least + area), f"{kind}: a region of {area} pixels at {where} {told}")
        for kind, side, other, told in (
            ("missing", two, wide[0], "is predicted and not marked"),
            ("extra", one, wide[1], "is marked and not predicted"),
        )
        for area, where in _regions_without(side, other, least)
    ]
    common, union = (one & two).sum(), (one | two).sum()
    outside = ((one & ~wide[1]) | (two & ~wide[0])).sum()
    if not found and union and common / union < 0.5 and outside >= least:
        share = common / union
        found.append(
            MaskIssue("badly_drawn", float(1 - share), f"badly drawn: overlap with the prediction {share:.2f}")
        )
    return max(found, key=lambda issue: issue.score, default=None)


def _regions_without(side: Array, other: Array, least: int) -> list[tuple[int, str]]:
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(side.astype(np.uint8), connectivity=8)
    touched = np.bincount(labels[other & side], minlength=count) > 0
    return [
        (int(stats[i, 4]), f"({stats[i, 0]}, {stats[i, 1]})")
        for i in range(1, count) if not touched[i] and stats[i, 4] >= least
    ]  # fmt: skip


@final
@dataclass(frozen=True, kw_only=True)
class MaskError(AbstractCheck):
    """Find masks that are missing, empty, full, of another size than their picture, or contradict the label.

    Use when defects are marked by pixels. With out-of-sample predictions (a column of mask files) it also finds regions
    that are missing, too many or badly drawn. Do not use predictions of a model that was trained on the same masks.
    Needs: mask_uri; optional ``meta.predicted_mask``, files relative to the source as well.
    Writes: score (N,) of the worst fault of a mask; NaN where a picture needs none.
    Source: the kinds of cleanlab's segmentation (Lad and Mueller 2023), judged by connected regions.

    Args:
        predictions: column of the predicted masks; empty = the first of ``predicted_mask``, ``predicted_mask_uri``.
        tolerance: pixels by which borders may differ.
        full: share of a picture from which a mask covers too much.
    """

    modalities: ClassVar[tuple[str, ...]] = ("image",)
    needs: ClassVar[tuple[str, ...]] = ("mask_uri",)
    predictions: str = ""
    tolerance: int = 2
    full: float = 0.95

    def measure(self, ds: Dataset) -> Measurement:
        """Judge all masks."""
        column = _shape.column_of(ds, self.predictions, PREDICTED)
        score, found = np.full(len(ds), np.nan), []
        normal = {ds.schema.classes.index(name) for name in ds.schema.normal_classes}
        masks, sources = ds["mask_uri"].tolist(), ds.table["source"].to_pylist()
        predicted = ds[column].tolist() if column else [None] * len(ds)
        sizes = _shape.sizes_of(ds)
        rows = [row for row, uri in enumerate(masks) if uri or _expected(ds, row, normal)]
        counts: dict[str, int] = {}
        for row in rows:
            issue = self._judge(ds, row, (masks[row], predicted[row]), sources[row], sizes[row], normal)
            score[row] = 0.0 if issue is None else issue.score
            if issue is not None:
                counts[issue.kind] = counts.get(issue.kind, 0) + 1
                found.append(finding("sample", [ds.ids[row]], issue.score, issue.why))
        told = ", ".join(f"{kind.replace('_', ' ')} {n}" for kind, n in counts.items()) or "none is suspect"
        share = len(found) / max(len(rows), 1)
        first: list[Finding] = [finding("data", (), share, f"{len(rows)} masks: {told}")]
        return Measurement(score, [*first, *sorted(found, key=lambda item: -item["score"])])

    def _judge(  # noqa: PLR0917  the parts of one row
        self, ds: Dataset, row: int, uris: tuple[Any, Any], source: str | None, size: tuple[int, int] | None,
        normal: set[int],
    ) -> MaskIssue | None:  # fmt: skip
        base = ds.sources.get(source or "", "")
        label = int(ds["label"][row])
        name = ds.schema.classes[label] if label >= 0 else "no label"
        if not uris[0]:
            return MaskIssue("missing_file", 0.5, f"labelled {name}, and there is no mask")
        mask = _opened(Path(base) / str(uris[0]))
        if mask is None:
            return MaskIssue("missing_file", 1.0, f"the mask {uris[0]} cannot be opened")
        if size and (mask.shape[1], mask.shape[0]) != size:
            return MaskIssue(
                "other_size",
                1.0,
                f"the mask has {mask.shape[1]} x {mask.shape[0]} pixels, its picture {size[0]} x {size[1]}",
            )
        share = float((mask > 0).mean())
        issue = _against_label(share, label, name, normal, self.full)
        if issue or not uris[1]:
            return issue
        said = _opened(Path(base) / str(uris[1]))
        if said is None or said.shape != mask.shape:
            return MaskIssue("prediction", 0.5, f"the predicted mask {uris[1]} cannot be opened or has another size")
        return mask_disagreement(mask, said, tolerance=self.tolerance)


def _against_label(share: float, label: int, name: str, normal: set[int], full: float) -> MaskIssue | None:
    if label in normal and share > 0:
        return MaskIssue("marked_although_sound", 0.9, f"labelled {name}, and {percent(share)} are marked")
    if share == 0 and label >= 0 and normal and label not in normal:
        return MaskIssue("empty", 0.9, f"labelled {name}, and nothing is marked")
    if share > full:
        return MaskIssue("full", 0.8, f"{100 * share:.0f} % of the picture are marked")
    return None


def _expected(ds: Dataset, row: int, normal: set[int]) -> bool:
    """Return whether a picture without a mask should have one: it is a defect, where sound classes are known."""
    label = int(ds["label"][row])
    return bool(normal) and label >= 0 and label not in normal


def _opened(path: Path) -> Array | None:
    """Return a mask as (H, W); None if it cannot be opened. Only the first channel counts."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            pixels = np.asarray(file if file.mode in ("1", "L", "P", "I", "I;16", "F") else file.convert("L"))
    except (OSError, ValueError, SyntaxError):
        return None
    return pixels if pixels.ndim == 2 else pixels[:, :, 0]
