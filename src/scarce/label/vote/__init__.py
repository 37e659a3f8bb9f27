"""Several annotators, one truth: consensus labels, who is to be trusted, and whom to ask next.

Votes are a matrix (N, W): one row a sample, one column an annotator, -1 = no vote. A method turns them into a
probability of each class for each sample and a confusion matrix for each annotator. Annotators differ, some mix up two
classes, and some do not look at all; methods that learn who does what beat the majority where each gave enough votes.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scarce.label._linear import Fitted
    from scarce.label.vote._ask import Next, expected_gain, next_votes
    from scarce.label.vote._base import AbstractVote
    from scarce.label.vote._change import Change, agreement_before_and_after, agreement_change
    from scarce.label.vote._quality import Annotator, annotator_quality
    from scarce.label.vote._run import LEAST, Voted, check, run
    from scarce.label.vote.crowdlab import fit_crowdlab
    from scarce.label.vote.dawid_skene import fit_dawid_skene
    from scarce.label.vote.glad import fit_glad
    from scarce.label.vote.mace import fit_mace
    from scarce.label.vote.majority import fit_majority
    from scarce.label.vote.one_coin import fit_one_coin

MODULES = ()
_HOME = {
    "AbstractVote": "vote._base", "Annotator": "vote._quality", "Change": "vote._change", "Fitted": "_linear",
    "LEAST": "vote._run", "Next": "vote._ask", "Voted": "vote._run", "agreement_before_and_after": "vote._change",
    "agreement_change": "vote._change", "annotator_quality": "vote._quality", "check": "vote._run",
    "expected_gain": "vote._ask",
    "fit_crowdlab": "vote.crowdlab", "fit_dawid_skene": "vote.dawid_skene", "fit_glad": "vote.glad",
    "fit_mace": "vote.mace", "fit_majority": "vote.majority", "fit_one_coin": "vote.one_coin",
    "next_votes": "vote._ask", "run": "vote._run",
}  # fmt: skip

__all__ = [
    "LEAST",
    "MODULES",
    "AbstractVote",
    "Annotator",
    "Change",
    "Fitted",
    "Next",
    "Voted",
    "agreement_before_and_after",
    "agreement_change",
    "annotator_quality",
    "check",
    "expected_gain",
    "fit_crowdlab",
    "fit_dawid_skene",
    "fit_glad",
    "fit_mace",
    "fit_majority",
    "fit_one_coin",
    "next_votes",
    "run",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name, or a method's module, when it is first asked for."""
    if name in _HOME:
        return getattr(importlib.import_module(f"scarce.label.{_HOME[name]}"), name)
    from scarce import registry

    return registry.part(__name__, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
