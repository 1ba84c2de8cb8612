"""Lay out executions and events by month, without rewriting a row or holding anybody up.

The table of until now becomes the partition of everything before a boundary, with its indexes and foreign keys; a new,
empty table takes its name. What the tables hold is looked through under a lock that stops no reader and no writer.

Going back leaves the partitions: every statement of the versions before works on them. Begun and broken off, it can be
run again.
"""

from datetime import timedelta

from django.db import migrations

from journeys.logic.ids import earliest_id, time_of
from journeys.migrations._patiently import patiently

# Each with those it refers to, in the order in which the engine's transactions lock them.
TABLES = {"step_executions": ("step_executions", "journey_steps", "user_journeys"), "events": ("contacts", "events")}
FEW = 10_000
"""So many rows are looked through under the lock: it takes a few milliseconds."""
AHEAD = timedelta(days=45)
"""While a full table is looked through, it takes no ids later than this."""


def partition(apps, schema_editor):
    for table in TABLES:
        _partition(schema_editor.connection, table)


def _partition(connection, table):
    if _value(connection, "SELECT relkind FROM pg_class WHERE oid = %s::regclass", [table]) == "p":
        return
    bound = None
    if _value(connection, f"SELECT count(*) FROM (SELECT FROM {table} LIMIT {FEW}) AS few") == FEW:
        bound = _bound(connection, table, AHEAD)
        patiently(connection, lambda: _promise(connection, table, bound))
        _execute(connection, f"ALTER TABLE {table} VALIDATE CONSTRAINT {table}_bound")
    patiently(connection, lambda: _swap(connection, table, bound))


def _bound(connection, table, ahead=timedelta()):
    """The start of the first month that begins after all ids there are, and after now."""
    latest = _value(connection, "SELECT clock_timestamp()") + ahead
    last_id = _value(connection, f"SELECT id FROM {table} ORDER BY id DESC LIMIT 1")
    if last_id is not None:
        latest = max(latest, time_of(last_id))
    following = (latest.replace(day=1) + timedelta(days=32)).replace(day=1)
    return following.replace(hour=0, minute=0, second=0, microsecond=0)


def _promise(connection, table, bound):
    _execute(
        connection,
        f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_bound, "
        f"ADD CONSTRAINT {table}_bound CHECK (id < '{earliest_id(bound)}') NOT VALID",
    )


def _swap(connection, table, bound):
    for name in TABLES[table]:
        mode = "ACCESS EXCLUSIVE" if name == table else "SHARE ROW EXCLUSIVE"
        _execute(connection, f"LOCK TABLE {name} IN {mode} MODE")
    bound = bound or _bound(connection, table)
    old = f"{table}_before_{bound:%Y_%m}"
    indexes = _rows(
        connection,
        "SELECT c.relname, pg_get_indexdef(c.oid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "WHERE i.indrelid = %s::regclass AND NOT i.indisprimary",
        [table],
    )
    keys = _rows(
        connection,
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass "
        "AND contype IN ('p', 'f') ORDER BY contype DESC",
        [table],
    )
    _execute(connection, f"ALTER TABLE {table} RENAME TO {old}")
    for number, (name, _) in enumerate(indexes):
        _execute(connection, f'ALTER INDEX "{name}" RENAME TO {old}_{number}')
    _execute(connection, f"ALTER TABLE {old} RENAME CONSTRAINT {keys[0][0]} TO {old}_pkey")
    _execute(
        connection,
        f"CREATE TABLE {table} (LIKE {old} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE) "
        "PARTITION BY RANGE (id)",
    )
    _execute(connection, f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_bound")
    for name, definition in keys:
        _execute(connection, f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')
    for _, definition in indexes:
        _execute(connection, definition)
    _execute(
        connection, f"ALTER TABLE {table} ATTACH PARTITION {old} FOR VALUES FROM (MINVALUE) TO ('{earliest_id(bound)}')"
    )
    _execute(connection, f"ALTER TABLE {old} DROP CONSTRAINT IF EXISTS {table}_bound")
    _execute(connection, f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")


def _execute(connection, statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _rows(connection, statement, parameters=()):
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


def _value(connection, statement, parameters=()):
    rows = _rows(connection, statement, parameters)
    return rows[0][0] if rows else None


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("journeys", "0002_providers")]

    operations = [migrations.RunPython(partition, migrations.RunPython.noop)]
