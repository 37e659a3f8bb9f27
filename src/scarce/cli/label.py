"""``scarce label`` and what belongs to it: one sub-command a file, the rounds by default."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from scarce.cli._group import register
from scarce.cli._label_exchange import export, import_
from scarce.cli._label_guideline import guideline
from scarce.cli._label_rounds import history, session
from scarce.cli._label_rule import rule
from scarce.cli._label_spread import spread
from scarce.cli._label_studio import serve_studio
from scarce.cli._label_vote import vote
from scarce.cli._label_zero_shot import zero_shot

ABOUT = "Get labels for less work: a label book, rules, votes, models that are sure, rounds of questions."


class Rounds(TyperGroup):
    """Takes ``scarce label PROJECT`` as ``scarce label session PROJECT``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the sub-command in front where none is named."""
        if args and args[0] not in self.commands and not {"-h", "--help"} & set(args[:1]):
            args = ["session", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=Rounds, help=ABOUT, no_args_is_help=True, add_completion=False)
register(app, "session", session)
register(app, "history", history)
register(app, "guideline", guideline)
register(app, "spread", spread)
register(app, "zero-shot", zero_shot)
register(app, "rule", rule)
register(app, "vote", vote)
register(app, "export", export)
register(app, "import", import_)
register(app, "serve-studio", serve_studio)
