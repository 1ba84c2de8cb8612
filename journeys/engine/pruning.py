"""Removing what is past its retention: old months whole, all else in small batches that let the engine pass.

It may be broken off at any time and gone on with where it was: what is removed is not needed any more by anybody.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django_q.conf import Conf
from django_q.models import Failure, OrmQ, Success

from journeys.engine.caps import longest
from journeys.engine.partitions import FIRST, Partition, drop, partitions
from journeys.engine.sql import execute, query
from journeys.engine.stopping import is_stopping, pause
from journeys.logic.ids import earliest_id

BATCH = 1_000
LEAST_PAUSE_SECONDS = 0.01
DROP_TRIES = 5

# Runs stay: they say that a contact was in a journey, which a journey of `once` goes by.
ENDED = (
    "executed_at < %(before)s AND dead_at IS NULL AND status <> 'pending' AND EXISTS (SELECT FROM user_journeys r "
    "WHERE r.id = user_journey_id AND r.status NOT IN ('active', 'paused'))"
)
# A message has its execution's key, and so its run's time. A replay needs it: it would be rendered anew under that key.
UNWANTED = (
    "created_at < %(before)s AND status <> 'pending' AND NOT EXISTS (SELECT FROM step_executions e "
    "WHERE e.id = messages.id AND e.id > %(after)s AND e.id <= %(last)s "
    "AND (e.dead_at IS NOT NULL OR e.status = 'pending'))"
)
# Of a month, by indexes: no execution is late, dead or pending, and no run that began in it goes on.
STAYS = (
    "EXISTS (SELECT FROM {part} WHERE executed_at >= %(before)s) OR EXISTS (SELECT FROM {part} WHERE dead_at IS NOT "
    "NULL) OR EXISTS (SELECT FROM {part} WHERE status = 'pending') OR EXISTS (SELECT FROM user_journeys r "
    "WHERE r.status IN ('active', 'paused') AND r.id >= %(first)s AND r.id < %(end)s "
    "AND EXISTS (SELECT FROM {part} e WHERE e.user_journey_id = r.id))"
)


@dataclass(frozen=True, slots=True)
class Place:
    """How far pruning came: all keys of the table up to this one were looked at."""

    table: str
    after: str = str(FIRST)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Rows whose key says when they came. `past` says which of the old ones may go, `stays` what keeps a month."""

    setting: str
    past: str
    stays: str = ""


BY_KEY: Mapping[str, _Kind] = {
    "events": _Kind("EVENT_RETENTION_DAYS", "received_at < %(before)s"),
    "step_executions": _Kind("EXECUTION_RETENTION_DAYS", ENDED, STAYS),
    "messages": _Kind("MESSAGE_RETENTION_DAYS", UNWANTED),
}


# Rows whose key says nothing: by a column that has an index.
BY_TIME = {
    "event_keys": ("EVENT_KEY_RETENTION_DAYS", "received_at"),
    "contact_tombstones": ("TOMBSTONE_DAYS", "deleted_at"),
}
TABLES = (*BY_KEY, *BY_TIME)


def retention(setting: str) -> timedelta:
    """How long that is kept; what has no setting of its own is kept for RETENTION_DAYS."""
    return timedelta(days=settings.JOURNEYS.get(setting) or settings.JOURNEYS["RETENTION_DAYS"])


def prune(now: datetime, deadline: float, place: Place | None = None) -> Place | None:
    """Remove what is past its retention, until `deadline` (of `time.monotonic`); where to go on, or None when done."""
    place = place or Place(TABLES[0])
    for table in TABLES[TABLES.index(place.table) :]:
        if table in BY_KEY:
            left = _by_key(table, now, deadline, place.after if table == place.table else str(FIRST))
        else:
            left = _by_time(table, now, deadline)
        if left is not None:
            return left
    _sum_up_days(now - retention("TALLY_RETENTION_DAYS"))
    return None


def _by_key(table: str, now: datetime, deadline: float, after: str) -> Place | None:
    kind = BY_KEY[table]
    kept = retention(kind.setting)
    if table == "messages":
        kept = max(kept, longest())  # Frequency caps count them.
    before = now - kept
    bound = earliest_id(before)  # Who is younger by the key is so by the time that `past` asks for.
    for part in partitions(table):
        if not part.is_default and part.end <= bound:
            _drop(part, kind, before)
    for last in _lots(table, UUID(after), bound):
        if _is_over(deadline):
            return Place(table, after)
        begun = time.monotonic()
        # As an array, they are found once. As a subquery, once for each row, because PostgreSQL expects only one.
        execute(
            f"DELETE FROM {table} WHERE id > %(after)s AND id <= %(last)s AND id = ANY(ARRAY(SELECT id FROM {table} "
            f"WHERE id > %(after)s AND id <= %(last)s AND {kind.past} ORDER BY id FOR UPDATE SKIP LOCKED))",
            {"after": after, "last": last, "before": before},
        )
        after = str(last)
        _let_others_pass(begun)
    return None


def _lots(table: str, after: UUID, bound: UUID) -> Iterator[UUID]:
    """The last key of each lot of rows."""
    while True:
        rows = query(
            f"SELECT id FROM (SELECT id FROM {table} WHERE id > %s AND id < %s ORDER BY id LIMIT {BATCH}) AS lot "
            "ORDER BY id DESC LIMIT 1",
            [after, bound],
        )
        if not rows:
            return
        ((after,),) = rows
        yield after


def _drop(part: Partition, kind: _Kind, before: datetime) -> None:
    """Drop a month, unless it holds what must stay; then its rows go one by one."""
    stays = kind.stays.replace("{part}", part.name)

    def is_free() -> bool:
        parameters = {"before": before, "first": part.first, "end": part.end}
        return not stays or not query(f"SELECT {stays}", parameters)[0][0]

    for _ in range(DROP_TRIES):
        # Without a lock first: under it, everybody waits for the answer.
        if not is_free() or drop(part, is_free) or is_stopping():
            return
        pause(1)


def _by_time(table: str, now: datetime, deadline: float) -> Place | None:
    setting, column = BY_TIME[table]
    while not _is_over(deadline):
        begun = time.monotonic()
        removed = execute(
            f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {column} < %s "
            f"ORDER BY {column} LIMIT {BATCH} FOR UPDATE SKIP LOCKED))",
            [now - retention(setting)],
        )
        if not removed:
            return None
        _let_others_pass(begun)
    return Place(table)


def _is_over(deadline: float) -> bool:
    return is_stopping() or time.monotonic() >= deadline


def _let_others_pass(begun: float) -> None:
    """Rest for as long as the work took: pruning takes half of one connection at most."""
    pause(max(LEAST_PAUSE_SECONDS, time.monotonic() - begun))


def _sum_up_days(before: datetime) -> None:
    """Move the totals of old days into the row of all days, in one statement: a count is never lost or doubled."""
    execute(
        "WITH gone AS (DELETE FROM tally_totals WHERE day < %s RETURNING journey_id, step_id, what, count) "
        "INSERT INTO tally_totals (journey_id, step_id, what, day, count) "
        "SELECT journey_id, step_id, what, NULL, sum(count) FROM gone GROUP BY journey_id, step_id, what "
        "ORDER BY journey_id, step_id, what ON CONFLICT (journey_id, step_id, what, day) "
        "DO UPDATE SET count = tally_totals.count + EXCLUDED.count",
        [before.astimezone(UTC).date()],
    )


def prune_task_records(now: datetime) -> None:
    """django-q keeps what its tasks came to, and tasks of a cluster that never came back."""
    before = now - timedelta(days=settings.JOURNEYS["TASK_RETENTION_DAYS"])
    for model in (Success, Failure):
        old = model.objects.filter(stopped__lt=before).order_by()
        while (lot := list(old.values_list("id", flat=True)[:BATCH])) and not is_stopping():
            begun = time.monotonic()
            model.objects.filter(id__in=lot).delete()
            _let_others_pass(begun)
    left = OrmQ.objects.filter(key=Conf.PREFIX, lock__lt=before).order_by("id")[:BATCH]
    ours = [task.id for task in left if str(task.func()).startswith("journeys.")]  # The tables say what they were for.
    OrmQ.objects.filter(id__in=ours).delete()
