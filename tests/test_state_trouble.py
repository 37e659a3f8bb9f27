"""The state when things go wrong: lost connections, crashes, races, full disks, locks, wrong URLs."""

from __future__ import annotations

import json
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scarce import _sql
from scarce.errors import ConflictError, StoreError
from scarce.state import State

if TYPE_CHECKING:
    from tests.conftest import Postgres

WORKER = """
import json, os, signal, sys, time
from scarce.errors import ConflictError
from scarce.state import State
what, url, name = sys.argv[1:]
state = State(url)
print("ready", flush=True)
sys.stdin.readline()
said = []
if what == "promote":
    for turn in range(20):
        now = state.aliases().get("champion")
        try:
            state.move_aliases([{"name": "champion", "target": f"{name}{turn}"}],
                               {"decision": "promote", "to": f"{name}{turn}", "was": now}, expected={"champion": now})
            said.append(f"{name}{turn}")
        except ConflictError:
            pass
elif what == "write":
    for turn in range(20):
        state.add_feedback([{"sample": f"{name}{turn}"}, {"sample": f"{name}{turn}b"}])
        said.append([state.open_round({"by": name}), state.begin(name)])
elif what == "feedback":
    for turn in range(20):
        row = {"sample": "s", "request": f"r{turn}", "voter": "ann", "label": "torn"}
        said.append(len(state.add_new_feedback([row, row])))
elif what == "die":
    def half(session):
        state._insert(session, "feedback", [{"sample": "half"}])
        state._insert(session, "aliases", [{"name": "champion", "target": "half"}])
        print("inside", flush=True)
        time.sleep(60)
    state._database.run(half)
elif what == "busy":
    for turn in range(10**6):
        state.add_feedback([{"sample": f"s{turn}", "request": "a"}, {"sample": f"s{turn}", "request": "b"}])
        print(turn, flush=True)
print(json.dumps(said), flush=True)
state.close()
"""


@pytest.fixture
def state(state_url: str) -> Iterator[State]:
    opened = State(state_url)
    opened.annotations()
    yield opened
    opened.close()


def start(what: str, url: str, name: str = "x") -> subprocess.Popen[str]:
    worker = subprocess.Popen([sys.executable, "-W", "ignore", "-c", WORKER, what, url, name], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert line(worker) == "ready"
    return worker


def line(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def go(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    worker.stdin.write("go\n")
    worker.stdin.flush()


def both(what: str, url: str) -> list[list[Any]]:
    """Let two processes do the same at once; return what each said."""
    workers = [start(what, url, name) for name in "ab"]
    for worker in workers:
        go(worker)
    said = [json.loads(line(worker)) for worker in workers]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    return said


def test_of_two_processes_that_promote_each_builds_on_the_other(state: State) -> None:
    one, two = both("promote", state.url)
    history = state.alias_history("champion")
    rows = state.ledger("promotions")
    assert sorted(row["target"] for row in history) == sorted(one + two)
    assert [row["to"] for row in rows] == [row["target"] for row in history]
    assert [row["was"] for row in rows] == [None, *(row["target"] for row in history[:-1])]


def test_two_processes_give_feedback_begin_rounds_and_intents_at_once(state: State) -> None:
    one, two = both("write", state.url)
    samples = [row["sample"] for row in state.feedback()]
    assert len(samples) == len(set(samples)) == 80
    assert all(second == f"{first}b" for first, second in zip(samples[::2], samples[1::2], strict=True))  # never mixed
    assert sorted(number for number, _ in one + two) == list(range(1, 41))
    names = [row["body"]["by"] for row in state.rounds()]
    assert [names[number - 1] for number, _ in one] == ["a"] * 20
    assert {row["token"] for row in state.intents()} == {token for _, token in one + two}
    numbers = [row["number"] for row in state.feedback()]
    assert numbers == sorted(numbers)
    assert [row["at"] for row in state.feedback()] == sorted(row["at"] for row in state.feedback())


def test_what_two_processes_hear_at_once_is_kept_once(state: State) -> None:
    one, two = both("feedback", state.url)
    assert [a + b for a, b in zip(one, two, strict=True)] == [1] * 20
    assert len(state.feedback()) == 20
    row = {"sample": "s", "request": "r0", "voter": "ann", "label": "good"}
    assert state.add_new_feedback([row]) == [row]  # a change of mind counts
    assert state.add_new_feedback([{**row, "label": "torn"}, {**row, "voter": "bob"}])[1]["voter"] == "bob"


def test_a_kill_in_the_middle_leaves_no_half_row(state: State) -> None:
    worker = start("die", state.url)
    go(worker)
    assert line(worker) == "inside"
    worker.send_signal(signal.SIGKILL)
    worker.wait(30)
    assert state.feedback() == []
    assert state.aliases() == {}
    assert state.add_feedback([{"sample": "after"}]) == 1  # and it holds no lock


def test_kills_lose_nothing_that_was_acknowledged(state: State) -> None:
    worker = start("busy", state.url)
    go(worker)
    last = 0
    while last < 15:
        last = int(line(worker))
    worker.send_signal(signal.SIGKILL)
    worker.wait(30)
    assert worker.stdout is not None
    last = max([last, *(int(text) for text in worker.stdout.read().split("\n")[:-1])])
    rows = state.feedback()
    assert [row["request"] for row in rows] == ["a", "b"] * (len(rows) // 2)
    assert len(rows) // 2 in {last + 1, last + 2}


def test_a_backup_of_a_busy_state_is_of_one_moment(state: State, tmp_path: Path) -> None:
    worker = start("busy", state.url)
    go(worker)
    try:
        while int(line(worker)) < 5:
            pass
        state.backup(tmp_path / "b.jsonl")
    finally:
        worker.kill()
        worker.wait(30)
    rows = [json.loads(text) for text in (tmp_path / "b.jsonl").read_text().splitlines()]
    found = [row["request"] for row in rows if row["table"] == "feedback"]
    assert len(found) >= 10
    assert found == ["a", "b"] * (len(found) // 2)


def test_a_backup_that_cannot_be_brought_back_whole_leaves_the_state_empty(state: State, tmp_path: Path) -> None:
    lines = [{"table": "feedback", "sample": "a"}, {"table": "aliases", "name": "champion", "tagret": "m"}]
    (tmp_path / "b.jsonl").write_text("\n".join(json.dumps(row) for row in lines))
    with pytest.raises(LookupError):
        state.bring_back(tmp_path / "b.jsonl")
    assert state.feedback() == []


def test_rows_of_a_clock_that_runs_ahead_keep_their_place(state: State) -> None:
    state.set_alias("champion", "first")
    state._add("aliases", [{"name": "champion", "target": "second", "at": "2099-01-01T00:00:00.000+00:00"}])
    state.set_alias("champion", "third")
    assert state.aliases() == {"champion": "third"}
    assert [row["target"] for row in state.alias_history("champion")] == ["first", "second", "third"]


def test_a_locked_sqlite_can_be_read_and_says_who_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sql, "BUSY_SECONDS", 1)
    state = State(str(tmp_path / "state.db"))
    state.add_feedback([{"sample": "a"}])
    with sqlite3.connect(tmp_path / "state.db") as other:
        other.execute("BEGIN IMMEDIATE")
        assert [row["sample"] for row in state.feedback()] == ["a"]
        with pytest.raises(StoreError, match=r"held .* locked for 1 seconds. nothing was written"):
            state.add_feedback([{"sample": "b"}])
    state.add_feedback([{"sample": "c"}])
    assert [row["sample"] for row in state.feedback()] == ["a", "c"]


FULL = """
import resource, signal, sys
from scarce.errors import StoreError
from scarce.state import State
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
state = State(sys.argv[1])
state.feedback()
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
done = 0
try:
    for turn in range(10_000):
        state.add_feedback([{"sample": f"s{turn}", "note": "x" * 2000}])
        done = turn + 1
except StoreError as error:
    print(done, error.do, flush=True)
    assert len(state.feedback()) == done
"""


def test_a_file_that_cannot_grow_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", FULL, str(path)], capture_output=True, text=True,
                           check=True, timeout=60)  # fmt: skip
    done, do = found.stdout.strip().split(" ", 1)
    assert int(done) > 10
    assert do
    rows = State(str(path)).feedback()
    assert [row["sample"] for row in rows] == [f"s{turn}" for turn in range(int(done))]
    assert State(str(path)).add_feedback([{"sample": "after"}]) == 1


def test_a_full_disk_is_called_full(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("a small file system cannot be mounted here: needs the administrator")
    state = State(str(place / "state.db"))
    try:
        state.feedback()
        done = 0

        def fill() -> None:
            nonlocal done
            while done < 10_000:
                state.add_feedback([{"sample": f"s{done}", "note": "x" * 2000}])
                done += 1

        with pytest.raises(StoreError, match="the disk is full"):
            fill()
        assert done > 10
        assert len(state.feedback()) == done
        state.close()
        assert len(State(str(place / "state.db")).feedback()) == done
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize(("url", "told"), [
    ("mysql://me:secret@host/db", "'mysql' is no database that is known here"),
    ("postgresql+psycopg://me:secret@host:port/db", "is no URL"),
    ("postgres://me:secret@host/db", "no database that is known here"),
])  # fmt: skip
def test_urls_that_mean_nothing_are_told_without_passwords(url: str, told: str) -> None:
    with pytest.raises(StoreError, match=told) as caught:
        State(url).annotations()
    assert "secret" not in str(caught.value)


class Proxy:
    """A wire to the server that breaks when COMMIT goes over it: before it arrives, or before the answer comes back."""

    def __init__(self, port: int, *, arrives: bool, then: str = "goes on") -> None:
        self.server, self.arrives, self.then, self.broken = port, arrives, then, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.armed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            if self.broken and self.then == "stays dead":
                client.close()
                continue
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self.server)) as server:
            while True:
                for side in select.select([client, server], [], [])[0]:
                    data = side.recv(1 << 16)
                    if not data:
                        return
                    if side is client and self.armed and b"COMMIT\0" in data:
                        self.armed, self.broken = False, self.broken + 1
                        if self.arrives:
                            server.sendall(data)
                            server.recv(1)
                        return
                    (server if side is client else client).sendall(data)


def url_of(postgres: Postgres) -> tuple[str, str]:
    url = postgres.database()
    return url, url.rpartition("/")[2]


@pytest.mark.postgres
@pytest.mark.parametrize("arrives", [True, False])
def test_a_wire_that_breaks_at_commit_neither_loses_nor_doubles(postgres: Postgres, arrives: bool) -> None:
    url, _ = url_of(postgres)
    proxy = Proxy(postgres.port, arrives=arrives)
    state = State(url.replace(f":{postgres.port}/", f":{proxy.port}/"))
    state.feedback()
    proxy.armed = True
    assert state.add_feedback([{"sample": "a"}, {"sample": "b"}]) == 2
    assert proxy.broken == 1
    assert [row["sample"] for row in State(url).feedback()] == ["a", "b"]
    state.close()
    proxy.listener.close()


@pytest.mark.postgres
def test_a_wire_that_stays_dead_at_commit_says_that_nobody_knows(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sql, "PATIENCE_SECONDS", 0.5)
    url, _ = url_of(postgres)
    proxy = Proxy(postgres.port, arrives=True, then="stays dead")
    state = State(url.replace(f":{postgres.port}/", f":{proxy.port}/"))
    state.feedback()
    proxy.armed = True
    with pytest.raises(StoreError, match=r"whether it was kept is not known. look before you do it again"):
        state.add_feedback([{"sample": "a"}])
    assert [row["sample"] for row in State(url).feedback()] == ["a"]
    proxy.listener.close()


@pytest.mark.postgres
@pytest.mark.parametrize("reads", [True, False])
def test_a_connection_that_is_cut_in_the_middle_is_made_anew(postgres: Postgres, reads: bool) -> None:
    url, _ = url_of(postgres)
    state = State(url)
    state.add_feedback([{"sample": "old"}])
    turns = []

    def work(session: _sql.Session) -> list[Any]:
        turns.append(1)
        if not reads:
            state._insert(session, "feedback", [{"sample": "new"}])
        if len(turns) == 1:
            pid = session.connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            postgres.tell(f"SELECT pg_terminate_backend({pid})")
            time.sleep(0.1)
        return state._select(session, "feedback")

    assert [row["sample"] for row in state._database.run(work, reads=reads)] == (["old"] if reads else ["old", "new"])
    assert len(turns) == 2
    assert len(state.feedback()) == (1 if reads else 2)
    state.close()


@pytest.mark.postgres
@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_a_server_that_restarts_costs_nothing(postgres: Postgres, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(_sql, "PATIENCE_SECONDS", 60)  # the machine may be busy
    state = State(url_of(postgres)[0])
    state.add_feedback([{"sample": "a"}])
    postgres.stop(how)
    again = threading.Timer(0.3, postgres.start)
    again.start()
    try:
        assert state.add_feedback([{"sample": "b"}]) == 1
        assert [row["sample"] for row in state.feedback()] == ["a", "b"]
    finally:
        again.join()
        state.close()


@pytest.mark.postgres
def test_a_server_that_is_gone_is_told_and_nothing_is_lost(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sql, "PATIENCE_SECONDS", 0.5)
    state = State(url_of(postgres)[0])
    state.add_feedback([{"sample": "a"}])
    postgres.stop()
    try:
        for call in (state.feedback, lambda: state.add_feedback([{"sample": "b"}])):
            with pytest.raises(StoreError, match=r"cannot be reached. nothing was written"):
                call()
        since = time.monotonic()
        with pytest.raises(StoreError, match="cannot be reached"):
            State(state.url).feedback()
        assert time.monotonic() - since < 5
    finally:
        postgres.start()
    assert [row["sample"] for row in state.feedback()] == ["a"]
    state.close()


@pytest.mark.postgres
def test_what_postgresql_refuses_is_said_plainly(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    url, name = url_of(postgres)
    state = State(url)
    state.add_feedback([{"sample": "a"}])
    for user, more in (("guarded", "PASSWORD 'right'"), ("stranger", "")):
        if not postgres.tell(f"SELECT 1 FROM pg_roles WHERE rolname = '{user}'"):
            postgres.tell(f"CREATE ROLE {user} LOGIN {more}")
    told = {
        postgres.url(name, user="guarded", password="wrong"): "refuses the password",
        postgres.url(name, user="guarded"): "refuses the password",
        postgres.url(name, user="nobody_here"): "does not exist",
        postgres.url("no_such_database"): "does not exist",
        postgres.url(name, user="stranger"): "refuses this user",
        url.replace(f":{postgres.port}/", ":1/"): "cannot be reached",
        url.replace("127.0.0.1", "no-such-host.invalid"): "cannot be reached",
    }
    for wrong, text in told.items():
        with pytest.raises(StoreError, match=text) as caught:
            State(wrong).add_feedback([{"sample": "b"}])
        assert "wrong" not in str(caught.value)
        assert caught.value.do
    assert State(postgres.url(name, user="owner", password="any")).feedback()
    postgres.tell(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    frozen = State(url)
    assert [row["sample"] for row in frozen.feedback()] == ["a"]
    with pytest.raises(StoreError, match=r"is read only. nothing was written"):
        frozen.add_feedback([{"sample": "b"}])
    postgres.tell(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    postgres.tell("CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION "
                  "'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$", name)  # fmt: skip
    postgres.tell("CREATE TRIGGER full_disk BEFORE INSERT ON aliases EXECUTE FUNCTION full_disk()", name)
    with pytest.raises(StoreError, match=r"the disk of .* is full. nothing was written"):
        state.move_aliases([{"name": "champion", "target": "m"}], {"decision": "promote"}, expected={})
    assert (state.aliases(), state.ledger("promotions"), len(state.feedback())) == ({}, [], 1)
    state.close()
    frozen.close()


@pytest.mark.postgres
def test_a_lock_of_somebody_else_is_waited_for_and_then_told(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sql, "SESSION", "SET lock_timeout = '1s'")
    url, _ = url_of(postgres)
    state, other = State(url), State(url)
    state.feedback()
    gate = threading.Event()

    def hold(session: _sql.Session) -> None:
        other._insert(session, "feedback", [{"sample": "theirs"}])
        gate.wait(20)

    holder = threading.Thread(target=other._database.run, args=(hold,))
    holder.start()
    try:
        time.sleep(0.3)
        assert state.feedback() == []  # readers wait for nobody
        with pytest.raises(StoreError, match=r"somebody has held .* locked"):
            state.add_feedback([{"sample": "mine"}])
    finally:
        gate.set()
        holder.join()
    state.add_feedback([{"sample": "mine"}])
    assert [row["sample"] for row in state.feedback()] == ["theirs", "mine"]


@pytest.mark.postgres
def test_two_who_make_the_tables_at_once_make_them_once(postgres: Postgres) -> None:
    url, _ = url_of(postgres)
    troubles: list[Exception] = []

    def first() -> None:
        try:
            own = State(url)
            own.begin("x")
            own.close()
        except Exception as error:  # noqa: BLE001
            troubles.append(error)

    threads = [threading.Thread(target=first) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    assert len(State(url).intents()) == 6


@pytest.mark.postgres
def test_the_database_tells_the_time(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import UTC, datetime, timedelta

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(days=400)

    monkeypatch.setattr(_sql, "datetime", Ahead)
    state = State(url_of(postgres)[0])
    state.add_feedback([{"sample": "a"}])
    found = datetime.fromisoformat(state.feedback()[0]["at"])
    assert abs(found - datetime.now(UTC)) < timedelta(minutes=5)


def test_who_was_refused_may_try_again(state: State) -> None:
    state.set_alias("champion", "a")
    with pytest.raises(ConflictError):
        state.move_aliases([], {"decision": "promote"}, expected={"champion": "b"})
    state.move_aliases([], {"decision": "promote"}, expected={"champion": "a"})
    assert len(state.ledger("promotions")) == 1
