"""Good models from scarce, imbalanced, imperfectly labelled data.

``scarce.run("photos/")`` runs the whole loop; ``scarce.open("photos-scarce")`` opens a version of its data; every stage
is a module of its own (``scarce.audit``, ``scarce.split``, ...). Names load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scarce.dataset import Dataset, FoldView, Schema
    from scarce.loop import Options, Run, run
    from scarce.project import open_dataset as open  # noqa: A004  the promised name

__version__ = "0.1.0"

_HOME = {
    "Dataset": "scarce.dataset",
    "FoldView": "scarce.dataset",
    "Schema": "scarce.dataset",
    "Options": "scarce.loop",
    "Run": "scarce.loop",
    "run": "scarce.loop",
    "open": "scarce.project:open_dataset",
}
_STAGES = (
    "audit", "augment", "clean", "encode", "evaluate", "faults", "io", "label", "metric", "rebalance", "report",
    "split", "synthesize", "train",
)  # fmt: skip

__all__ = ["Dataset", "FoldView", "Options", "Run", "Schema", "__version__", "open", "run"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        module, _, attribute = _HOME[name].partition(":")
        return getattr(importlib.import_module(module), attribute or name)
    if name in _STAGES:
        return importlib.import_module(f"scarce.{name}")
    raise AttributeError(f"module 'scarce' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_STAGES])
