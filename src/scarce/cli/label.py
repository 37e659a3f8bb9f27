"""``scarce label``: guideline, spread, zero-shot."""

from __future__ import annotations

import typer

from scarce.cli._group import register
from scarce.cli._label_guideline import guideline
from scarce.cli._label_spread import spread
from scarce.cli._label_zero_shot import zero_shot

app = typer.Typer(
    help="Get labels for less work: the label book, and labels of models that are sure.", no_args_is_help=True,
    pretty_exceptions_enable=False, add_completion=False,
)  # fmt: skip
register(app, "guideline", guideline)
register(app, "spread", spread)
register(app, "zero-shot", zero_shot)
