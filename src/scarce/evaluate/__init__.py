"""Judges a model on real held-out samples: scores with intervals, and what the counts can prove.

``scarce.evaluate.run(view, model)`` gives a :class:`~scarce.evaluate._run.Report`. Every section of the report is one
file here: confusion, per_class, calibration, operating_point, mistakes, baseline, per_slice, ambiguous, next. The
arithmetic is public: ``operating_point(y_true, score)``, ``fit_temperature(logits, labels)``,
``expected_calibration_error(labels, probs)``. Beside the sections: ``compare`` (two models on the same samples),
``calibrator``, ``conformal``, ``variety`` (is the test set as varied as the field), ``robustness``,
``out_of_distribution`` and ``guard`` (what a model refuses to judge).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scarce.evaluate._run import Report, run

__all__ = ["Report", "run"]

MODULES = (
    "calibrator", "compare", "conformal", "cost", "guard", "out_of_distribution", "robustness", "threshold", "variety",
)  # fmt: skip
"""Public modules of this stage that are not plugins."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("scarce.evaluate._run"), name)
