"""No synthetic sample enters without passing; every refusal has its reason.

Screens see the training side of a fold and nothing else. First broken pictures; then, sample by sample, whether a probe
of the real samples sees the class, whether it copies a real one, whether it is far from all; then repeats among
themselves; and of what passed the distance to the real distribution and the domain gap, class by class. Reasons are
kept with the samples, which are set aside and not deleted.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scarce.synthesize.screen._base import AbstractScreen, Candidate, Exam, Judgement
    from scarce.synthesize.screen._gate import Gate
    from scarce.synthesize.screen._run import MARK, Screened, applied, judge, run, training_view
    from scarce.synthesize.screen.frechet import frechet_distance, frechet_interval
    from scarce.synthesize.screen.kid import kernel_distance, kernel_interval

_HOME = {
    **dict.fromkeys(("AbstractScreen", "Candidate", "Exam", "Judgement"), "_base"),
    "Gate": "_gate",
    **dict.fromkeys(("MARK", "Screened", "applied", "judge", "run", "training_view"), "_run"),
    **dict.fromkeys(("frechet_distance", "frechet_interval"), "frechet"),
    **dict.fromkeys(("kernel_distance", "kernel_interval"), "kid"),
}

__all__ = [
    "MARK", "AbstractScreen", "Candidate", "Exam", "Gate", "Judgement", "Screened", "applied", "frechet_distance",
    "frechet_interval", "judge", "kernel_distance", "kernel_interval", "run", "training_view",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"scarce.synthesize.screen.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
