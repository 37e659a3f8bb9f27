"""What people said and what was decided, in SQL: annotations, review queue, feedback, ledger, test looks, aliases.

SQLite by default, PostgreSQL by URL. The data itself is not here but in :mod:`scarce.store`. Nothing here is ever
deleted by scarce; rows are only added, except that annotations, the queue and intents change their state.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scarce.errors import DataError, ScarceError, StoreError, unknown_name
from scarce.lineage import canonical_json

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, MetaData

Row = dict[str, Any]
FORMAT = 1
BUSY_SECONDS = 30
SPARE_BYTES = 1 << 17
LAYOUT: Mapping[str, str] = {
    "annotations": "sample:str voter:str kind:str label:str? prob:float? seconds:float? note:str? version:str? "
    "frozen:str?",
    "review_queue": "sample:str reason:str priority:float status:str assigned:str? version:str?",
    "feedback": "sample:str model:str? predicted:str? label:str? note:str?",
    "ledger": "run:str decision:str verdict:str kept:bool gain:float? version_before:str? version_after:str? body:json",
    "test_looks": "version:str why:str metric:str? run:str?",
    "aliases": "name:str target:str? why:str?",
    "intents": "token:str! what:str status:str version:str?",
    "meta": "name:str! value:str",
}
"""Table to its columns; ``?`` may be empty, ``!`` never repeats. Each has ``number`` (key) and ``at`` (UTC) as well."""


MIGRATIONS: tuple[Callable[[Connection], None], ...] = ()
"""Entry k turns format k + 1 into format k + 2, inside one transaction."""


@dataclass(frozen=True)
class State:
    """The SQL side of one project.

    Args:
        url: an SQLAlchemy URL, or the path of an SQLite file.
    """

    url: str

    def close(self) -> None:
        """Let the connections go."""
        if "engine" in self.__dict__:
            self.engine.dispose()
            del self.__dict__["engine"]

    @cached_property
    def engine(self) -> Engine:
        """The connected engine; tables are made and migrated on the first use.

        Raises:
            StoreError: the database cannot be reached, or has a later format.
        """
        import sqlalchemy as sql

        try:
            engine = sql.create_engine(_url(self.url), json_serializer=canonical_json)
            if engine.dialect.name == "sqlite":
                sql.event.listen(engine, "connect", _prepare_sqlite)
                sql.event.listen(engine, "begin", _begin_sqlite)
            with engine.begin() as connection:
                self._prepare(connection)
        except sql.exc.SQLAlchemyError as error:
            path = Path(self.url)
            if "://" in self.url or not path.is_file() or not _only_readable(path, error):
                raise _trouble(self.url, error) from error
            return sql.create_engine(f"sqlite:///file:{quote(str(path.absolute()))}?immutable=1&uri=true")
        except ModuleNotFoundError as error:
            raise StoreError("state", f"the driver for {self.url.partition(':')[0]} is missing",
                             do=f"pip install {error.name}") from error  # fmt: skip
        return engine

    def annotate(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Keep what people (or rules) said; return how many rows.

        Args:
            rows: ``sample`` and ``voter`` are needed; ``kind``, ``label`` (None = abstain), ``prob``, ``seconds``,
                ``note``, ``version`` (what they saw).
        """
        return self._add("annotations", [{"kind": "human", **row} for row in rows])

    def annotations(self, *, frozen: bool | None = None) -> list[Row]:
        """Return annotations, oldest first; ``frozen`` chooses those that are (not yet) part of a version."""
        rows = self._rows("annotations")
        return rows if frozen is None else [row for row in rows if (row["frozen"] is not None) == frozen]

    def freeze_annotations(self, numbers: Sequence[int], version: str) -> None:
        """Note that annotations became part of a version."""
        self._update("annotations", "number", numbers, {"frozen": version})

    def ask(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Put samples into the review queue; ``sample``, ``reason`` and ``priority`` (1 = first) are needed."""
        return self._add("review_queue", [{"status": "open", **row} for row in rows])

    def queue(self, status: str = "open") -> list[Row]:
        """Return the queue, most urgent first."""
        rows = [row for row in self._rows("review_queue") if row["status"] == status]
        return sorted(rows, key=lambda row: (-row["priority"], row["number"]))

    def settle(self, numbers: Sequence[int], status: str = "done") -> None:
        """Change the state of entries of the queue."""
        self._update("review_queue", "number", numbers, {"status": status})

    def add_feedback(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Keep what came back from where a model is used; ``sample`` is needed."""
        return self._add("feedback", rows)

    def feedback(self) -> list[Row]:
        """Return all feedback, oldest first."""
        return self._rows("feedback")

    def add_ledger_rows(self, rows: Iterable[Mapping[str, Any]], *, run: str | None = None) -> int:
        """Keep the rows of one ledger as they are; ``decision`` is needed. Without a name the run gets a new one."""
        run = run or uuid.uuid4().hex
        names = ("verdict", "kept", "gain", "version_before", "version_after")
        return self._add("ledger", [
            {"run": run, "decision": row["decision"], "body": dict(row), "verdict": "not applicable", "kept": False,
             **{name: row[name] for name in names if row.get(name) is not None}}
            for row in rows
        ])  # fmt: skip

    def ledger(self, run: str | None = None) -> list[Row]:
        """Return the rows of one run (the latest by default) as they were added; ``"*"`` = of all runs."""
        rows = self._rows("ledger")
        run = run or (rows[-1]["run"] if rows else None)
        return [{**row["body"], "run": row["run"], "at": row["at"]} for row in rows if run in ("*", row["run"])]

    def count_test_look(self, *, version: str, why: str = "", metric: str | None = None, run: str | None = None) -> int:
        """Note one look at the test set and return how many there were, this one included."""
        self._add("test_looks", [{"version": version, "why": why, "metric": metric, "run": run}])
        return self.test_looks()

    def test_looks(self) -> int:
        """Return how often the test set was looked at."""
        return len(self._rows("test_looks"))

    def set_alias(self, name: str, target: str | None, *, why: str = "") -> None:
        """Let a name (``champion``) mean a model; None takes it back. Earlier meanings are kept."""
        self._add("aliases", [{"name": name.removeprefix("@"), "target": target, "why": why}])

    def aliases(self) -> dict[str, str]:
        """Return every alias with what it means now."""
        latest = {row["name"]: row["target"] for row in self._rows("aliases")}
        return {name: target for name, target in latest.items() if target is not None}

    def alias_history(self, name: str) -> list[Row]:
        """Return all meanings of an alias, oldest first."""
        return [row for row in self._rows("aliases") if row["name"] == name.removeprefix("@")]

    def begin(self, what: str) -> str:
        """Note an intent that a store commit will carry; return its token."""
        token = uuid.uuid4().hex
        self._add("intents", [{"token": token, "what": what, "status": "open"}])
        return token

    def finish(self, token: str, version: str | None) -> None:
        """Note that an intent was carried out (its version) or rolled back (None)."""
        self._update("intents", "token", [token], {"status": "done" if version else "rolled back", "version": version})

    def intents(self, status: str | None = None) -> list[Row]:
        """Return intents, oldest first."""
        return [row for row in self._rows("intents") if status in (None, row["status"])]

    def backup(self, path: str | Path) -> int:
        """Write every row as one line of JSON; return how many."""
        path = Path(path)
        part = path.with_name(path.name + ".part")
        count = 0
        with part.open("w", encoding="utf-8") as file:
            for table in LAYOUT:
                for row in self._rows(table):
                    file.write(canonical_json({"table": table, **row}) + "\n")
                    count += 1
        part.replace(path)
        return count

    def bring_back(self, path: str | Path) -> int:
        """Read a backup into an empty state; return how many rows.

        Raises:
            DataError: there is something in it already, or the file is no backup.
        """
        if any(self._rows(table) for table in LAYOUT if table != "meta"):
            raise DataError("state", "this state is not empty", do="bring a backup back into a new project")
        rows: dict[str, list[Row]] = {}
        for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
            try:
                row = json.loads(line)
                rows.setdefault(row.pop("table"), []).append(row)
            except (ValueError, KeyError, AttributeError) as error:
                raise DataError("state", f"line {number} of {path} is no row of a backup") from error
        for table in rows:
            if table not in LAYOUT:
                raise unknown_name("state", "table", table, LAYOUT)
        return sum(
            self._add(table, [{key: row[key] for key in row if key != "number"} for row in found])
            for table, found in rows.items()
            if table != "meta"
        )

    @cached_property
    def _tables(self) -> MetaData:
        return _tables()

    def _add(self, table: str, rows: Iterable[Mapping[str, Any]]) -> int:
        known = set(self._tables.tables[table].columns.keys())
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        values = [{"at": now, **row} for row in rows]
        for row in values:
            for name in row:
                if name not in known:
                    raise unknown_name("state", f"column of {table}", name, known)
        with self._transaction() as connection:
            for _, alike in groupby(values, key=tuple):
                connection.execute(self._tables.tables[table].insert(), list(alike))
        return len(values)

    def _rows(self, table: str) -> list[Row]:
        import sqlalchemy as sql

        chosen = self._tables.tables[table]
        with self._transaction() as connection:
            return [dict(row) for row in connection.execute(sql.select(chosen).order_by(chosen.c.number)).mappings()]

    def _update(self, table: str, key: str, keys: Sequence[Any], values: Row) -> None:
        chosen = self._tables.tables[table]
        with self._transaction() as connection:
            done = sum(
                connection.execute(chosen.update().where(chosen.c[key] == item).values(**values)).rowcount
                for item in keys
            )
            if done != len(keys):
                raise unknown_name("state", f"row of {table}", keys[0], [])

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        import sqlalchemy as sql

        try:
            with self.engine.begin() as connection:
                yield connection
        except sql.exc.SQLAlchemyError as error:
            raise _trouble(self.url, error) from error

    def _prepare(self, connection: Connection) -> None:
        """Make the tables, or bring those of an earlier format up to date, in one transaction."""
        import sqlalchemy as sql

        meta = self._tables.tables["meta"]
        fresh = not sql.inspect(connection).has_table("meta")
        version = FORMAT
        if not fresh:
            found = connection.execute(sql.select(meta.c.value).where(meta.c.name == "format")).scalar()
            version = int(found or 1)
        if version > FORMAT:
            raise StoreError("state", f"{_shown(self.url)} has format {version}", f"this scarce reads up to {FORMAT}",
                             "upgrade scarce")  # fmt: skip
        for step in MIGRATIONS[version - 1 : FORMAT - 1]:
            step(connection)
        self._tables.create_all(connection)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        if fresh:
            connection.execute(meta.insert(), {"name": "format", "value": str(FORMAT), "at": now})
        elif version < FORMAT:
            connection.execute(meta.update().where(meta.c.name == "format").values(value=str(FORMAT), at=now))


def _tables() -> MetaData:
    import sqlalchemy as sql

    kinds = {"str": sql.String, "float": sql.Float, "bool": sql.Boolean, "json": sql.JSON}
    meta = sql.MetaData()
    for table, layout in LAYOUT.items():
        found = [
            sql.Column("number", sql.Integer, primary_key=True, autoincrement=True),
            sql.Column("at", sql.String, nullable=False),
        ]
        for item in layout.split():
            name, kind = item.split(":")
            found.append(
                sql.Column(name, kinds[kind.rstrip("?!")], nullable=kind.endswith("?"), unique=kind.endswith("!"))
            )
        sql.Table(table, meta, *found)  # type: ignore[call-overload]
    return meta


def _url(url: str) -> str:
    return url if "://" in url else f"sqlite:///{url}"


def _only_readable(path: Path, error: Exception) -> bool:
    """Return whether a database fails because its disk is full or read-only, so that it can still be read."""
    text = str(error)
    return "readonly" in text or "unable to open" in text or _full(path.parent, text)


def _full(folder: Path, text: str) -> bool:
    vague = "I/O" in text or "readonly" in text
    return "full" in text or (vague and folder.is_dir() and shutil.disk_usage(folder).free < SPARE_BYTES)


def _shown(url: str) -> str:
    """Return a URL without its password."""
    import sqlalchemy as sql

    return sql.make_url(_url(url)).render_as_string(hide_password=True)


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions are ours: the driver would leave CREATE TABLE outside
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _trouble(url: str, error: Exception) -> ScarceError:
    text = str(getattr(error, "orig", None) or error).strip()
    if _full(Path(url).parent, text):
        return StoreError("state", f"the disk is full: {_shown(url)}", do="free some space and do it again")
    if "readonly" in text or "unable to open" in text:
        return StoreError(
            "state", f"{_shown(url)} cannot be written", do="check that the folder exists and its permissions"
        )
    return StoreError("state", f"{_shown(url)}: {text.splitlines()[0]}", do="see `scarce doctor`")
