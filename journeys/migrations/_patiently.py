"""Changing a table that workers use, without holding them up.

A change waits for its lock behind whoever has the table, and everybody else waits behind the change. So it waits
shortly, gives up, lets the others pass, and tries again.
"""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.db import OperationalError, transaction
from django.db.migrations.operations import SeparateDatabaseAndState
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
        patiently(schema_editor.connection, lambda: forwards(app_label, schema_editor, from_state, to_state))

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        backwards = super().database_backwards
        patiently(schema_editor.connection, lambda: backwards(app_label, schema_editor, from_state, to_state))
