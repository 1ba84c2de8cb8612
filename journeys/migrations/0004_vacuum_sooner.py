"""Clean the tables that change all the time when a fiftieth of their rows is dead, not a fifth.

With PostgreSQL's default, dead rows grow with the table: two million of them beside ten million runs. No free space is
left in pages for updates (fillfactor): nearly each of ours changes an indexed column, and couldn't use it.
"""

from django.db import migrations

from journeys.migrations._patiently import patiently

OFTEN = "SET (autovacuum_vacuum_scale_factor = 0.02)"
DEFAULT = "RESET (autovacuum_vacuum_scale_factor)"


def clean_often(apps, schema_editor):
    _alter(schema_editor.connection, OFTEN)


def clean_by_default(apps, schema_editor):
    _alter(schema_editor.connection, DEFAULT)


def _alter(connection, setting):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'step_executions'::regclass ORDER BY 1"
        )
        months = [name for (name,) in cursor.fetchall()]
        for table in ("contacts", "messages", "user_journeys", *months):
            patiently(connection, lambda table=table: cursor.execute(f"ALTER TABLE {table} {setting}"))


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("journeys", "0003_month_partitions")]

    operations = [migrations.RunPython(clean_often, clean_by_default)]
