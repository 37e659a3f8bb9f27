"""Where the course of a training is written down while it runs: a plain CSV file, or MLflow."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from scarce.errors import unknown_name
from scarce.extras import need

Tracking: TypeAlias = Literal["files", "mlflow"]
Follow: TypeAlias = Callable[[Sequence[Mapping[str, float]]], None]
FILE = "history.csv"


def tracking_of(name: str) -> Tracking:
    """Return the kind of tracking with a name.

    Raises:
        UnknownNameError: there is no such kind.
    """
    if name == "mlflow":
        return "mlflow"
    if name == "files":
        return "files"
    raise unknown_name("train", "tracking", name, ("files", "mlflow"))


def follower(tracking: Tracking, folder: Path | None, card: Mapping[str, Any]) -> Follow | None:
    """Return what is called with all rows after every epoch; None where there is nowhere to write.

    Args:
        tracking: ``files`` writes ``history.csv`` beside the checkpoint; ``mlflow`` logs a run, where the environment
            (``MLFLOW_TRACKING_URI``) says.
        folder: of the checkpoint.
        card: of the model; its trainer and parameters describe the run.

    Raises:
        MissingExtraError: MLflow is not installed.
    """
    if tracking == "mlflow":
        return _mlflow(card)
    return None if folder is None else lambda rows: write_history(folder / FILE, rows)


def write_history(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write all epochs to a CSV file, which is whole at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(name for row in rows for name in row))
    draft = path.with_name(f".{path.name}")
    with draft.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(rows)
    draft.replace(path)


def _mlflow(card: Mapping[str, Any]) -> Follow:
    client = need("mlflow", extra="registry").MlflowClient()
    found = client.get_experiment_by_name("scarce")
    experiment = found.experiment_id if found else client.create_experiment("scarce")
    run = client.create_run(experiment, run_name=str(card["trainer"])).info.run_id
    for name, value in {**card["params"], "seed": card["seed"]}.items():
        client.log_param(run, name, value)
    done = 0

    def follow(rows: Sequence[Mapping[str, float]]) -> None:
        nonlocal done
        for row in rows[done:]:
            for name, value in row.items():
                client.log_metric(run, name, value, step=int(row["epoch"]))
        done = len(rows)

    return follow
