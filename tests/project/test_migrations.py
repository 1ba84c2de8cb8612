"""New migrations hold nobody up: they keep the rules, which are tried on good and bad ones here."""

from collections.abc import Sequence

import pytest
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently, ValidateConstraint
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models.functions import Now, Random

from journeys.migrations._patiently import AddIndexToPartitions, Patiently
from journeys.models import StepExecution
from tests.project.migration_rules import GROWING, faults

LOADER = MigrationLoader(None)
OURS = sorted(node for node in LOADER.graph.nodes if node[0] == "journeys")
NAMED = models.Index(fields=["status"], name="by_status")
SHORT = models.CheckConstraint(condition=models.Q(attempts__lt=100), name="few_attempts")


def faults_of(operations: Sequence[Operation], atomic: bool = False) -> list[str]:
    migration = migrations.Migration("new", "journeys")
    migration.operations, migration.atomic = list(operations), atomic
    return list(faults(migration, LOADER.project_state(LOADER.graph.leaf_nodes("journeys"))))


def added(field: models.Field, to: str = "userjourney") -> Operation:
    return migrations.AddField(to, "new", field)


def altered(field: models.Field, name: str, of: str = "userjourney") -> Operation:
    return migrations.AlterField(of, name, field)


@pytest.mark.parametrize("node", OURS[1:], ids=lambda node: node[1])
def test_each_migration_after_the_first_keeps_the_rules(node: tuple[str, str]):
    assert list(faults(LOADER.get_migration(*node), LOADER.project_state(node, at_end=False))) == []


def test_every_table_that_has_rows_by_the_million_is_known_as_growing():
    small = {"journey", "journeystep", "journeyversion", "messagetemplate", "tag", "heartbeat", "bucket", "breaker"}
    small |= {"segment", "intake", "lookout", "frequencycap"}
    state = LOADER.project_state(LOADER.graph.leaf_nodes("journeys"))
    models_of_ours = {
        name for (app, name), model in state.models.items() if app == "journeys" and not model.options.get("proxy")
    }
    assert models_of_ours == GROWING | small


@pytest.mark.parametrize(
    ("operations", "fault"),
    [
        ([added(models.TextField(null=True))], "in Patiently"),
        ([added(models.TextField(null=True), "journeystep")], "in Patiently"),
        ([migrations.RemoveField("journey", "description")], "in Patiently"),
        (
            [Patiently([added(models.TextField(null=True)), added(models.TextField(null=True), "message")])],
            "one Patiently for each table",
        ),
        ([Patiently([migrations.AddIndex("userjourney", NAMED)])], "AddIndexConcurrently"),
        ([Patiently([migrations.AddIndex("stepexecution", NAMED)])], "AddIndexToPartitions"),
        ([AddIndexConcurrently("stepexecution", NAMED)], "AddIndexToPartitions"),
        ([Patiently([migrations.AddConstraint("userjourney", SHORT)])], "AddConstraintNotValid"),
        ([Patiently([added(models.TextField())])], "workers of before"),
        ([Patiently([added(models.IntegerField(default=1))])], "workers of before"),
        ([Patiently([added(models.FloatField(db_default=Random()))])], "rewrites the table"),
        ([Patiently([added(models.TextField(null=True, db_index=True))])], "builds an index"),
        ([Patiently([added(models.ForeignKey("journeys.Tag", models.CASCADE, null=True))])], "foreign key"),
        ([Patiently([altered(models.BigIntegerField(default=0), "attempts")])], "a new type"),
        ([Patiently([altered(models.CharField(max_length=5), "exit_reason")])], "a new type"),
        ([Patiently([altered(models.DateTimeField(), "completed_at")])], "NOT NULL"),
        ([Patiently([altered(models.TextField(unique=True), "failure_reason")])], "builds an index"),
        (
            [migrations.CreateModel("Note", [("of", models.ForeignKey("journeys.Contact", models.CASCADE))])],
            "Patiently",
        ),
        ([migrations.SeparateDatabaseAndState([added(models.TextField(null=True))])], "in Patiently"),
    ],
)
def test_what_would_hold_workers_up_is_refused(operations: list[Operation], fault: str):
    assert any(fault in found for found in faults_of(operations)), faults_of(operations)
    assert all("journeys.new" in found for found in faults_of(operations))


@pytest.mark.parametrize(
    "operation",
    [
        migrations.RunSQL("SELECT 1"),
        migrations.RunPython(migrations.RunPython.noop),
        Patiently([added(models.TextField(null=True))]),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_what_needs_transactions_of_its_own_is_refused_in_an_atomic_migration(operation: Operation):
    assert any("atomic = False" in fault for fault in faults_of([operation], atomic=True))
    assert faults_of([operation]) == []


@pytest.mark.parametrize(
    "operations",
    [
        [Patiently([added(models.TextField(null=True))])],
        [Patiently([added(models.IntegerField(db_default=1))])],
        [Patiently([added(models.DateTimeField(db_default=Now()))])],
        [AddIndexConcurrently("userjourney", NAMED)],
        [AddIndexToPartitions("stepexecution", NAMED)],
        [Patiently([AddConstraintNotValid("userjourney", SHORT)])],
        [ValidateConstraint("userjourney", "few_attempts")],
        [Patiently([altered(models.CharField(max_length=500, blank=True, default=""), "exit_reason")])],
        [altered(models.CharField(max_length=100, blank=True, default="", help_text="Why."), "exit_reason")],
        [migrations.CreateModel("Note", [("id", models.BigAutoField(primary_key=True))])],
        [migrations.AlterModelOptions("message", {"verbose_name": "letter"})],
    ],
)
def test_what_holds_nobody_up_is_let_through(operations: list[Operation]):
    assert faults_of(operations) == []


@pytest.mark.django_db(transaction=True)
def test_an_index_on_a_table_by_month_is_built_for_each_month_and_for_the_months_to_come():
    index = models.Index(fields=["error_message", "-executed_at"], name="by_error", condition=models.Q(status="failed"))
    operation = AddIndexToPartitions("stepexecution", index)
    before = LOADER.project_state(LOADER.graph.leaf_nodes("journeys"))
    after: ProjectState = before.clone()
    operation.state_forwards("journeys", after)
    with connection.schema_editor(atomic=False) as editor:
        for _ in range(2):  # The second time as if the first had been broken off at the very end.
            operation.database_forwards("journeys", editor, before, after)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), bool_and(x.indisvalid) FROM pg_inherits i JOIN pg_index x ON x.indexrelid = i.inhrelid "
            "WHERE i.inhparent = 'by_error'::regclass"
        )
        built = cursor.fetchone()
        cursor.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'step_executions'::regclass")
        (months,) = cursor.fetchone()
        cursor.execute(
            "SELECT pg_get_indexdef('by_error'::regclass), indisvalid FROM pg_index "
            "WHERE indexrelid = 'by_error'::regclass"
        )
        definition, valid = cursor.fetchone()
    assert built == (months, True)
    assert valid
    assert "(error_message, executed_at DESC) WHERE" in definition
    with connection.schema_editor(atomic=False) as editor:
        operation.database_backwards("journeys", editor, after, before)
    with connection.cursor() as cursor:
        names = set(connection.introspection.get_constraints(cursor, StepExecution._meta.db_table))
    assert "by_error" not in names
