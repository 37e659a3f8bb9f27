"""Do something about what the audit found: set aside, merge copies, relabel.

Cleaning is a plan first: a list of actions, each with its reason, that people can read, edit and refuse. Applying it
changes only ``keep``, ``drop_reason``, ``label`` and ``label_source``; every action can be undone later without losing
the others. Validation and test samples keep what they were given.
"""

from __future__ import annotations

from scarce.clean._base import AbstractAction, Action
from scarce.clean._run import apply, from_json, load, plan, revert, save, to_json

__all__ = ["AbstractAction", "Action", "apply", "from_json", "load", "plan", "revert", "save", "to_json"]
