"""Do something about what the audit found: set aside, merge copies, relabel.

Cleaning is a plan first: a list of actions, each with its reason, that people can read, edit and refuse. Applying it
changes only ``keep``, ``drop_reason``, ``label``, ``label_source`` and ``split``; every action can be undone later
without losing the others. Validation and test samples keep what they were given, unless a person says otherwise.
"""

from __future__ import annotations

from scarce.clean._base import AbstractAction, Action
from scarce.clean._history import Applied, actions_of, history, undo
from scarce.clean._run import apply, from_json, load, plan, read_text, revert, save, to_json, version_of

__all__ = [
    "AbstractAction", "Action", "Applied", "actions_of", "apply", "from_json", "history", "load", "plan", "read_text",
    "revert", "save", "to_json", "undo", "version_of",
]  # fmt: skip
