"""Executions and events lie in partitions by month of their id, so that an old month goes at once.

The months ahead are made in time; what no month covers (a simulated future) lies in a default partition. Making a month
moves what the default holds of it. Locks are waited for shortly: who waits for a lock makes everybody behind wait too.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import OperationalError, transaction
from psycopg.errors import DeadlockDetected, LockNotAvailable, QueryCanceled

from journeys.engine.sql import execute, query
from journeys.logic.ids import earliest_id

logger = logging.getLogger(__name__)

TABLES = ("step_executions", "events")
MONTHS_AHEAD = 2
LOCK_TIMEOUT = "300ms"
STATEMENT_TIMEOUT = "800ms"
"""How long moving rows out of the default, and looking through the rest, may keep others out of it."""
WITH = "WITH (autovacuum_vacuum_scale_factor = 0.02)"
"""Cleaned when a fiftieth of the rows is dead, not a fifth."""
GAVE_UP = (LockNotAvailable, QueryCanceled, DeadlockDetected)
FIRST, LAST = UUID(int=0), UUID(int=(1 << 128) - 1)
BOUNDS = re.compile(r"FOR VALUES FROM \((MINVALUE|'[-0-9a-f]+')\) TO \((MAXVALUE|'[-0-9a-f]+')\)")


@dataclass(frozen=True, slots=True)
class Partition:
    """A table that holds the ids from `first` on and before `end`. The default's bounds hold everything."""

    table: str
    name: str
    first: UUID
    end: UUID
    is_default: bool = False


def partitions(table: str) -> list[Partition]:
    """A table's partitions, the oldest first and the default last; none where the table is not laid out by month."""
    rows = query(
        "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = to_regclass(%s)",
        [table],
    )
    return sorted((_partition(table, *row) for row in rows), key=lambda part: (part.is_default, part.first))


def _partition(table: str, name: str, bounds: str) -> Partition:
    match = BOUNDS.fullmatch(bounds)
    if match is None:
        return Partition(table, name, FIRST, LAST, is_default=True)
    first, end = match.groups()
    return Partition(
        table,
        name,
        FIRST if first == "MINVALUE" else UUID(first.strip("'")),
        LAST if end == "MAXVALUE" else UUID(end.strip("'")),
    )


def make_months(now: datetime) -> None:
    """Make the partitions of this month and of the next ones, where they are missing.

    One that can't be made at once, because somebody holds a lock for long or the default holds too much of it, is tried
    again the next time; its rows go to the default until then.
    """
    for table in TABLES:
        there = partitions(table)
        for start in _months(now) if there else ():
            if not _covered(there, start):
                _make_month(table, start)


def _covered(there: Iterable[Partition], start: datetime) -> bool:
    first = earliest_id(start)
    return any(part.first <= first < part.end for part in there if not part.is_default)


def _months(now: datetime) -> Iterator[datetime]:
    start = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(MONTHS_AHEAD + 1):
        yield start
        start = following(start)


def following(start: datetime) -> datetime:
    """The start of the month after the one that starts then."""
    return (start + timedelta(days=32)).replace(day=1)


@contextmanager
def _shortly() -> Iterator[None]:
    """A transaction that gives up, where it would hold others up."""
    with transaction.atomic():
        execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        execute(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'")
        yield
        execute("SET LOCAL lock_timeout = DEFAULT")  # Where this is a savepoint, the transaction goes on.
        execute("SET LOCAL statement_timeout = DEFAULT")


def _make_month(table: str, start: datetime) -> None:
    name = f"{table}_{start:%Y_%m}"
    first, end = earliest_id(start), earliest_id(following(start))
    try:
        with _shortly():
            execute(f"LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE")
            if _covered(partitions(table), start):  # Another process was faster.
                return
            execute(
                f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE) {WITH}"
            )
            execute(f"LOCK TABLE {table}_default IN ACCESS EXCLUSIVE MODE")
            moved = execute(
                f"WITH moved AS (DELETE FROM {table}_default WHERE id >= %(first)s AND id < %(end)s RETURNING *) "
                f"INSERT INTO {name} SELECT * FROM moved",
                {"first": first, "end": end},
            )
            execute(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{first}') TO ('{end}')")
    except OperationalError as error:
        if not isinstance(error.__cause__, GAVE_UP):
            raise
        logger.warning("a month's partition could not be made yet", extra={"partition": name})
    else:
        logger.info("a month's partition was made", extra={"partition": name, "moved": moved})


def drop(part: Partition, is_free: Callable[[], bool]) -> bool:
    """Drop a partition with all that it holds, if it `is_free`; False where a lock could not be had in time.

    Who calls it has asked already, without a lock: meanwhile everybody waits who looks at any month.
    """
    try:
        with _shortly():
            execute(f"LOCK TABLE {part.name} IN ACCESS EXCLUSIVE MODE")
            free = is_free()
            if free:
                execute(f"DROP TABLE {part.name}")
    except OperationalError as error:
        if not isinstance(error.__cause__, GAVE_UP):
            raise
        logger.warning("a partition could not be dropped yet", extra={"partition": part.name})
        return False
    if free:
        logger.info("a partition was dropped", extra={"partition": part.name})
    return True
