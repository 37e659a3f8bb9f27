"""``scarce label`` and what belongs to it: one sub-command a file."""

from __future__ import annotations

import typer

from scarce.cli._group import register
from scarce.cli._label_guideline import guideline
from scarce.cli._label_rule import rule
from scarce.cli._label_vote import vote
from scarce.cli._label_zero_shot import zero_shot

ABOUT = "Get labels for less work: a label book, rules, votes, models that are sure, rounds of questions."

app = typer.Typer(help=ABOUT, no_args_is_help=True, add_completion=False)
register(app, "guideline", guideline)
register(app, "zero-shot", zero_shot)
register(app, "rule", rule)
register(app, "vote", vote)
