"""``scarce label serve-studio``."""

from __future__ import annotations

from typing import Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, folder_of
from scarce.cli._screen import screen


def serve_studio(
    project: ProjectFolder = None,
    named: InProject = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on; others reach 0.0.0.0.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 = any free one.")] = 9090,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Serve predictions and the order of the queue to Label Studio, until Ctrl-C.

    Add the address as a model in the settings of the Label Studio project. A new version of the project is noticed by
    itself. Label Studio asks in our order with "uncertainty sampling".

    Example:
        scarce label serve-studio photos-scarce --port 9090
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.label_studio.backend import serve
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            server = serve(opened, host=host, port=port)
            address = f"http://{host}:{server.server_port}"
            body = {"address": address, "version": opened.head}
            try:
                out.show(body, lambda screen: screen.print(f"Serving {opened.head} at {address}; Ctrl-C ends it."))
                server.serve_forever()
            except KeyboardInterrupt:
                pass
            finally:
                server.server_close()
