"""Turn what people know into labels: labelling functions vote, a label model joins their votes.

A labelling function looks at one sample and names a class or abstains. Functions are cheap, wrong now and then, and
contradict each other; a label model weighs them and gives each sample a probability for each class, which training
takes as it is. No label model wins everywhere, so a few gold labels choose.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scarce.label._linear import Fitted
    from scarce.label.rule._apply import Applied, Failure, apply_functions
    from scarce.label.rule._base import AbstractLabelModel
    from scarce.label.rule._choose import Candidate, Choice, choose_model
    from scarce.label.rule._function import LabelingFunction, labeling_function, load_functions
    from scarce.label.rule._run import Ruled, gold_of, run
    from scarce.label.rule._sample import RuleSample, rule_samples
    from scarce.label.rule._summary import FunctionSummary, summarize_functions
    from scarce.label.rule.dawid_skene import fit_dawid_skene
    from scarce.label.rule.generative import fit_generative
    from scarce.label.rule.majority import fit_majority
    from scarce.label.rule.triplet import fit_triplet
    from scarce.label.rule.weighted import fit_weighted

MODULES = ()
_HOME = {
    "AbstractLabelModel": "rule._base", "Applied": "rule._apply", "Candidate": "rule._choose",
    "Choice": "rule._choose", "Failure": "rule._apply", "Fitted": "_linear", "FunctionSummary": "rule._summary",
    "LabelingFunction": "rule._function", "RuleSample": "rule._sample", "Ruled": "rule._run",
    "apply_functions": "rule._apply", "choose_model": "rule._choose", "fit_dawid_skene": "rule.dawid_skene",
    "fit_generative": "rule.generative", "fit_majority": "rule.majority", "fit_triplet": "rule.triplet",
    "fit_weighted": "rule.weighted", "gold_of": "rule._run", "labeling_function": "rule._function",
    "load_functions": "rule._function", "rule_samples": "rule._sample", "run": "rule._run",
    "summarize_functions": "rule._summary",
}  # fmt: skip

__all__ = [
    "MODULES", "AbstractLabelModel", "Applied", "Candidate", "Choice", "Failure", "Fitted", "FunctionSummary",
    "LabelingFunction", "RuleSample", "Ruled", "apply_functions", "choose_model", "fit_dawid_skene",
    "fit_generative", "fit_majority", "fit_triplet", "fit_weighted", "gold_of", "labeling_function",
    "load_functions", "rule_samples", "run", "summarize_functions",
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
