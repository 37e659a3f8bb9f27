"""Get the most useful labels for the least work.

Five ways, each a package of its own: :mod:`scarce.label.zero_shot` (a model that has seen no label of yours, or a few
examples), :mod:`scarce.label.rule` (labelling functions and label models), :mod:`scarce.label.vote` (several
annotators, one truth), :mod:`scarce.label.spread` (a few labels, spread over their neighbors) and
:mod:`scarce.label.query` (which samples to ask a person about next). What they decide is
written by :func:`with_labels` alone: a model never overrules a person, and never labels what is evaluated on.
"""

from __future__ import annotations

import importlib
from typing import Any

from scarce.label._write import Labels, free_rows, with_labels

MODULES = ("guideline", "query", "rule", "spread", "vote", "zero_shot")

__all__ = ["MODULES", "Labels", "free_rows", "with_labels"]


def __getattr__(name: str) -> Any:
    """Import a part when it is first asked for."""
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    """Return the public names."""
    return [*__all__, *MODULES]
