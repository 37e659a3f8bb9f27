"""``scarce label``: ``rule`` and ``vote``."""

from __future__ import annotations

import typer

from scarce.cli._group import register
from scarce.cli._label_rule import rule
from scarce.cli._label_vote import vote

app = typer.Typer(
    help="Get labels: rules of your own, several annotators' votes.", no_args_is_help=True, add_completion=False
)
register(app, "rule", rule)
register(app, "vote", vote)
