"""A process that has loaded everything and forks a worker for each line on its standard input.

A worker starts in milliseconds, so hundreds of them can be killed in the time that one import takes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
from sqlalchemy.dialects.sqlite import pysqlite

from scarce import _lance, columns, project
from scarce._objects import Objects
from scarce.dataset import Dataset, Schema
from scarce.errors import ScarceError
from scarce.lineage import Step
from scarce.state import State

CLASSES = ("good", "stained", "torn")
assert pysqlite is not None
_lance.lance()


def sample(n: int = 40) -> Dataset:
    ids = [f"s{i:04d}" for i in range(n)]
    return Dataset.from_columns(Schema(classes=CLASSES), {"id": ids, "uri": ids, "label": ["good"] * n})


def change(ds: Dataset, rng: np.random.Generator) -> Dataset:
    """Relabel a row, append one, change findings and votes, add a step."""
    labels = ds.table["label"].to_pylist()
    labels[int(rng.integers(len(ds)))] = CLASSES[int(rng.integers(3))]
    ds = ds.with_columns({"label": labels})
    if rng.random() < 0.5:
        name = f"n{int(rng.integers(1 << 40)):012x}"
        ds = ds.append({"id": [name], "uri": [name], "label": ["torn"]})
    finding = {"level": "sample", "members": [str(ds.ids[0])], "score": float(rng.random()), "why": "x"}
    ds = ds.with_findings("blur", [finding])
    vote = {"sample": str(ds.ids[0]), "voter": str(rng.integers(100)), "kind": "human", "label": "torn"}
    votes = pa.concat_tables([ds.votes, pa.Table.from_pylist([vote], schema=columns.VOTE)])
    return replace(ds, votes=votes).with_step(Step(stage="x", params={"at": int(rng.integers(1 << 30))}))


class Say:
    """Append lines to a file; each is whole even if the next moment kills the process."""

    def __init__(self, path: str) -> None:
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def __call__(self, *words: object) -> None:
        os.write(self.file, (json.dumps(words) + "\n").encode())


def busy(say: Say, folder: str, seed: int) -> None:
    """Commit until killed."""
    rng = np.random.default_rng(seed)
    opened = project.Project.open(folder)
    say("ready")
    while True:
        say("done", opened.commit(change(opened.dataset(), rng), "turn"))


def pruning(say: Say, folder: str, seed: int) -> None:
    """Commit and prune until killed."""
    rng = np.random.default_rng(seed)
    opened = project.Project.open(folder)
    say("ready")
    while True:
        say("done", opened.commit(change(opened.dataset(), rng), "turn"))
        opened.store.prune(keep=2)


POINTS: dict[str, tuple[type, str, bool]] = {
    "intent not yet written": (State, "begin", True),
    "between SQL and Lance": (State, "begin", False),
    "side file written": (Objects, "put_table", False),
    "before the Lance step": (_lance.Table, "write", True),
    "data written, not committed": (_lance.Table, "_files", False),
    "Lance committed, no tag": (_lance.Table, "write", False),
    "between Lance and SQL": (State, "finish", True),
    "done in SQL": (State, "finish", False),
}


def dying(say: Say, folder: str, point: str) -> None:
    """Commit once and die at a named point."""
    kind, name, early = POINTS[point]
    real: Callable[..., Any] = getattr(kind, name)

    def deadly(*args: Any, **more: Any) -> Any:
        if not early:
            real(*args, **more)
        os.kill(os.getpid(), signal.SIGKILL)

    opened = project.Project.open(folder)
    changed = change(opened.dataset(), np.random.default_rng(0))
    setattr(kind, name, deadly)
    opened.commit(changed, "doomed")
    say("survived")


def racing(say: Say, folder: str, what: str, gate: str) -> None:
    """Open the head, wait for the gate, then write; say what came of it."""
    first = [True]

    def edit(ds: Dataset) -> Dataset:
        if first:
            first.clear()
            say("ready")
            while not Path(gate).exists():
                time.sleep(0.0005)
        if what.startswith("append "):
            name = what.removeprefix("append ")
            return ds.append({"id": [name], "uri": [name], "label": ["torn"]})
        name, label = what.removeprefix("edit ").split()
        labels = ds.table["label"].to_pylist()
        labels[int(ds.rows_of([name])[0])] = label
        return ds.with_columns({"label": labels})

    opened = project.Project.open(folder)
    try:
        say("done", opened.change(edit, what))
    except ScarceError as error:
        say("refused", type(error).__name__, str(error))


def many(say: Say, folder: str, name: str, times: int) -> None:
    """Append rows one by one, while others do the same."""
    opened = project.Project.open(folder)
    for turn in range(times):
        row = f"{name}{turn}"
        said = opened.change(lambda ds, row=row: ds.append({"id": [row], "uri": [row], "label": ["torn"]}), row)
        say("done", said)


def main() -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children vanish when they die
    print(os.getpid(), flush=True)  # noqa: T201
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            say = Say(order.pop("say"))
            try:
                globals()[order.pop("scenario")](say, **order)
            except BaseException:  # noqa: BLE001
                say("crashed", traceback.format_exc())
            say("end")
            os._exit(0)
        print(pid, flush=True)  # noqa: T201
    sys.exit(0)


if __name__ == "__main__":
    main()
