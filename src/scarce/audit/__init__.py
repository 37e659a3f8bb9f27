"""Find what is wrong with the data before any model learns it.

Every check measures and never decides: it writes ``audit.<check>.score`` (N,), 1 = worst, and findings that a person
or :mod:`scarce.clean` can act on. Evidence comes from three places: the one pass over the bytes (``scan.*``), the
features of an encoder (``embedding.*``) and the labels.
"""

from __future__ import annotations

from scarce.audit._base import AbstractCheck, Measurement, ds_embedding, finding, numeric_label
from scarce.audit._run import needs_features, run, says_skipped, skipped
from scarce.audit._severity import severity, things_found

MODULES = ("clean_learning",)

__all__ = [
    "MODULES",
    "AbstractCheck",
    "Measurement",
    "ds_embedding",
    "finding",
    "needs_features",
    "numeric_label",
    "run",
    "says_skipped",
    "severity",
    "skipped",
    "things_found",
]
