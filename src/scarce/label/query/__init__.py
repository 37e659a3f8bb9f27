"""Which samples to ask a person about next, so that each label buys the most.

Names: :func:`run` for data sets, ``scarce query`` for projects, and for arrays one function in each file
(``core_set.select_core_set``, ``margin.margin_utility`` ...) or a strategy's :meth:`AbstractQuery.query`, which has the
shape of scikit-activeml. :mod:`scarce.label.query.learner` has the shape of modAL, and
:mod:`scarce.label.query.stopping` says when to stop.
"""

from __future__ import annotations

from typing import Any

from scarce import registry
from scarce.label.query._base import AbstractQuery, Picks, Pool
from scarce.label.query._copies import Sieve, copy_groups
from scarce.label.query._pool import Scope
from scarce.label.query._run import Batch, Question, batch_of, check, run

MODULES = ("learner", "stopping")

__all__ = [
    "MODULES",
    "AbstractQuery",
    "Batch",
    "Picks",
    "Pool",
    "Question",
    "Scope",
    "Sieve",
    "batch_of",
    "check",
    "copy_groups",
    "run",
]


def __getattr__(name: str) -> Any:
    """Import a method's module when it is first asked for."""
    return registry.part(__name__, name)
