from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scarce import _sql
from scarce import state as module
from scarce.errors import ConflictError, DataError, StoreError, UnknownNameError
from scarce.state import LAYOUT, State


@pytest.fixture
def state(state_url: str) -> Iterator[State]:
    opened = State(state_url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_state(tmp_path: Path) -> State:
    return State(str(tmp_path / "state.db"))


def test_annotations_wait_until_they_are_frozen(state: State) -> None:
    state.annotate([
        {"sample": "a", "voter": "ann", "label": "torn", "seconds": 2.5, "version": "v1"},
        {"sample": "b", "voter": "ann", "label": None},
    ])  # fmt: skip
    first, second = state.annotations(frozen=False)
    assert (first["kind"], first["label"], second["label"], second["seconds"]) == ("human", "torn", None, None)
    state.freeze_annotations([first["number"]], "v2")
    assert [row["sample"] for row in state.annotations(frozen=False)] == ["b"]
    assert [row["frozen"] for row in state.annotations(frozen=True)] == ["v2"]
    with pytest.raises(UnknownNameError):
        state.freeze_annotations([99], "v2")


def test_the_queue_is_sorted_by_urgency(state: State) -> None:
    state.ask(
        [
            {"sample": name, "reason": "margin", "priority": value}
            for name, value in (("a", 0.1), ("b", 0.9), ("c", 0.9))
        ]
    )
    assert [row["sample"] for row in state.queue()] == ["b", "c", "a"]
    state.settle([state.queue()[0]["number"]])
    assert [row["sample"] for row in state.queue()] == ["c", "a"]
    assert [row["sample"] for row in state.queue("done")] == ["b"]


def test_ledger_rows_come_back_as_they_were(state: State) -> None:
    rows = [{"decision": "clean.set_aside", "gain": 0.01, "low": -0.002, "kept": True, "verdict": "helped", "p": None},
            {"decision": "augment.flip", "gain": None, "why": "not for text"}]  # fmt: skip
    state.add_ledger_rows(rows, run="r1")
    state.add_ledger_rows(rows[:1])
    assert [{key: row[key] for key in given} for given, row in zip(rows, state.ledger("r1"), strict=True)] == rows
    assert len(state.ledger()) == 1
    assert len(state.ledger("*")) == 3


def test_looks_at_the_test_set_are_counted(state: State) -> None:
    assert state.test_looks() == 0
    assert [state.count_test_look(version="v1", why="run") for _ in range(3)] == [1, 2, 3]


def test_aliases_keep_their_history(state: State) -> None:
    state.set_alias("@champion", "v3-finetune", why="better")
    state.set_alias("champion", "v5-finetune")
    state.set_alias("challenger", "v6-finetune")
    state.set_alias("challenger", None)
    assert state.aliases() == {"champion": "v5-finetune"}
    assert [row["target"] for row in state.alias_history("@champion")] == ["v3-finetune", "v5-finetune"]


def test_intents(state: State) -> None:
    one, two = state.begin("a"), state.begin("b")
    state.finish(one, "v1")
    state.finish(two, None)
    assert [(row["status"], row["version"]) for row in state.intents()] == [("done", "v1"), ("rolled back", None)]
    assert state.intents("open") == []
    with pytest.raises(UnknownNameError):
        state.finish("nobody", "v1")


def test_feedback_and_unknown_columns(state: State) -> None:
    assert state.add_feedback([{"sample": "a", "label": "torn", "model": "m"}]) == 1
    assert state.feedback()[0]["label"] == "torn"
    with pytest.raises(UnknownNameError, match="did you mean 'label'"):
        state.add_feedback([{"sample": "a", "lable": "torn"}])


def test_a_backup_brings_everything_back(state: State, tmp_path: Path) -> None:
    state.annotate([{"sample": "ä\n", "voter": "ann", "label": "torn"}])
    state.add_ledger_rows([{"decision": "x", "gain": 0.5}], run="r")
    state.set_alias("champion", "m")
    lines = state.backup(tmp_path / "backup.jsonl")
    assert lines == len((tmp_path / "backup.jsonl").read_text(encoding="utf-8").splitlines())
    other = State(str(tmp_path / "other.db"))
    other.bring_back(tmp_path / "backup.jsonl")
    for table in LAYOUT:
        if table != "meta":
            assert other._rows(table) == state._rows(table)
    with pytest.raises(DataError, match="not empty"):
        other.bring_back(tmp_path / "backup.jsonl")
    (tmp_path / "bad.jsonl").write_text('{"table": "feedback", "sample": "a"}\nnonsense\n', encoding="utf-8")
    with pytest.raises(DataError, match="line 2"):
        State(str(tmp_path / "third.db")).bring_back(tmp_path / "bad.jsonl")


def test_a_state_belongs_to_one_project(state: State, state_url: str, tmp_path: Path) -> None:
    assert state.claim("2026-11-22T08:00:00.000001+00:00")
    assert not state.claim("2026-11-22T08:00:00.000001+00:00")
    with pytest.raises(StoreError, match="the state of another project"):
        State(state_url).claim("2026-11-22T09:00:00+00:00")
    state.backup(tmp_path / "b.jsonl")
    other = State(str(tmp_path / "other.db"))
    other.bring_back(tmp_path / "b.jsonl")
    assert other.claim("somebody"), "whose it is does not travel with a backup"


@pytest.mark.postgres
def test_a_database_of_another_project_is_refused_and_what_stays_behind_is_told(postgres: Any, tmp_path: Path) -> None:
    from scarce import progress
    from scarce.config import Config
    from scarce.project import Project

    url = postgres.database()
    said: list[str] = []
    with Project.init(tmp_path / "one") as project:
        project.state.test_looks()
    place = tmp_path / "one" / "scarce.toml"
    place.write_text(place.read_text(encoding="utf-8").replace('#state_url = ""', f'state_url = "{url}"'), "utf-8")
    with progress.listen(lambda what, _done, _total: said.append(what)), Project.open(tmp_path / "one") as project:
        assert project.state.test_looks() == 0
    assert any("--bring-back" in line for line in said)
    other = Project.init(tmp_path / "two", config=Config().with_values("project", state_url=url))
    with pytest.raises(StoreError, match="another project"):
        other.state.test_looks()


def test_many_threads_make_and_write_one_database(state_url: str) -> None:
    path = state_url

    def work(name: int) -> None:
        own = State(path)
        for turn in range(5):
            own.annotate([{"sample": f"{name}-{turn}", "voter": "x"}])
        own.close()

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({row["sample"] for row in State(path).annotations()}) == 20


def test_sqlite_writes_ahead_and_waits(sqlite_state: State) -> None:
    state = sqlite_state
    state.begin("x")
    with state.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == _sql.BUSY_SECONDS * 1000


def test_a_state_of_format_1_is_migrated(state_url: str) -> None:
    import sqlalchemy as sql

    postgres = state_url.startswith("postgresql")
    engine = sql.create_engine(state_url if postgres else f"sqlite:///{state_url}")
    key = "SERIAL PRIMARY KEY" if postgres else "INTEGER PRIMARY KEY"
    results = (
        "run VARCHAR, decision VARCHAR, verdict VARCHAR, kept BOOLEAN, gain FLOAT, body JSON, "
        "version_before VARCHAR, version_after VARCHAR"
    )
    with engine.begin() as old:  # as scarce wrote it before models were served
        for table, columns, names, values in (
            ("meta", "name VARCHAR UNIQUE, value VARCHAR", "name, value", "'format', '1'"),
            ("feedback", "sample VARCHAR, model VARCHAR, predicted VARCHAR, label VARCHAR, note VARCHAR",
             "sample, label", "'s1', 'torn'"),
            ("aliases", "name VARCHAR, target VARCHAR, why VARCHAR", "name, target", "'champion', 'v3-finetune'"),
            ("ledger", results, "run, decision, verdict, kept, body",
             "'r', 'augment', 'helped', TRUE, '{\"decision\": \"augment\", \"p\": 0.25}'"),
        ):  # fmt: skip
            old.exec_driver_sql(f"CREATE TABLE {table} (number {key}, at VARCHAR NOT NULL, {columns})")
            old.exec_driver_sql(f"INSERT INTO {table} (at, {names}) VALUES ('t', {values})")
    state = State(state_url)
    assert [(row["sample"], row["label"], row["worth"]) for row in state.feedback()] == [("s1", "torn", None)]
    state.add_feedback([{"sample": "s2", "label": "torn", "worth": "high", "inclusion": 0.1}])
    state.set_alias("champion", "v4-finetune", version="v4")
    state.add_ledger_rows([{"decision": "mirror", "p": float("inf")}], run="r")
    assert [row["version"] for row in state.alias_history("champion")] == [None, "v4"]
    assert [(row["decision"], row["p"]) for row in state.ledger("r")] == [("augment", 0.25), ("mirror", float("inf"))]
    assert state.feedback()[1]["inclusion"] == 0.1
    assert state.predictions() == []
    state.close()
    with engine.connect() as now:
        rows = now.exec_driver_sql("SELECT value FROM meta WHERE name = 'format'").fetchall()
        assert [tuple(row) for row in rows] == [(str(module.FORMAT),)]
        found = {
            index["name"] for table in ("feedback", "predictions") for index in sql.inspect(now).get_indexes(table)
        }
    engine.dispose()
    assert {"feedback_by_request", "predictions_by_at"} <= found


def test_aliases_move_with_their_ledger_row_or_not_at_all(state: State) -> None:
    state.add_ledger_rows([{"decision": "clean.set_aside"}], run="r1")
    first = [{"name": "champion", "target": "a", "version": "v1", "why": "first"}]
    state.move_aliases(first, {"decision": "promote", "verdict": "promoted"}, expected={"champion": None})
    with pytest.raises(ConflictError, match="@champion is a by now"):
        state.move_aliases([{**first[0], "target": "b"}], {"decision": "promote"}, expected={"champion": None})
    with pytest.raises(UnknownNameError):
        state.move_aliases([{**first[0], "traget": "b"}], {"decision": "promote"}, expected={"champion": "a"})
    assert state.aliases() == {"champion": "a"}
    assert [row["verdict"] for row in state.ledger("promotions")] == ["promoted"]
    assert [row["decision"] for row in state.ledger()] == ["clean.set_aside"]


def test_of_two_promotions_at_once_one_is_refused(state_url: str) -> None:
    path, told = state_url, []
    State(path).set_alias("champion", "old")
    gate = threading.Barrier(2)

    def move(target: str) -> None:
        own = State(path)
        gate.wait()
        try:
            own.move_aliases([{"name": "champion", "target": target}], {"decision": "promote"},
                             expected={"champion": "old"})  # fmt: skip
            told.append("moved")
        except ConflictError:
            told.append("refused")
        own.close()

    threads = [threading.Thread(target=move, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["moved", "refused"]
    assert len(State(path).ledger("promotions")) == 1


def test_predictions_are_found_by_time_request_and_sample(state: State) -> None:
    rows = [{"request": f"r{k}", "sample": f"s{k % 2}", "model": "m", "served_as": "champion", "label": "torn",
             "probability": 0.9, "body": {"p": [0.9, 0.1]}, "at": f"2026-01-0{k + 1}T00:00:00+00:00"}
            for k in range(4)]  # fmt: skip
    assert state.log_predictions(rows) == 4
    assert [row["request"] for row in state.predictions(since=rows[1]["at"])] == ["r2", "r3"]
    assert [row["request"] for row in state.predictions(samples=["s0"])] == ["r0", "r2"]
    assert state.predictions(requests=["r3"])[0]["body"] == {"p": [0.9, 0.1]}
    with pytest.raises(StoreError):
        state.log_predictions(rows[:1])


def test_a_migration_that_fails_changes_nothing(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    state.annotate([{"sample": "a", "voter": "x"}])
    state.close()

    def broken(connection: object) -> None:
        connection.exec_driver_sql("DROP TABLE annotations")  # type: ignore[attr-defined]
        connection.exec_driver_sql("SELECT nonsense")  # type: ignore[attr-defined]

    with monkeypatch.context() as patch:
        patch.setattr(module, "FORMAT", module.FORMAT + 1)
        patch.setattr(module, "MIGRATIONS", (*module.MIGRATIONS, broken))
        with pytest.raises(StoreError, match="nonsense"):
            State(state.url).annotations()
    assert len(State(state.url).annotations()) == 1


def test_a_later_format_is_refused(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "FORMAT", 3)
        state.begin("x")
        state.close()
    with pytest.raises(StoreError, match="has format 3"):
        State(state.url).intents()


def test_trouble_is_said_plainly_and_without_passwords(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        State(str(tmp_path / "no" / "where" / "state.db")).begin("x")
    (tmp_path / "junk.db").write_bytes(b"not a database, but long enough to look like one" * 30)
    with pytest.raises(StoreError, match="not a database"):
        State(str(tmp_path / "junk.db")).begin("x")
    with pytest.raises(StoreError) as caught:
        State("postgresql+psycopg://me:secret@localhost:1/db").begin("x")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("free", [0, 10**9])
def test_what_cannot_be_written_can_still_be_read(
    sqlite_state: State, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    state = sqlite_state
    state.annotate([{"sample": "a", "voter": "x"}])
    state.close()

    def refused(*_: object) -> None:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(_sql, "_prepare_sqlite", refused)
    monkeypatch.setattr(_sql.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    frozen = State(state.url)
    assert [row["sample"] for row in frozen.annotations()] == ["a"]
    with pytest.raises(StoreError, match="cannot be written" if free else "the disk is full"):
        frozen.annotate([{"sample": "b", "voter": "x"}])


def test_rows_are_plain_json(state: State, tmp_path: Path) -> None:
    state.add_ledger_rows([{"decision": "x", "names": ("a", "b")}], run="r")
    state.backup(tmp_path / "b.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert rows[0]["body"] == {"decision": "x", "names": ["a", "b"]}
