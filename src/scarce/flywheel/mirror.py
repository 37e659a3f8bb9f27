"""The registry of models of MLflow as a mirror: it shows which models ``@champion`` and ``@challenger`` are.

The state database decides; the registry follows after every promotion and rollback. What it missed (it was down, or
slow) it gets the next time, since all aliases are brought up to date, not the last change alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from scarce.errors import ScarceError
from scarce.extras import need

if TYPE_CHECKING:
    from scarce.project import Project

ALIASES: Final = ("champion", "challenger")
SECONDS: Final = 10.0
"""So long the registry may take; a promotion waits no longer for it."""
TAG: Final = "scarce.model"
LATER: Final = "it is brought up to date by the next promotion or rollback"


def mirror(project: Project, *, seconds: float = SECONDS) -> str:
    """Bring the registry that ``[project] registry_url`` names up to date; return what went wrong, "" = nothing.

    Nothing is raised and nothing is undone: what the project decided holds.

    Args:
        project: with models and aliases.
        seconds: so long it is waited for.
    """
    url = project.config.project.registry_url
    if not url:
        return ""
    told: list[str] = []

    def work() -> None:
        try:
            _bring_up_to_date(url, project.name, project.state.aliases(), project.models)
            told.append("")
        except ScarceError as error:
            told.append(str(error).rstrip("."))
        except Exception as error:  # noqa: BLE001 - whatever MLflow says; the promotion holds all the same
            text = str(error).strip() or type(error).__name__
            told.append(f"the model registry {_plain(url)} was not changed ({text.splitlines()[0][:200].rstrip('.')})")

    thread = Thread(target=work, name="model registry", daemon=True)
    thread.start()
    thread.join(seconds)
    said = told[0] if told else f"the model registry {_plain(url)} did not answer within {seconds:g} seconds"
    return f"{said}; {LATER}." if said else ""


def _bring_up_to_date(url: str, name: str, aliases: Mapping[str, str], models: Path) -> None:
    """Register what has an alias and is not registered yet, and move the aliases."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(int(SECONDS / 2)))
    client = need("mlflow", extra="registry").MlflowClient(tracking_uri=url, registry_uri=url)
    _registered(client, name)
    known = {version.tags.get(TAG): version.version for version in client.search_model_versions(f"name = '{name}'")}
    now = {alias: str(number) for alias, number in client.get_registered_model(name).aliases.items()}
    for alias in ALIASES:
        target = aliases.get(alias)
        if target is None:
            if alias in now:
                client.delete_registered_model_alias(name, alias)
            continue
        if target not in known:
            made = client.create_model_version(name, source=(models / target).absolute().as_uri(), tags={TAG: target})
            known[target] = made.version
        if now.get(alias) != str(known[target]):
            client.set_registered_model_alias(name, alias, str(known[target]))


def _registered(client: Any, name: str) -> None:
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)


def _plain(url: str) -> str:
    """Return a URL without its password."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}" if mark else url
