"""``scarce serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, folder_of
from scarce.cli._screen import screen


def serve(
    project: ProjectFolder = None,
    host: Annotated[
        str, typer.Option(metavar="HOST", help="Name or address to listen at; others than this machine need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 = a free one.")] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help="Holds the token that clients must show.",
            show_default="the variable SCARCE_TOKEN",
        ),
    ] = None,
    named: InProject = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Answer predictions over HTTP by the model that @champion means, and take feedback.

    POST /predict (one sample) and /predict/batch give class, calibrated probability and verdict: accept, reject,
    unknown, or ask (a person should decide). POST /feedback keeps what people say about them. GET /health, /ready,
    /metrics (Prometheus) and /docs. Each answer is logged first. A promotion or rollback takes over without a restart.
    Limits, shadow mode and the challenger's share stand in scarce.toml under [serve]. Needs scarce[serve].

    Example:
        scarce serve photos-scarce
        scarce serve photos-scarce --host 0.0.0.0 --token-file token.txt
        curl --data-binary @part.jpg http://127.0.0.1:8000/predict
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.flywheel.serve import Door, read_token
        from scarce.flywheel.serve import serve as answer
        from scarce.project import Project

        door = Door(host=host, port=port, token=read_token(token_file))
        with Project.open(folder_of(project, named)) as opened:
            champion = opened.state.aliases().get("champion")

            def started(url: str) -> None:
                body = {"url": url, "champion": champion, "token": door.token is not None}
                out.show(body, lambda console: console.print(f"{champion} answers at {url} (Ctrl+C ends it)"))

            answer(opened, door, started=started)
