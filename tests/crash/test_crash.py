"""Real processes, killed with SIGKILL at random and at chosen moments, and racing each other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from scarce.dataset import Dataset, Schema
from scarce.project import Project

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
PATIENCE_SECONDS = 120
Line = list[str]


class Zygote:
    """Starts workers and reads what they said."""

    def __init__(self) -> None:
        command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("zygote.py"))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline()

    def start(self, scenario: str, say: Path, **order: object) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        say.touch()
        self.process.stdin.write(json.dumps({"scenario": scenario, "say": str(say), **order}) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    started = Zygote()
    yield started
    started.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "p"
    with Project.init(place) as project:
        ids = [f"s{i:04d}" for i in range(40)]
        schema = Schema(classes=("good", "stained", "torn"))
        project.commit(Dataset.from_columns(schema, {"id": ids, "uri": ids, "label": ["good"] * 40}), "first")
    return place


def said(path: Path) -> list[Line]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait(true: object) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < until
        time.sleep(0.002)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait(lambda: not alive(pid))


def orphans(project: Project) -> set[str]:
    """Return files on disk that no version names, found without the code under test."""
    import lance

    hidden = project.folder / ".scarce"
    place = hidden / "data.lance"
    numbers = [item["version"] for item in lance.dataset(str(place)).versions()]
    used = {"lock", "project.json", ".gitignore", "state.db", "state.db-wal", "state.db-shm"}
    for number in numbers:
        opened = lance.dataset(str(place), version=number)
        used |= {f"data.lance/data/{file.path}" for part in opened.get_fragments() for file in part.data_files()}
        transaction = opened.read_transaction(number)
        used.add(f"data.lance/_transactions/{transaction.read_version}-{transaction.uuid}.txn")
        used |= {f"data.lance/_versions/{(1 << 64) - 1 - number}.manifest", f"data.lance/_refs/tags/v{number}.json"}
        record = json.loads(opened.schema.metadata[b"scarce"])
        names = [item[1] for item in record["findings"]] + [item[0] for item in record["votes"]]
        last = record["steps"][0]
        while last:
            names.append(last)
            last = project.store.objects._steps_file(last)["before"]
        used |= {f"objects/{name}" for name in names}
    used.add("data.lance/_versions/latest_version_hint.json")
    there = {item.relative_to(hidden).as_posix() for item in hidden.rglob("*") if item.is_file()}
    needed = {name for name in used if name.startswith(("data", "objects"))}
    lost = needed - there - {"data.lance/_versions/latest_version_hint.json"}
    assert not lost, sorted(lost)
    return there - used


def check(folder: Path, acknowledged: list[str]) -> str:
    """Open the project after a kill and demand that it is whole; return its head."""
    with Project.open(folder) as project:
        log = {version.name: version for version in project.log()}
        for name in acknowledged:
            assert name in log
        head = project.head
        assert head is not None
        project.store.verify(head)
        assert len(project.dataset()) >= 40
        assert not orphans(project)
        intents = {row["token"]: row for row in project.state.intents()}
        assert not [row for row in intents.values() if row["status"] == "open"]
        for version in log.values():
            if version.intent:
                assert (intents[version.intent]["status"], intents[version.intent]["version"]) == ("done", version.name)
        for row in intents.values():
            assert (row["status"] == "done") == (row["version"] is not None)
        return head


def kill_at_random(zygote: Zygote, folder: Path, scenario: str, times: int) -> int:
    """Kill workers at random moments of their commits; return how many versions came to be."""
    rng = np.random.default_rng(7)
    commit_seconds, known = 0.2, int(check(folder, [])[1:])
    for turn in range(times):
        say = folder.parent / f"said{turn}"
        pid = zygote.start(scenario, say, folder=str(folder), seed=turn)
        wait(lambda say=say, pid=pid: said(say) or not alive(pid))
        started = time.monotonic()
        time.sleep(float(rng.random()) * 2.5 * commit_seconds)
        kill(pid)
        lines = said(say)
        assert not [line for line in lines if line[0] == "crashed"], lines
        done = [line[1] for line in lines if line[0] == "done"]
        if done:
            commit_seconds = 0.7 * commit_seconds + 0.3 * (time.monotonic() - started) / (len(done) + 0.5)
        head = int(check(folder, done[-1:])[1:])
        assert known + len(done) <= head <= known + len(done) + 1
        known = head
    return known


def test_kills_at_random_moments_leave_the_last_version_whole(zygote: Zygote, folder: Path) -> None:
    assert kill_at_random(zygote, folder, "busy", 12) > 3


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["busy", "pruning"])
def test_two_hundred_kills(zygote: Zygote, folder: Path, scenario: str) -> None:
    assert kill_at_random(zygote, folder, scenario, int(os.environ.get("SCARCE_KILLS", "200"))) > 50


def test_kills_while_pruning(zygote: Zygote, folder: Path) -> None:
    assert kill_at_random(zygote, folder, "pruning", 5) > 1


@pytest.mark.parametrize(
    ("point", "lives"),
    [
        ("intent not yet written", False),
        ("between SQL and Lance", False),
        ("side file written", False),
        ("before the Lance step", False),
        ("data written, not committed", False),
        ("Lance committed, no tag", True),
        ("between Lance and SQL", True),
        ("done in SQL", True),
    ],
)
def test_a_kill_between_the_steps_is_finished_or_rolled_back(
    zygote: Zygote, folder: Path, tmp_path: Path, point: str, lives: bool
) -> None:
    say = tmp_path / "said"
    pid = zygote.start("dying", say, folder=str(folder), point=point)
    wait(lambda: not alive(pid))
    assert said(say) == []
    assert check(folder, ["v1"]) == ("v2" if lives else "v1")
    with Project.open(folder) as project:
        assert [row["status"] for row in project.state.intents() if row["what"] == "doomed"] == (
            ["done"] if lives else [] if point == "intent not yet written" else ["rolled back"]
        )
        ds = project.dataset()
        assert project.commit(ds.append({"id": ["after"], "uri": ["after"], "label": ["torn"]}), "after")
    check(folder, [])


def race(zygote: Zygote, folder: Path, whats: tuple[str, str]) -> list[Line]:
    """Let two workers open the same head, then write at once; return what each said."""
    gate = folder.parent / "gate"
    says = [folder.parent / f"race{number}" for number in range(2)]
    pids = [
        zygote.start("racing", say, folder=str(folder), what=what, gate=str(gate))
        for say, what in zip(says, whats, strict=True)
    ]
    wait(lambda: all(said(say) for say in says))
    gate.touch()
    wait(lambda: not any(alive(pid) for pid in pids))
    return [said(say)[1] for say in says]


@pytest.mark.parametrize("what", ["append twin", "edit"])
def test_of_two_who_write_the_same_one_wins_and_the_other_says_why(zygote: Zygote, folder: Path, what: str) -> None:
    whats = ("append twin", "append twin") if what == "append twin" else ("edit s0003 torn", "edit s0003 stained")
    results = race(zygote, folder, whats)
    assert sorted(line[0] for line in results) == ["done", "refused"]
    winner = [line[0] for line in results].index("done")
    kind, text = results[1 - winner][1:]
    assert kind == "ConflictError"
    assert ("twin" if what == "append twin" else "s0003") in text
    with Project.open(folder) as project:
        ds = project.dataset()
        if what == "append twin":
            assert ds.ids.tolist().count("twin") == 1
        else:
            assert ds.table["label"].to_pylist()[3] == whats[winner].split()[2]
    assert check(folder, []) == "v2"


@pytest.mark.parametrize(
    "whats", [("append a", "append b"), ("edit s0003 torn", "edit s0004 stained"), ("append a", "edit s0003 torn")]
)
def test_of_two_who_write_different_rows_both_win(zygote: Zygote, folder: Path, whats: tuple[str, str]) -> None:
    results = race(zygote, folder, whats)
    assert sorted(line[1] for line in results) == ["v2", "v3"]
    with Project.open(folder) as project:
        labels = dict(zip(project.dataset().ids, project.dataset().table["label"].to_pylist(), strict=True))
    for what in whats:
        kind, name, *label = what.split()
        assert labels[name] == (label[0] if kind == "edit" else "torn")


def test_many_processes_append_and_nothing_is_lost(zygote: Zygote, folder: Path, tmp_path: Path) -> None:
    says = {name: tmp_path / name for name in "abc"}
    pids = [zygote.start("many", say, folder=str(folder), name=name, times=4) for name, say in says.items()]
    wait(lambda: not any(alive(pid) for pid in pids))
    for say in says.values():
        assert [line[0] for line in said(say)] == ["done"] * 4 + ["end"]
    with Project.open(folder) as project:
        assert {f"{name}{turn}" for name in "abc" for turn in range(4)} <= set(project.dataset().ids)
        assert len(project.log()) == 13
    assert check(folder, []) == "v13"
