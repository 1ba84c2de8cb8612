"""Rows in and out of PostgreSQL by the hundred: one statement, one array a column."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection


def query(statement: str, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of a statement."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def execute(statement: str, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> int:
    """Run a statement; the number of rows it touched."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)


def insert(
    table: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]], suffix: str = ""
) -> list[tuple[Any, ...]]:
    """INSERT by `unnest`; `columns` maps names to PostgreSQL types. With RETURNING in `suffix`, the rows it gives."""
    arrays = transpose(columns, rows)
    if not arrays:
        return []
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM {unnest(columns)} {suffix}", arrays)
        return cursor.fetchall() if cursor.description else [()] * cursor.rowcount


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


def _literal(kind: str, values: Iterable[Any]) -> str:
    """PostgreSQL's text for an array. psycopg's own costs more than the rest of writing a row: it quotes by regex."""
    to_text = _TEXT.get(kind, str)
    return "{" + ",".join(["NULL" if value is None else to_text(value) for value in values]) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_TEXT: dict[str, Callable[[Any], str]] = {
    "text": _quoted,
    "jsonb": lambda value: _quoted(json.dumps(value)),
    "timestamptz": datetime.isoformat,
}
"""How a value of that type is written; the others are as `str` has them."""
