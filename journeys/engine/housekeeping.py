"""What must be done from time to time: rolling up tallies, repairing, and removing what is past its retention."""

from datetime import datetime, timedelta

from django.conf import settings
from django_q.models import Failure, Success

from journeys.engine import limits
from journeys.engine.parking import UNHELD, park, unpark
from journeys.engine.partitions import make_months
from journeys.engine.sql import execute, query

ROLL_UP_BATCH = 50_000
PRUNE_BATCH = 5_000
# Runs stay: they say that a contact was in a journey, which a journey of `once` goes by.
ENDED = (
    "executed_at < %(before)s AND dead_at IS NULL AND status <> 'pending' AND EXISTS (SELECT FROM user_journeys r "
    "WHERE r.id = user_journey_id AND r.status NOT IN ('active', 'paused'))"
)


def minute(now: datetime) -> None:
    """Roll up tallies, bring parking into line with the switches, should a crash have come between the two, and make
    the months to come."""
    while _roll_up() == ROLL_UP_BATCH:
        pass
    _repair_parking()
    make_months(now)
    limits.tidy(now)
    _prune_task_records(now)


def _roll_up() -> int:
    """Move a batch of tallies into the totals of their days, in one statement: a count is never lost or doubled."""
    ((moved,),) = query(
        "WITH moved AS (DELETE FROM tallies WHERE id IN (SELECT id FROM tallies ORDER BY id LIMIT %s FOR UPDATE SKIP "
        "LOCKED) RETURNING journey_id, step_id, what, count, (at AT TIME ZONE 'UTC')::date AS day), "
        "summed AS (SELECT journey_id, step_id, what, day, sum(count) AS count FROM moved "
        "GROUP BY journey_id, step_id, what, day ORDER BY journey_id, step_id, what, day), "
        "stored AS (INSERT INTO tally_totals (journey_id, step_id, what, day, count) "
        "SELECT journey_id, step_id, what, day, count FROM summed ON CONFLICT (journey_id, step_id, what, day) "
        "DO UPDATE SET count = tally_totals.count + EXCLUDED.count) SELECT count(*) FROM moved",
        [ROLL_UP_BATCH],
    )
    return int(moved)


def _repair_parking() -> None:
    astray = query(
        "SELECT j.id, j.is_active FROM journeys j WHERE EXISTS (SELECT FROM user_journeys r WHERE r.journey_id = j.id "
        f"AND r.status = 'active' AND {UNHELD} AND (r.due_at IS NULL) = j.is_active)"
    )
    for journey_id, is_active in astray:
        (unpark if is_active else park)(journey_id)


def _prune_task_records(now: datetime) -> None:
    """django-q keeps what its tasks came to; a day of that is plenty."""
    for model in (Success, Failure):
        model.objects.filter(stopped__lt=now - timedelta(days=1)).delete()


def prune(now: datetime) -> None:
    """Remove, in batches, what is past its retention: events, keys, executions of ended runs, messages, tombstones."""
    before = now - timedelta(days=settings.JOURNEYS["RETENTION_DAYS"])
    for table, condition in (
        ("events", "received_at < %(before)s"),
        ("event_keys", "received_at < %(before)s"),
        ("messages", "created_at < %(before)s AND status <> 'pending'"),
        ("step_executions", ENDED),
    ):
        _prune(table, condition, before)
    _prune_tombstones(now - timedelta(days=settings.JOURNEYS["TOMBSTONE_DAYS"]))


def _prune(table: str, condition: str, before: datetime) -> None:
    statement = f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {condition} LIMIT {PRUNE_BATCH})"
    while execute(statement, {"before": before}):
        pass


def _prune_tombstones(before: datetime) -> None:
    execute("DELETE FROM contact_tombstones WHERE deleted_at < %s", [before])
