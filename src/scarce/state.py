"""What people said and what was decided, in SQL: annotations, review queue, feedback, ledger, test looks, aliases.

SQLite by default, PostgreSQL by URL (see :mod:`scarce._sql`). The data itself is not here but in :mod:`scarce.store`.
Nothing here is ever deleted by scarce; rows are only added, except that annotations, the queue, rounds and intents
change their state.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scarce._sql import Database, Session, shown
from scarce._state_layout import FORMAT, LAYOUT, MIGRATIONS, tables
from scarce.errors import ConflictError, DataError, StoreError, unknown_name
from scarce.lineage import canonical_json

if TYPE_CHECKING:
    from sqlalchemy import Engine, MetaData, Select

Row = dict[str, Any]
OWNER = "project"
"""Name of the row of ``meta`` that says whose state it is."""
MANY = 500
"""Names asked for at once."""
BESIDE = PROMOTIONS, DRIFT, DRAWS = "promotions", "drift", "draws"
"""Runs of the ledger that judged no data: which model became champion, looks for drift, and what people were asked."""


@dataclass(frozen=True)
class State:
    """The SQL side of one project.

    Args:
        url: an SQLAlchemy URL, or the path of an SQLite file.
    """

    url: str

    def close(self) -> None:
        """Let the connections go."""
        self._database.close()

    @property
    def engine(self) -> Engine:
        """The connected engine; tables are made and migrated on the first use.

        Raises:
            StoreError: the database cannot be reached, or has a later format.
        """
        return self._database.engine

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

    def open_round(self, body: Mapping[str, Any], version: str | None = None) -> int:
        """Begin a round with what is known about it; return its number among those of its kind, counted from 1."""
        kind = body.get("kind", "label")

        def begin(session: Session) -> int:
            self._insert(session, "rounds", [{"status": "open", "version": version, "body": dict(body)}])
            return sum(row["body"].get("kind", "label") == kind for row in self._select(session, "rounds"))

        return self._database.run(begin)

    def update_round(self, number: int, body: Mapping[str, Any], *, status: str, version: str | None = None) -> None:
        """Write what became of a round."""
        key = self.rounds(body.get("kind", "label"))[number - 1]["number"]
        self._update("rounds", "number", [key], {"status": status, "version": version, "body": dict(body)})

    def rounds(self, kind: str = "label") -> list[Row]:
        """Return all rounds, oldest first: those of labelling, or of another ``kind`` that their body names."""
        return [row for row in self._rows("rounds") if row["body"].get("kind", "label") == kind]

    def add_feedback(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Keep what came back from where a model is used; ``sample`` is needed."""
        return self._add("feedback", rows)

    def add_new_feedback(self, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Keep what nobody has said yet and return it; ``sample``, ``request``, ``voter`` and ``label`` are needed.

        A row is left out where the same person's last word on the same request is the same label, also where two
        processes say it at once.
        """

        def add(session: Session) -> list[Row]:
            asked = sorted({row["request"] for row in rows})
            known: dict[tuple[Any, Any], Any] = {}
            for start in range(0, len(asked), MANY):
                found = self._select(session, "feedback", _about(asked[start : start + MANY]))
                known |= {(row["request"], row["voter"]): row["label"] for row in found}
            fresh = []
            for row in rows:
                key = (row["request"], row["voter"])
                if known.get(key) != row["label"]:
                    known[key] = row["label"]
                    fresh.append(dict(row))
            self._insert(session, "feedback", fresh)
            return fresh

        return self._database.run(add)

    def feedback(self, *, after: int = 0, requests: Sequence[str] | None = None) -> list[Row]:
        """Return feedback, oldest first; ``after`` leaves out rows up to that number, ``requests`` all others."""
        if requests is not None:
            return self._rows("feedback", lambda table: (table.c.number > after) & table.c.request.in_(list(requests)))
        return self._rows("feedback", lambda table: table.c.number > after)

    def log_predictions(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Keep what a served model answered; ``request``, ``sample``, ``model``, ``served_as``, ``body`` are needed."""
        return self._add("predictions", rows)

    def predictions(
        self, *, since: str | None = None, requests: Sequence[str] | None = None, samples: Sequence[str] | None = None
    ) -> list[Row]:
        """Return logged predictions, oldest first.

        Args:
            since: a time (UTC, ISO 8601); only later ones.
            requests: only these.
            samples: only these content hashes.
        """

        def wanted(table: Any) -> Any:
            import sqlalchemy as sql

            parts = [table.c.at > since] if since is not None else []
            parts += [table.c.request.in_(list(requests))] if requests is not None else []
            parts += [table.c.sample.in_(list(samples))] if samples is not None else []
            return sql.and_(sql.true(), *parts)

        return self._rows("predictions", wanted)

    def add_ledger_rows(self, rows: Iterable[Mapping[str, Any]], *, run: str | None = None) -> int:
        """Keep the rows of one ledger as they are; ``decision`` is needed. Without a name the run gets a new one."""
        run = run or uuid.uuid4().hex
        return self._add("ledger", [_ledger_row(row, run) for row in rows])

    def ledger(self, run: str | None = None) -> list[Row]:
        """Return the rows of one run as they were added.

        Args:
            run: its name; ``"*"`` = of all runs, ``"promotions"`` = which model became champion and why, ``"drift"`` =
                looks for drift, ``"draws"`` = which production samples were asked about; by default the latest run
                that judged data.
        """
        rows = self._rows("ledger")
        run = run or next((row["run"] for row in reversed(rows) if row["run"] not in BESIDE), None)
        return [{**row["body"], "run": row["run"], "at": row["at"]} for row in rows if run in ("*", row["run"])]

    def count_test_look(self, *, version: str, why: str = "", metric: str | None = None, run: str | None = None) -> int:
        """Note one look at the test set and return how many there were, this one included."""
        self._add("test_looks", [{"version": version, "why": why, "metric": metric, "run": run}])
        return self.test_looks()

    def test_looks(self) -> int:
        """Return how often the test set was looked at."""
        return len(self._rows("test_looks"))

    def set_alias(self, name: str, target: str | None, *, why: str = "", version: str | None = None) -> None:
        """Let a name (``champion``) mean a model; None takes it back. Earlier meanings are kept."""
        self._add("aliases", [{"name": name.removeprefix("@"), "target": target, "why": why, "version": version}])

    def move_aliases(
        self, meanings: Sequence[Mapping[str, Any]], row: Mapping[str, Any], *, expected: Mapping[str, str | None]
    ) -> None:
        """Let names mean other models and write the ledger row that says why, both or neither.

        Args:
            meanings: ``name``, ``target`` (None = nothing), ``why`` and ``version`` of each.
            row: of the ledger; ``decision`` is needed. Without meanings it alone is written.
            expected: name to the model that it must still mean; what the decision was made against.

        Raises:
            ConflictError: somebody else moved one of them meanwhile; nothing was written.
        """
        import sqlalchemy as sql

        aliases = self._tables.tables["aliases"]

        def move(session: Session) -> None:
            found = session.connection.execute(sql.select(aliases).order_by(aliases.c.number))
            now = {meaning.name: meaning.target for meaning in found}
            for name, target in expected.items():
                if now.get(name) != target:
                    raise ConflictError("state", f"@{name} is {now.get(name) or 'no model'} by now",
                                        f"this decision was made when it was {target or 'no model'}",
                                        "look at both again, then do it again")  # fmt: skip
            self._insert(session, "aliases", meanings)
            self._insert(session, "ledger", [_ledger_row(row, PROMOTIONS)])

        self._database.run(move)

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
        """Write every row of one moment as one line of JSON; return how many."""
        path = Path(path)
        part = path.with_name(path.name + ".part")
        rows = self._database.run(
            lambda session: [(table, row) for table in LAYOUT for row in self._select(session, table)], reads=True
        )
        with part.open("w", encoding="utf-8") as file:
            for table, row in rows:
                file.write(canonical_json({"table": table, **row}) + "\n")
        part.replace(path)
        return len(rows)

    def bring_back(self, path: str | Path) -> int:
        """Read a backup into an empty state, all of it or nothing; return how many rows.

        Raises:
            DataError: there is something in it already, or the file is no backup.
        """
        if any(self._rows(table) for table in LAYOUT if table != "meta"):
            raise DataError("state", "this state is not empty", do="bring a backup back into a new project")
        found: dict[str, list[Row]] = {}
        for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
            try:
                row = json.loads(line)
                found.setdefault(row.pop("table"), []).append(row)
            except (ValueError, KeyError, AttributeError) as error:
                raise DataError("state", f"line {number} of {path} is no row of a backup") from error
        for table in found:
            if table not in LAYOUT:
                raise unknown_name("state", "table", table, LAYOUT)
        found.pop("meta", None)
        plain = {table: [{key: row[key] for key in row if key != "number"} for row in found[table]] for table in found}
        return self._database.run(
            lambda session: sum(self._insert(session, table, plain[table]) for table in LAYOUT if table in plain)
        )

    def claim(self, owner: str) -> bool:
        """Say whose state this is; return whether it was nobody's before.

        Raises:
            StoreError: it is somebody else's.
        """
        import sqlalchemy as sql

        meta = self._tables.tables["meta"]
        asked = sql.select(meta.c.value).where(meta.c.name == OWNER)

        def write(session: Session) -> str | None:
            found = session.connection.execute(asked).scalar()
            if found is None:
                session.connection.execute(meta.insert(), {"name": OWNER, "value": owner, "at": session.now})
            return found

        found = next((row[0] for row in self.select(asked)), None) or self._database.run(write)
        if found not in (None, owner):
            raise StoreError("state", f"{shown(self.url)} holds the state of another project",
                             do="give each project a database of its own")  # fmt: skip
        return found is None

    @cached_property
    def _tables(self) -> MetaData:
        return tables()

    @cached_property
    def _database(self) -> Database:
        return Database(self.url, self._prepare)

    def select(self, asked: Select[Any]) -> list[tuple[Any, ...]]:
        """Return what a question in SQL finds, as counts of rows that are too many to be read; nothing is changed."""
        return self._database.run(lambda one: [tuple(row) for row in one.connection.execute(asked)], reads=True)

    def _add(self, table: str, rows: Iterable[Mapping[str, Any]]) -> int:
        given = list(rows)
        return self._database.run(lambda session: self._insert(session, table, given))

    def _insert(self, session: Session, table: str, rows: Iterable[Mapping[str, Any]]) -> int:
        known = set(self._tables.tables[table].columns.keys())
        values = [{"at": session.now, **row} for row in rows]
        for row in values:
            for name in row:
                if name not in known:
                    raise unknown_name("state", f"column of {table}", name, known)
        for _, alike in groupby(values, key=tuple):
            session.connection.execute(self._tables.tables[table].insert(), list(alike))
        return len(values)

    def _rows(self, table: str, wanted: Callable[[Any], Any] | None = None) -> list[Row]:
        return self._database.run(lambda session: self._select(session, table, wanted), reads=True)

    def _select(self, session: Session, table: str, wanted: Callable[[Any], Any] | None = None) -> list[Row]:
        import sqlalchemy as sql

        chosen = self._tables.tables[table]
        asked = sql.select(chosen).order_by(chosen.c.number)
        found = session.connection.execute(asked if wanted is None else asked.where(wanted(chosen)))
        return [dict(row) for row in found.mappings()]

    def _update(self, table: str, key: str, keys: Sequence[Any], values: Row) -> None:
        chosen = self._tables.tables[table]

        def change(session: Session) -> None:
            done = sum(
                session.connection.execute(chosen.update().where(chosen.c[key] == item).values(**values)).rowcount
                for item in keys
            )
            if done != len(keys):
                raise unknown_name("state", f"row of {table}", keys[0], [])

        self._database.run(change)

    def _prepare(self, session: Session) -> None:
        """Make the tables, or bring those of an earlier format up to date, in one transaction."""
        import sqlalchemy as sql

        connection = session.connection
        meta = self._tables.tables["meta"]
        fresh = not sql.inspect(connection).has_table("meta")
        version = FORMAT
        if not fresh:
            found = connection.execute(sql.select(meta.c.value).where(meta.c.name == "format")).scalar()
            version = int(found or 1)
        if version > FORMAT:
            raise StoreError("state", f"{shown(self.url)} has format {version}", f"this scarce reads up to {FORMAT}",
                             "upgrade scarce")  # fmt: skip
        for step in MIGRATIONS[version - 1 : FORMAT - 1]:
            step(connection)
        self._tables.create_all(connection)
        if fresh:
            connection.execute(meta.insert(), {"name": "format", "value": str(FORMAT), "at": session.now})
        elif version < FORMAT:
            changed = meta.update().where(meta.c.name == "format")
            connection.execute(changed.values(value=str(FORMAT), at=session.now))


def _about(requests: Sequence[str]) -> Callable[[Any], Any]:
    """Return the condition that a row is about one of the requests."""
    return lambda table: table.c.request.in_(requests)


def _ledger_row(row: Mapping[str, Any], run: str) -> Row:
    names = ("verdict", "kept", "gain", "version_before", "version_after")
    return {"run": run, "decision": row["decision"], "body": dict(row), "verdict": "not applicable", "kept": False,
            **{name: row[name] for name in names if row.get(name) is not None}}  # fmt: skip
