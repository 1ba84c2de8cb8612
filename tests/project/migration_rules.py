"""What a migration must not do to tables with a million rows that workers write to, read from its operations.

`make migrations-under-load` measures what can't be read: RunPython and RunSQL.
"""

from collections.abc import Iterator, Sequence

from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    RemoveIndexConcurrently,
    ValidateConstraint,
)
from django.db import connection, models
from django.db.migrations import Migration
from django.db.migrations.operations import (
    AddConstraint,
    AddField,
    AddIndex,
    AlterField,
    AlterModelManagers,
    AlterModelOptions,
    CreateModel,
    RunPython,
    RunSQL,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models.functions import Now

from journeys.migrations._patiently import AddIndexToPartitions, Patiently

PARTITIONED = {"event", "stepexecution"}
GROWING = PARTITIONED | {
    "contact", "contacttag", "contacttombstone", "detection", "device", "eventkey", "message", "reward", "tally",
    "tallytotal", "userjourney", "intakecontact", "segmentmember",
}  # fmt: skip
LOCKLESS = AddIndexConcurrently | RemoveIndexConcurrently | ValidateConstraint | AddIndexToPartitions
STATE_ONLY = AlterModelOptions | AlterModelManagers
CONSTANT_DEFAULTS = (models.Value, Now)
"""What PostgreSQL works out once, and doesn't write into a million rows: constants, and the time of the statement."""


def faults(migration: Migration, before: ProjectState) -> Iterator[str]:
    """What is wrong with it, each with the rule; `before` is the state that it starts from."""
    state = before.clone()
    made: set[str] = set()
    for operation in migration.operations:
        if isinstance(operation, CreateModel):
            made.add(operation.name_lower)
        for fault in _faults(operation, state, migration, made, patient=False):
            yield f"{migration.app_label}.{migration.name}: {operation.describe()}: {fault}"
        operation.state_forwards(migration.app_label, state)


def _faults(
    operation: Operation, state: ProjectState, migration: Migration, made: set[str], *, patient: bool
) -> Iterator[str]:
    if isinstance(operation, RunPython | RunSQL | Patiently | LOCKLESS) and migration.atomic:
        yield "the migration needs `atomic = False`: else it holds every lock until its end"
    if isinstance(operation, Patiently):
        if len({_table(inner) for inner in operation.database_operations}) > 1:
            yield "one Patiently for each table: a worker may want two locks the other way round"
        yield from _of_each(operation.database_operations, state, migration, made, patient=True)
    elif isinstance(operation, SeparateDatabaseAndState):
        yield from _of_each(operation.database_operations, state, migration, made, patient=patient)
    elif not isinstance(operation, RunPython | RunSQL | STATE_ONLY):
        yield from _of_schema(operation, state, migration.app_label, made, patient=patient)


def _of_each(
    operations: Sequence[Operation], state: ProjectState, migration: Migration, made: set[str], *, patient: bool
) -> Iterator[str]:
    state = state.clone()
    for operation in operations:
        yield from _faults(operation, state, migration, made, patient=patient)
        operation.state_forwards(migration.app_label, state)


def _table(operation: Operation) -> str:
    name = getattr(operation, "model_name", None) or getattr(operation, "name", "")
    return str(name).lower()


def _of_schema(operation: Operation, state: ProjectState, app: str, made: set[str], *, patient: bool) -> Iterator[str]:
    table = _table(operation)
    if isinstance(operation, CreateModel):
        if not patient and any(_refers_to_another(field, made) for _, field in operation.fields):
            yield "a foreign key locks the other table: make it in Patiently"
        return
    if table in made or (isinstance(operation, AlterField) and not _alters(operation, state, app)):
        return
    if not patient and not isinstance(operation, LOCKLESS):
        yield "it locks a table that workers use: do it in Patiently"
    if table in GROWING:
        yield from _of_growing(operation, state, app, table)


def _of_growing(operation: Operation, state: ProjectState, app: str, table: str) -> Iterator[str]:
    if isinstance(operation, AddIndex) and table in PARTITIONED and not isinstance(operation, AddIndexToPartitions):
        yield "it builds the index while nobody can write: AddIndexToPartitions"
    elif isinstance(operation, AddIndex) and not isinstance(operation, AddIndexConcurrently | AddIndexToPartitions):
        yield "it builds the index while nobody can write: AddIndexConcurrently"
    elif isinstance(operation, AddConstraint) and not isinstance(operation, AddConstraintNotValid):
        yield (
            "it looks through the table while nobody can write: AddConstraintNotValid, then ValidateConstraint in "
            "another migration; a unique one by an index made concurrently"
        )
    elif isinstance(operation, AddField):
        yield from _of_new_field(operation.field)
    elif isinstance(operation, AlterField):
        old = state.models[app, table].get_field(operation.name)
        yield from _of_altered_field(old, operation.field)


def _of_new_field(field: models.Field) -> Iterator[str]:
    if field.unique or field.db_index:
        yield "it builds an index while nobody can write: `db_index=False`, then AddIndexConcurrently"
    if isinstance(field, models.ForeignKey) and field.db_constraint:
        yield "it checks the foreign key while nobody can write: `db_constraint=False`"
    if field.generated:
        yield "a generated column rewrites the table"
    default = field.db_default
    if hasattr(default, "resolve_expression") and not isinstance(default, CONSTANT_DEFAULTS):
        yield "a default that differs from row to row rewrites the table"
    if not field.null and not field.has_db_default():
        yield "workers of before don't write it: `null=True`, or a `db_default`"


def _of_altered_field(old: models.Field, new: models.Field) -> Iterator[str]:
    if old.db_type(connection) != new.db_type(connection) and not _only_longer(old, new):
        yield "a new type rewrites the table: add a column, fill it in batches, and leave the old one"
    if old.null and not new.null:
        yield "NOT NULL looks through the table while nobody can write: AddConstraintNotValid of a CHECK instead"
    if (new.unique and not old.unique) or (new.db_index and not old.db_index):
        yield "it builds an index while nobody can write: AddIndexConcurrently"


def _only_longer(old: models.Field, new: models.Field) -> bool:
    """A longer varchar, or text in its place, changes the catalogue only."""
    if not isinstance(old, models.CharField) or not isinstance(new, models.CharField | models.TextField):
        return False
    return isinstance(new, models.TextField) or (new.max_length or 0) >= (old.max_length or 0)


def _alters(operation: AlterField, state: ProjectState, app: str) -> bool:
    """Whether the database sees the change at all; help texts and choices it does not."""
    before, after = state.clone(), state.clone()
    operation.state_forwards(app, after)
    old, new = (
        each.apps.get_model(app, operation.model_name)._meta.get_field(operation.name) for each in (before, after)
    )
    return bool(connection.schema_editor(collect_sql=True)._field_should_be_altered(old, new))


def _refers_to_another(field: models.Field, made: set[str]) -> bool:
    if not isinstance(field, models.ForeignKey) or not field.db_constraint:
        return False
    to = field.remote_field.model
    return (to if isinstance(to, str) else to._meta.label).split(".")[-1].lower() not in made
