"""A database of the bench's own, on the server that the settings name: made, migrated and dropped again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.test.utils import override_settings

TABLES = (
    "contacts", "events", "event_keys", "journeys", "journey_versions", "journey_steps", "user_journeys",
    "step_executions", "messages", "tags", "contact_tags", "tallies", "tally_totals",
)  # fmt: skip


@contextmanager
def own_database() -> Iterator[None]:
    """Let the default connection, and every process forked from here, use a database that is dropped in the end."""
    settings = connection.settings_dict
    users, of_tests = settings["NAME"], dict(settings["TEST"])
    settings["TEST"]["NAME"] = f"journeys_bench_{os.getpid()}"
    connection.close()
    with override_settings(DEBUG=False):  # With DEBUG, Django keeps each query that it makes.
        try:
            connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
            yield
        finally:
            connection.creation.destroy_test_db(users, verbosity=0)
            settings["TEST"].update(of_tests)


def empty() -> None:
    """Leave nothing of the figure before."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(TABLES)} CASCADE")


def settle() -> None:
    """Do now what PostgreSQL would else do in the middle of a measurement: clean up, analyze, write out."""
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM (ANALYZE) {', '.join(TABLES)}")
        cursor.execute("CHECKPOINT")


def count(table: str, condition: str = "true") -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table} WHERE {condition}")
        (rows,) = cursor.fetchone()
    return int(rows)
