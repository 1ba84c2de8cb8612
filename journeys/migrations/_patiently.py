"""Changing tables that workers use, without holding anybody up.

A change waits for its lock behind whoever has the table, and everybody else waits behind the change. So it waits
shortly, gives up, lets the others pass, and tries again. tests/project/migration_rules.py says what needs this.
"""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.db import OperationalError, models, transaction
from django.db.migrations.operations import AddIndex, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from psycopg.errors import DeadlockDetected, LockNotAvailable

LOCK_TIMEOUT = "300ms"  # Less than PostgreSQL waits before it ends a deadlock, by ending either side.
GIVE_UP_SECONDS = 600


def patiently(connection: Any, change: Callable[[], None]) -> None:
    """Make a change in a transaction of its own, again and again until it has its locks."""
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while True:
        try:
            with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                change()
            return
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable | DeadlockDetected) or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.3, 1))


class Patiently(SeparateDatabaseAndState):
    """Operations on one table, together, as `patiently` makes changes. Only in a migration with `atomic = False`."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        super().__init__(database_operations=operations, state_operations=operations)

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        return self.__class__.__name__, (), {"operations": self.database_operations}

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        forwards = super().database_forwards
        self._change(schema_editor, lambda: forwards(app_label, schema_editor, from_state, to_state))

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        backwards = super().database_backwards
        self._change(schema_editor, lambda: backwards(app_label, schema_editor, from_state, to_state))

    def _change(self, schema_editor: Any, change: Callable[[], None]) -> None:
        put_off = schema_editor.deferred_sql

        def whole() -> None:
            schema_editor.deferred_sql = []  # Foreign keys come last, and want locks too.
            change()
            for statement in schema_editor.deferred_sql:
                schema_editor.execute(statement, None)

        patiently(schema_editor.connection, whole)
        schema_editor.deferred_sql = put_off


class AddIndexToPartitions(AddIndex):
    """An index on a table by month: built for each month while others write, and put together in the end.

    Begun and broken off, it can be run again.
    """

    atomic = False

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        connection, table, name = schema_editor.connection, model._meta.db_table, self.index.name
        create = self._create(model, schema_editor)
        patiently(connection, lambda: _execute(connection, create.format(f"IF NOT EXISTS {name}", f"ONLY {table}")))
        for part in _without(connection, table, name):
            # One that was broken off is invalid, and of no use.
            _execute(connection, f"DROP INDEX CONCURRENTLY IF EXISTS {part}_{name}")
            _execute(connection, create.format(f"CONCURRENTLY {part}_{name}", part))
            attach = f"ALTER INDEX {name} ATTACH PARTITION {part}_{name}"
            patiently(connection, lambda attach=attach: _execute(connection, attach))

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        connection = schema_editor.connection
        patiently(connection, lambda: _execute(connection, f"DROP INDEX IF EXISTS {self.index.name}"))

    def _create(self, model: type[models.Model], schema_editor: Any) -> str:
        """The statement, with a place for the index's name and one for the table's."""
        quoted = f'"{self.index.name}" ON "{model._meta.db_table}"'
        before, after = str(self.index.create_sql(model, schema_editor)).split(quoted)
        return f"{before}{{}} ON {{}}{after}"


def _without(connection: Any, table: str, index: str) -> list[str]:
    """The partitions that have no part of this index yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass AND inhrelid NOT IN ("
            "SELECT x.indrelid FROM pg_inherits i JOIN pg_index x ON x.indexrelid = i.inhrelid "
            "WHERE i.inhparent = %s::regclass) ORDER BY 1",
            [table, index],
        )
        return [name for (name,) in cursor.fetchall()]


def _execute(connection: Any, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
