"""Labels from a model that has seen none of yours: words for the classes, or a few examples.

``image_text`` compares pictures with sentences about the classes, ``prototype`` compares any features with a few
labelled examples per class. Either way a threshold is proven on labelled rows that were held out: what passes it is
labelled with the source ``zero_shot``, the rest is for people. Without enough labelled rows nothing is labelled, and
the report says how many are missing.
"""

from __future__ import annotations

from typing import Any

from scarce import registry
from scarce.label.zero_shot._base import AbstractZeroShot, Judgement
from scarce.label.zero_shot._gate import Gate, Point, choose_threshold
from scarce.label.zero_shot._prompt import Prompt, prompts_for, read_prompts
from scarce.label.zero_shot._report import ClassResult, auroc, label_shares, seconds_saved
from scarce.label.zero_shot._run import Proposal, apply, built, propose, run, spoken_rows, wanted_rows

MODULES = ()

__all__ = [
    "MODULES", "AbstractZeroShot", "ClassResult", "Gate", "Judgement", "Point", "Prompt", "Proposal", "apply", "auroc",
    "built", "choose_threshold", "label_shares", "prompts_for", "propose", "read_prompts", "run", "seconds_saved",
    "spoken_rows", "wanted_rows",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a method's module when it is first asked for."""
    return registry.part(__name__, name)
