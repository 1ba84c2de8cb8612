"""SQL expressions over JSON values, each of them true or false and never NULL where it answers a question."""

import re
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func, JSONField, Value
from django.db.models.sql.compiler import SQLCompiler

from journeys.logic.instants import ISO_INSTANT

_HOLE = re.compile(r"\$(\d+)")


class Sql(Func):
    """SQL with holes: `$1` is the first part, and may come more than once."""

    def __init__(self, sql: str, *parts: Any, output_field: "models.Field[Any, Any]") -> None:
        super().__init__(*parts, output_field=output_field, sql=sql)

    def as_sql(  # type: ignore[override]
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> tuple[str, list[Any]]:
        compiled = [compiler.compile(part) for part in self.get_source_expressions()]
        sql = ""
        params: list[Any] = []
        for index, piece in enumerate(_HOLE.split(self.extra["sql"])):
            if index % 2:
                part, part_params = compiled[int(piece) - 1]
                sql += part
                params += part_params
            else:
                sql += piece
        return sql, params


def question(sql: str, *parts: Any) -> Sql:
    """A boolean expression in which NULL counts as false."""
    return Sql(f"COALESCE({sql}, FALSE)", *parts, output_field=models.BooleanField())


def json_value(value: Any) -> Value:
    return Value(value, output_field=JSONField())


def text_value(value: str) -> Sql:
    return Sql("$1::text", Value(value), output_field=models.TextField())


def member(value: Any, key: str) -> Sql:
    """The member `key` of an object, else NULL. The cast keeps `0` from meaning the first element of a list."""
    return Sql("($1 -> $2)", value, text_value(key), output_field=JSONField())


def text_column(name: str) -> Sql:
    """A text column as facts see it: empty is missing."""
    return Sql("to_jsonb(NULLIF($1, ''))", models.F(name), output_field=JSONField())


def instant_column(name: str) -> Sql:
    """A time column in the spelling of journeys.logic.instants.iso."""
    spelled = """to_jsonb(to_char($1 AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+00:00')"""
    return Sql(spelled, models.F(name), output_field=JSONField())


def _instant_sql(json: str) -> str:
    # The pattern keeps words such as 'now' out, pg_input_is_valid the 30th of February: the cast can't raise.
    return f"""(SELECT CASE WHEN pg_input_is_valid(spelled, 'timestamptz') THEN spelled::timestamptz END FROM (
        SELECT CASE WHEN said ~ '(Z|:[0-9.]*[+-][0-9:]+)$' THEN said ELSE said || 'Z' END AS spelled
        FROM (SELECT {json} #>> '{{}}' AS said WHERE jsonb_typeof({json}) = 'string') AS texts
        WHERE said ~ '^{ISO_INSTANT}$') AS dates)"""  # noqa: S608 - made of constants


def instant(json: Any) -> Sql:
    """The instant that a JSON string names, else NULL: journeys.logic.instants.parse_instant."""
    return Sql(_instant_sql("$1"), json, output_field=models.DateTimeField())


def has_element_at(json: Any, moment: Value) -> Sql:
    """Whether a JSON list holds a string that names this instant."""
    elements = "jsonb_array_elements(CASE WHEN jsonb_typeof($1) = 'array' THEN $1 END) AS listed(element)"
    return question(f"(SELECT bool_or({_instant_sql('element')} = $2) FROM {elements})", json, moment)  # noqa: S608 - constants
