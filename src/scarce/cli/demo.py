"""``scarce demo``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scarce.cli._options import AsJson, Debug, Quiet, Seed, Workers
from scarce.cli._screen import screen
from scarce.cli._summary import draw_run, interval, percent

if TYPE_CHECKING:
    from rich.console import Console


def demo(
    project: Annotated[Path | None, typer.Option(help="Folder of the project.", show_default="garments-scarce")] = None,
    minutes: Annotated[float | None, typer.Option(help="Time to keep to.", show_default="under 5")] = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run the loop on the shipped garments and print published figures beside ours.

    The data is a slice of Fashion-MNIST with 4000 down to 40 training pictures a class and a balanced test set of real
    pictures; it lies in examples/garments of the repository.

    Example:
        scarce demo
        scarce demo --seed 1 --json
    """
    given = {"project": project, "minutes": minutes, "workers": workers}
    with screen(as_json, quiet, debug) as out:
        from rich.text import Text

        from scarce import progress
        from scarce.cli._screen import table
        from scarce.loop.demo import MINUTES, PUBLISHED, SOURCE
        from scarce.loop.demo import demo as run_demo

        progress.say(f"Time budget of the demo: {minutes or MINUTES:g} minutes.")
        done = run_demo(seed=seed, **{name: value for name, value in given.items() if value is not None})
        test = done.result["test"]
        score = test["balanced_accuracy"]
        how = (
            f"one run, seed {seed}, trainer {done.result['trainer']}, {test['n']:,} real test pictures, as many "
            f"of each class as of any other; 95 % interval {interval(score)}"
        )
        rows: list[Sequence[Any]] = [(name, f"{value:.2f} %", SOURCE) for name, value in PUBLISHED.items()]
        rows.append((Text("scarce", style="bold green"), Text(percent(score["value"]), style="bold green"), how))
        body = {**done.result, "published": PUBLISHED, "published_source": SOURCE, "how": how}

        def draw(console: Console) -> None:
            draw_run(console, done.result)
            console.print(table(
                ("method", "balanced accuracy", "how it was obtained"), rows, right=("balanced accuracy",),
                title="Published figures on the long-tailed Fashion-MNIST (imbalance 100 : 1) beside ours",
            ))  # fmt: skip
            console.print(
                "The published figures are on their own draw of the training pictures and the official test set of "
                "10,000; ours is on the draw and the test pictures in examples/garments."
            )

        out.show(body, draw)
