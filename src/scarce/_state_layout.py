"""The tables of the SQL state, and how those of an earlier format are brought up to date."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from scarce.lineage import canonical_json

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData

FORMAT = 2
LAYOUT: Final[Mapping[str, str]] = {
    "annotations": "sample:str voter:str kind:str label:str? prob:float? seconds:float? note:str? version:str? "
    "frozen:str?",
    "review_queue": "sample:str reason:str priority:float status:str assigned:str? version:str?",
    "feedback": "sample:str model:str? predicted:str? label:str? note:str? request:str? kind:str? worth:str? "
    "voter:str? source:str? probability:float? inclusion:float?",
    "predictions": "request:str! sample:str model:str version:str? served_as:str label:str? probability:float? "
    "verdict:str? unknown_score:float? seconds:float? source:str? inclusion:float? body:json",
    "ledger": "run:str decision:str verdict:str kept:bool gain:float? version_before:str? version_after:str? body:json",
    "test_looks": "version:str why:str metric:str? run:str?",
    "aliases": "name:str target:str? why:str? version:str?",
    "intents": "token:str! what:str status:str version:str?",
    "rounds": "status:str version:str? body:json",
    "meta": "name:str! value:str",
}
"""Table to its columns; ``?`` may be empty, ``!`` never repeats. Each has ``number`` (key) and ``at`` (UTC) as well."""
SOUGHT: Final = {"feedback": ("request", "sample"), "predictions": ("sample", "at")}
"""Columns that rows are looked up by."""


def _production(connection: Connection) -> None:
    """Feedback says where it came from and what it is worth; an alias, which data it stood on."""
    import sqlalchemy as sql

    for table, layout in (
        ("feedback", "request kind worth voter source probability:float inclusion:float"),
        ("aliases", "version"),
    ):
        if not sql.inspect(connection).has_table(table):
            continue
        there = {column["name"] for column in sql.inspect(connection).get_columns(table)}
        for item in layout.split():
            name, _, kind = item.partition(":")
            if name not in there:
                column = {"": "VARCHAR", "float": "FLOAT"}[kind]
                connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {name} {column}")
        for name in SOUGHT.get(table, ()):
            connection.exec_driver_sql(f"CREATE INDEX {table}_by_{name} ON {table} ({name})")
    if connection.dialect.name == "postgresql":
        _as_text(connection)


def _as_text(connection: Connection) -> None:
    """Turn columns of PostgreSQL's type json, which refuses numbers that are not finite, into text."""
    import sqlalchemy as sql

    for table in (table for table in LAYOUT if sql.inspect(connection).has_table(table)):
        found = sql.inspect(connection).get_columns(table)
        for name in (column["name"] for column in found if isinstance(column["type"], sql.JSON)):
            connection.exec_driver_sql(f"ALTER TABLE {table} ALTER COLUMN {name} TYPE TEXT")


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_production,)
"""Entry k turns format k + 1 into format k + 2, inside one transaction."""


def tables() -> MetaData:
    """Return every table as SQLAlchemy sees it."""
    import sqlalchemy as sql

    kinds = {"str": sql.String, "float": sql.Float, "bool": sql.Boolean, "json": _json()}
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
        indexes = [sql.Index(f"{table}_by_{name}", name) for name in SOUGHT.get(table, ())]
        sql.Table(table, meta, *found, *indexes)  # type: ignore[call-overload]
    return meta


def _json() -> Any:
    """Return the type of plain values, kept as text: what comes back is what was given, on every database."""
    from sqlalchemy import Text, TypeDecorator

    class Json(TypeDecorator[Any]):
        impl = Text
        cache_ok = True

        def process_bind_param(self, value: Any, dialect: Any) -> str:  # noqa: ARG002
            return canonical_json(value)

        def process_result_value(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002
            return None if value is None else json.loads(value)

    return Json
