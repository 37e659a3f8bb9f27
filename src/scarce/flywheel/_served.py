"""Which models are answered over HTTP, and what does the work where one is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from scarce.flywheel._learnt import card_of
from scarce.flywheel._limits import KINDS

if TYPE_CHECKING:
    from scarce.project import Project

INSTEAD: Final = "scarce predict answers; scarce add takes new labelled data in, and scarce round trains on it"
"""What works where nothing is answered over HTTP."""


def unserved(card: Mapping[str, Any]) -> str:
    """Return what a model does that keeps it from being answered over HTTP, in words; empty = it is answered.

    Args:
        card: of the model.

    Example:
        >>> unserved({"modality": "tabular"}), unserved({"modality": "text"})
        ('reads tabular data', '')
    """
    if card.get("task") == "boxes":
        return "finds boxes"
    kind = str(card.get("modality", "image"))
    return "" if kind in KINDS else f"reads {kind} data"


def unserved_champion(project: Project, champion: str | None) -> str:
    """Return why the champion is not answered over HTTP; empty = it is, there is none, or nobody can tell."""
    return "" if champion is None else unserved(card_of(project, champion))
