"""How a model's accuracy falls when pictures get noisy, darker, turned or blurred."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from scarce import io, modality
from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.errors import DataError
from scarce.metric.confusion import accuracy, balanced_accuracy
from scarce.metric.interval import clopper_pearson, group_codes

WHO = "evaluate.robustness"
LEVELS: Final = {
    "noise": (5.0, 10.0, 20.0, 40.0), "light": (-60.0, -30.0, 30.0, 60.0), "rotation": (-20.0, -10.0, 10.0, 20.0),
    "blur": (0.01, 0.02, 0.04, 0.08),
}  # fmt: skip
"""Deviation of the noise and shift of the light in gray levels of 255, degrees, and blur as a share of the side."""
MOST = 200


class Answers(Protocol):
    """A model: :class:`scarce.train.model.Model`."""

    def predict_proba(self, ds: Dataset) -> Floats:
        """Return (N, K)."""


def robustness(model: Answers, ds: Dataset, *, most: int = MOST, seed: int = 0) -> dict[str, Any]:
    """Return accuracy against strength of four disturbances, on the same pictures.

    Args:
        model: answers in ``ds.schema.classes`` order.
        ds: labelled pictures that the model did not fit.
        most: pictures, as evenly over the classes as there are.
        seed: of the draw and of the noise.

    Returns:
        ``n``; ``clean``: ``accuracy``, ``low``, ``high`` (exact, counted by group) and ``balanced_accuracy``;
        ``curves``: disturbance to a list of ``level``, the same figures, and ``lost`` accuracy.

    Raises:
        DataError: no pictures, or none with a label.
    """
    if ds.schema.modality != "image":
        raise DataError(WHO, f"{ds.schema.modality} cannot be turned or blurred", do="give pictures")
    rows = np.flatnonzero((ds["label"] >= 0) & ds["keep"].astype(bool))
    if not len(rows):
        raise DataError(WHO, "there is no labelled picture", f"{len(ds)} rows")
    rows = np.sort(_even(ds["label"][rows], rows, most, seed))
    judged = ds.take(rows)
    images = [np.asarray(image) for image in modality.open_samples(judged, np.arange(len(judged)))]
    groups = next((judged[name] for name in ("split_group", "group") if name in judged), None)
    units = len(rows) if groups is None else len(np.unique(group_codes(groups)))

    def figures(change: Callable[[Array, np.random.Generator], Array]) -> dict[str, Any]:
        pred = _answers(model, ds, [change(image, _rng(seed, place)) for place, image in enumerate(images)])
        y = judged["label"]
        low, high = clopper_pearson(int((pred == y).sum()), len(y), groups=units)
        return {
            "accuracy": accuracy(y, pred), "low": low, "high": high,
            "balanced_accuracy": balanced_accuracy(y, pred, len(ds.schema.classes)),
        }  # fmt: skip

    clean = figures(lambda image, _rng: image)
    curves: dict[str, list[dict[str, Any]]] = {}
    for name, levels in LEVELS.items():
        found = [
            (level, figures(lambda image, rng, name=name, level=level: disturbed(image, name, level, rng)))  # type: ignore[misc]
            for level in levels
        ]
        curves[name] = [{"level": level, **one, "lost": clean["accuracy"] - one["accuracy"]} for level, one in found]
    return {"n": len(rows), "clean": clean, "curves": curves}


def disturbed(image: Array, name: str, level: float, rng: np.random.Generator) -> Array:
    """Return a (H, W) or (H, W, 3) uint8 picture with one disturbance of :data:`LEVELS`."""
    import cv2

    if name == "rotation":
        high, wide = image.shape[:2]
        turn = cv2.getRotationMatrix2D(((wide - 1) / 2, (high - 1) / 2), level, 1.0)
        return np.asarray(cv2.warpAffine(image, turn, (wide, high), borderMode=cv2.BORDER_REPLICATE))
    if name == "blur":
        return np.asarray(cv2.GaussianBlur(image, (0, 0), max(0.3, level * min(image.shape[:2]))))
    shift = rng.normal(0.0, level, image.shape) if name == "noise" else level
    return np.asarray(np.clip(image.astype(np.float64) + shift, 0, 255).round().astype(np.uint8))


def _answers(model: Answers, ds: Dataset, images: list[Array]) -> Ints:
    """Return (n,) answers in the classes of the data set; the pictures go through files, as in use."""
    import cv2

    with tempfile.TemporaryDirectory(prefix="scarce-robustness-") as folder:
        for number, image in enumerate(images):
            out = image[..., ::-1] if image.ndim == 3 else image
            cv2.imwrite(str(Path(folder) / f"{number:06d}.png"), np.ascontiguousarray(out))
        made = modality.scan(io.read(folder))
        uris = made.table["uri"].to_pylist()
        order = np.array([int(Path(uri).stem) for uri in uris])
        probs = model.predict_proba(_with_classes(made, ds))
    pred = np.full(len(images), -1)
    pred[order] = np.where(np.isfinite(probs).all(1), np.nan_to_num(probs).argmax(1), -1)
    return pred


def _with_classes(made: Dataset, ds: Dataset) -> Dataset:
    from dataclasses import replace

    return replace(made.with_columns({"label": [None] * len(made)}), schema=ds.schema)


def _even(labels: Ints, rows: Ints, most: int, seed: int) -> Ints:
    rng = np.random.default_rng([seed, 0x726F62])
    order = rng.permutation(len(rows))
    turn = np.zeros(len(rows), np.int64)
    for code in np.unique(labels):
        own = order[labels[order] == code]
        turn[own] = np.arange(len(own))
    return np.asarray(rows[np.argsort(turn, kind="stable")[:most]])


def _rng(seed: int, place: int) -> np.random.Generator:
    return np.random.default_rng([seed, 0x6E6F69, place])
