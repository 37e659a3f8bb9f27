"""The database under the state: whole transactions, tried again where that is safe, and plain words for what fails.

One transaction writes at a time, on PostgreSQL too (an advisory lock): rows become visible in the order of their
numbers, and their time is told by one clock, that of the database.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from scarce.errors import ScarceError, StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

T = TypeVar("T")
WHO: Final = "state"
BUSY_SECONDS: Final = 30
"""So long a writer waits for another one."""
PATIENCE_SECONDS: Final = 5.0
"""So long a lost connection is looked for."""
REACH_SECONDS: Final = 10
FIRST_WAIT, LONGEST_WAIT = 0.05, 0.5
SPARE_BYTES: Final = 1 << 17
LOCK: Final = 0x5CA2CE
"""Key of the advisory lock that makes writers queue."""
SESSION: Final = (
    f"SET lock_timeout = '{BUSY_SECONDS}s'; SET idle_in_transaction_session_timeout = '60s'; "
    "SET tcp_keepalives_idle = 20; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; SET TimeZone = 'UTC'"
)
"""What holds a lock and dies, or loses its network, lets go within a minute."""
NOT_YET: Final = ("starting up", "shutting down", "in recovery mode", "not yet accepting connections")
URL_HELP: Final = "write postgresql+psycopg://user@host/database, or leave it empty for SQLite"
KEPT, UNDONE = "committed", "aborted"


@dataclass(frozen=True)
class Session:
    """One open transaction.

    Attributes:
        connection: that it runs on.
        now: the time that its rows get, UTC.
        name: by which PostgreSQL knows what became of it; "" elsewhere.
    """

    connection: Connection
    now: str
    name: str = ""


@dataclass
class _Attempt:
    """How far a transaction came: its name, whether its end was begun, and what it would return."""

    name: str = ""
    ending: bool = False
    result: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Database:
    """SQLite or PostgreSQL.

    Args:
        url: an SQLAlchemy URL, or the path of an SQLite file.
        prepare: makes and migrates the tables, in the first transaction.
    """

    url: str
    prepare: Callable[[Session], None]

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
            engine = _engine(self.url)
            self._first(engine)
        except sql.exc.SQLAlchemyError as error:
            path = Path(self.url)
            if "://" in self.url or not path.is_file() or not _only_readable(path, error):
                raise trouble(self.url, error) from error
            return sql.create_engine(f"sqlite:///file:{quote(str(path.absolute()))}?immutable=1&uri=true")
        except ImportError as error:
            raise StoreError(WHO, f"the driver for {self.url.partition(':')[0]} is missing ({error})",
                             do="pip install 'scarce[postgres]'") from error  # fmt: skip
        return engine

    def run(self, work: Callable[[Session], T], *, reads: bool = False) -> T:
        """Do work in one transaction and return what it returns; all of it is kept, or nothing.

        Where the connection is lost before the end nothing was kept, and the work is done again. Where it is lost while
        the end is being written, PostgreSQL is asked what became of it.

        Args:
            work: reads or writes; done again from its beginning if need be.
            reads: it only reads, and sees one moment of all tables.

        Raises:
            StoreError: the database failed, or could not be reached again; says whether anything was kept.
        """
        import sqlalchemy as sql

        engine = self.engine
        until, wait = 0.0, 0.0
        while True:
            attempt = _Attempt()
            try:
                return _once(engine, work, reads, attempt)
            except sql.exc.SQLAlchemyError as error:
                until = until or time.monotonic() + PATIENCE_SECONDS
                if not _lost(error):
                    if "://" not in self.url and _only_readable(Path(self.url), error):
                        self.close()  # opened anew by the next call: the disk may have room again
                    raise trouble(self.url, error) from error
                if attempt.ending and not reads and self._kept(engine, attempt.name, until, error):
                    return attempt.result[0]  # type: ignore[no-any-return]
                if time.monotonic() >= until:
                    raise trouble(self.url, error) from error
                time.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT) or FIRST_WAIT

    def _first(self, engine: Engine) -> None:
        """Prepare the tables; a server that is just starting is waited for."""
        import sqlalchemy as sql

        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return _once(engine, self.prepare, False, _Attempt(), sure=False)
            except sql.exc.OperationalError as error:
                if time.monotonic() >= until or not any(text in str(error) for text in NOT_YET):
                    raise
                time.sleep(LONGEST_WAIT)

    def _kept(self, engine: Engine, name: str, until: float, lost: Exception) -> bool:
        """Return what became of a transaction whose end was on its way when the connection was lost.

        Raises:
            StoreError: nobody can tell.
        """
        import sqlalchemy as sql

        while name and time.monotonic() < until:
            with suppress(sql.exc.SQLAlchemyError), engine.connect() as connection:
                fate = connection.execute(sql.text("SELECT txid_status(:name)"), {"name": int(name)}).scalar()
                if fate in {KEPT, UNDONE}:
                    return bool(fate == KEPT)
                if fate is None:
                    break
            time.sleep(FIRST_WAIT)
        raise StoreError(WHO, f"{shown(self.url)}: the connection was lost while a change was being committed",
                         "whether it was kept is not known", "look before you do it again") from lost  # fmt: skip


def shown(url: str) -> str:
    """Return a URL without its password."""
    import sqlalchemy as sql

    try:
        return sql.make_url(_url(url)).render_as_string(hide_password=True)
    except (sql.exc.ArgumentError, ValueError):
        scheme, _, rest = url.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"


def trouble(url: str, error: Exception) -> ScarceError:
    """Return what a database says as an error with all four parts."""
    text = (str(getattr(error, "orig", None) or error).strip() or type(error).__name__).splitlines()
    if url.startswith("postgres"):
        return _postgres_trouble(url, str(getattr(getattr(error, "orig", None), "sqlstate", "") or ""), text)
    line = text[0]
    if _full(Path(url).parent, line):
        return StoreError(WHO, f"the disk is full: {shown(url)}", do="free some space and do it again")
    if "readonly" in line or "unable to open" in line:
        return StoreError(WHO, f"{shown(url)} cannot be written", do="check that the folder exists and its permissions")
    if "locked" in line:
        return StoreError(WHO, f"another program has held {shown(url)} locked for {BUSY_SECONDS} seconds",
                          "nothing was written", "wait until it is done, or end it, and do it again")  # fmt: skip
    return StoreError(WHO, f"{shown(url)}: {line}", do="see `scarce doctor`")


_PLAIN: Final = (
    (("53100", "No space left"), "the disk of {url} is full", "free some space there and do it again"),
    (("25006",), "{url} is read only",
     "name the server that takes changes in state_url, or let the database take them"),
    (("55P03",), f"somebody has held {{url}} locked for {BUSY_SECONDS} seconds", "wait, or end it, and do it again"),
    (("53300", "too many clients", "too many connections"), "{url} has no connection left",
     "wait, or raise max_connections of the server"),
    (("28P01", "password authentication failed", "no password supplied"), "{url} refuses the password",
     "put the right one into ~/.pgpass or the variable PGPASSWORD"),
    (("42501", "permission denied", "no pg_hba.conf entry"), "{url} refuses this user",
     "grant it the right to connect, and to make and write tables"),
    (("3D000", "28000", "does not exist"), "{url} does not exist", "make it (createuser, createdb), or mend state_url"),
)  # fmt: skip
"""What PostgreSQL says (its code, or words where it sends none), what that means, and what to do."""


def _postgres_trouble(url: str, code: str, text: list[str]) -> ScarceError:
    """Translate what PostgreSQL says; nothing that it refused was kept."""
    said = " ".join(part.strip() for part in text)
    line = text[0].removesuffix(".")
    for marks, what, do in _PLAIN:
        if code in marks or (not code and any(mark in said for mark in marks)):
            return StoreError(WHO, what.format(url=shown(url)), f"nothing was written ({line})", do)
    if not code or code.startswith(("08", "57P")):
        return StoreError(WHO, f"{shown(url)} cannot be reached", f"nothing was written ({line})",
                          "check host and port in state_url, and that PostgreSQL runs; then do it again")  # fmt: skip
    return StoreError(WHO, f"{shown(url)}: {line}", do="see `scarce doctor`")


def _once(
    engine: Engine, work: Callable[[Session], T], reads: bool, attempt: _Attempt, *, sure: bool = True  # noqa: FBT001
) -> T:  # fmt: skip
    """Do work in one transaction; ``sure`` = its fate shall be told afterwards."""
    with engine.connect() as connection:
        if reads:
            connection = _reading(connection)
        with connection.begin():
            session = _session(connection, reads=reads, named=sure)
            attempt.name = session.name
            found = work(session)
            attempt.result.append(found)
            attempt.ending = True
    return found


def _reading(connection: Connection) -> Connection:
    if connection.dialect.name == "postgresql":
        return connection.execution_options(isolation_level="REPEATABLE READ")
    return connection.execution_options(reads=True)


def _session(connection: Connection, *, reads: bool, named: bool) -> Session:
    """Begin: a writer waits for the one before it, and PostgreSQL tells the time."""
    now = datetime.now(UTC)
    if reads or connection.dialect.name != "postgresql":
        return Session(connection, _text(now))
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
    if not named:
        return Session(connection, _text(connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()))
    now, name = connection.exec_driver_sql("SELECT clock_timestamp(), txid_current()").one()
    return Session(connection, _text(now), str(name))


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def _lost(error: Exception) -> bool:
    """Return whether the connection is gone, or could not be made, for a reason that may pass."""
    import sqlalchemy as sql

    if not isinstance(error, sql.exc.DBAPIError) or "sqlite" in type(error.orig).__module__:
        return False
    code = str(getattr(error.orig, "sqlstate", "") or "")
    if error.connection_invalidated or code.startswith(("08", "57P")):
        return True
    refused = any(mark in str(error) for marks, _, _ in _PLAIN for mark in marks)
    return isinstance(error, sql.exc.OperationalError) and not code and not refused


def _url(url: str) -> str:
    return url if "://" in url else f"sqlite:///{url}"


def _engine(url: str) -> Engine:
    import sqlalchemy as sql

    try:
        parsed = sql.make_url(_url(url))
    except ValueError as error:  # its port is no number
        raise StoreError(WHO, f"{shown(url)} is no URL ({error})", do=URL_HELP) from error
    kind = parsed.get_backend_name()
    if kind not in {"sqlite", "postgresql"}:
        raise StoreError(WHO, f"{kind!r} is no database that is known here", f"state_url = {shown(url)}",
                         URL_HELP)  # fmt: skip
    if kind == "postgresql":
        reach = {} if "connect_timeout" in parsed.query else {"connect_timeout": REACH_SECONDS}
        engine = sql.create_engine(parsed, connect_args=reach)
        sql.event.listen(engine, "connect", _prepare_postgres)
    else:
        engine = sql.create_engine(parsed)
        sql.event.listen(engine, "connect", _prepare_sqlite)
        sql.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_postgres(connection: Any, _: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(SESSION)
    connection.commit()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("reads") else "BEGIN IMMEDIATE")


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions are ours: the driver would leave CREATE TABLE outside
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _only_readable(path: Path, error: Exception) -> bool:
    """Return whether a database fails because its disk is full or read-only, so that it can still be read."""
    text = str(error)
    return "readonly" in text or "unable to open" in text or _full(path.parent, text)


def _full(folder: Path, text: str) -> bool:
    vague = "I/O" in text or "readonly" in text
    return "full" in text or (vague and folder.is_dir() and shutil.disk_usage(folder).free < SPARE_BYTES)
