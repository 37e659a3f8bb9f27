"""Fits models: heads on features in seconds, networks on pixels, sounds and texts in minutes, trees on tables.

``fit(view, trainer)`` takes a :class:`~scarce.dataset.FoldView`, so that nothing leaks; ``load(folder)`` brings a saved
model back, :func:`scarce.train.predict.predict` answers for files and folders. A model is a folder with
``weights.safetensors`` and ``card.json``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scarce.train._base import AbstractTrainer, Setup, originals
    from scarce.train._choice import draws_boxes, refuse_unsuited, trainer_of, usual
    from scarce.train._learn import told_by_pool
    from scarce.train._run import fit
    from scarce.train._team import is_main
    from scarce.train._tracking import tracking_of
    from scarce.train.model import Model, load
    from scarce.train.predict import Prediction, write_csv, write_json

_HOME = {
    "AbstractTrainer": "_base",
    "Model": "model",
    "Setup": "_base",
    "draws_boxes": "_choice",
    "fit": "_run",
    "is_main": "_team",
    "load": "model",
    "originals": "_base",
    "refuse_unsuited": "_choice",
    "told_by_pool": "_learn",
    "tracking_of": "_tracking",
    "trainer_of": "_choice",
    "usual": "_choice",
    "Prediction": "predict",
    "write_csv": "predict",
    "write_json": "predict",
}
__all__ = [
    "AbstractTrainer", "Model", "Prediction", "Setup", "draws_boxes", "fit", "is_main", "load", "originals",
    "refuse_unsuited", "told_by_pool", "tracking_of", "trainer_of", "usual", "write_csv", "write_json",
]  # fmt: skip

MODULES = ("detection", "heat_map", "loss", "model", "onnx_file", "onnx_model", "predict")
"""Public modules of this stage that are not plugins."""


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
