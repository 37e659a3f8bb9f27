"""Divide samples into train, val and test, so that nothing leaks and every rare class is judged.

Groups first: samples that share the user's group or are duplicates of each other stay together. Stratified second: a
rare class reaches every split it can. A split that the data came with is respected. ``scarce split`` and :func:`run`
write ``split`` and ``split_group``, and say what each class's counts can prove.
"""

from __future__ import annotations

from scarce.split._base import AbstractSplitter, Units
from scarce.split._prove import conditions
from scarce.split._run import forget, run

MODULES = ()

__all__ = ["MODULES", "AbstractSplitter", "Units", "conditions", "forget", "run"]
