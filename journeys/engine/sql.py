"""Rows in and out of PostgreSQL by the hundred: one statement, one array a column."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.backends.utils import CursorWrapper
from psycopg import Cursor
from psycopg.pq import Format


def _cursor() -> CursorWrapper:
    """Django's cursor around one of psycopg that binds on the server and reads binary rows: reading PostgreSQL's text
    of an instant takes ten times as long."""
    connection.ensure_connection()
    cursor: Any = Cursor(connection.connection)
    cursor.format = Format.BINARY
    return connection.make_debug_cursor(cursor) if connection.queries_logged else connection.make_cursor(cursor)


@contextmanager
def pipelined() -> Iterator[None]:
    """Let statements be sent without waiting for the answers of those before: PostgreSQL works on one while the next
    is composed. What they raise comes at the end at the latest; what they return is known then."""
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield


def query(statement: str, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of a statement. Select JSON as text: who needs it parses it."""
    with _cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def execute(statement: str, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> int:
    """Run a statement; the number of rows it touched."""
    with _cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)


@dataclass(frozen=True, slots=True)
class Inserted:
    """What an INSERT did. Within `pipelined` it is known when that ends."""

    cursor: CursorWrapper | None

    @property
    def count(self) -> int:
        return int(self.cursor.rowcount) if self.cursor is not None else 0

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """What RETURNING gave."""
        return list(self.cursor.fetchall()) if self.cursor is not None else []


def insert(table: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]], suffix: str = "") -> Inserted:
    """INSERT by `unnest`; `columns` maps names to PostgreSQL types. `suffix` may be an ON CONFLICT and a RETURNING."""
    arrays = transpose(columns, rows)
    if not arrays:
        return Inserted(None)
    cursor = _cursor()
    cursor.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM {unnest(columns)} {suffix}", arrays)
    return Inserted(cursor)


def update(table: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]], where: str = "") -> int:
    """UPDATE by `unnest`, matched on the first column, whose values must differ. The number of rows touched."""
    arrays = transpose(columns, rows)
    if not arrays:
        return 0
    key, *others = columns
    assignments = ", ".join(f"{name} = new.{name}" for name in others)
    return execute(
        f"UPDATE {table} SET {assignments} FROM {unnest(columns)} AS new ({', '.join(columns)}) "
        f"WHERE {table}.{key} = new.{key} {where}",
        arrays,
    )


def unnest(columns: Mapping[str, str]) -> str:
    """`unnest(%s::type[], …)` for those columns."""
    return f"unnest({', '.join(f'%s::{kind}[]' for kind in columns.values())})"


def transpose(columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Rows as one array literal a column; empty where there is no row."""
    arrays = list(zip(*rows, strict=True))
    return [_literal(kind, array) for array, kind in zip(arrays, columns.values(), strict=bool(arrays))]


def uuids(values: Iterable[UUID]) -> str:
    """A `uuid[]`, for `= ANY(%s)`."""
    return _literal("uuid", tuple(values))


def _literal(kind: str, values: Sequence[Any]) -> str:
    """PostgreSQL's text for an array. psycopg's own costs more than the rest of writing a row: it quotes by regex."""
    to_text = _TEXT.get(kind, str)
    if len(set(map(id, values))) == 1:  # As most columns of a batch are: one moment, one status, one journey.
        text = "NULL" if values[0] is None else to_text(values[0])
        return "{" + ",".join([text] * len(values)) + "}"
    return "{" + ",".join(["NULL" if value is None else to_text(value) for value in values]) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_TEXT: dict[str, Callable[[Any], str]] = {
    "uuid": lambda value: f"{value.int:032x}",
    "text": _quoted,
    "jsonb": lambda value: _quoted(json.dumps(value)),
    "timestamptz": datetime.isoformat,
}
"""How a value of that type is written; the others are as `str` has them."""
