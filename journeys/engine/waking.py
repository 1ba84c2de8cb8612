"""Events find exactly the runs that they concern: nobody asks again and again whether one came.

The caller holds the contacts' locks, and so does whoever lets a run begin to wait: either the run is seen here, or its
first look sees the event.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from journeys.engine.parking import NOW_AT_LATEST
from journeys.engine.sql import execute, query, uuids
from journeys.logic.flow import Flow

WAITS = "status = 'active' AND awaits_event IS NOT NULL"
LISTENS = "journey_id = ANY(%(journeys)s) AND (status = 'active' OR (goal_at IS NULL AND started_at >= %(since)s))"


class Concerned(NamedTuple):
    """A locked run that waits for an event, or whose journey listens to one; without the latter, no metadata."""

    id: UUID
    contact_id: UUID
    journey_id: UUID
    status: str
    awaits_event: str | None
    listens_from: datetime
    started_at: datetime
    leaves: str | None
    goal_at: datetime | None
    metadata: str | None


def lock_runs(contacts: Collection[UUID], listeners: Mapping[UUID, Flow], now: datetime) -> list[Concerned]:
    """Lock the runs of these contacts that wait for an event, and those of the journeys that listen: who is inside,
    and who was, as long as their goal may be reached. All at once, so that all are locked in one order."""
    if not contacts:
        return []
    goals = [flow.goal.within for flow in listeners.values() if flow.goal is not None]
    which, metadata = (f"(({WAITS}) OR ({LISTENS}))", "metadata::text") if listeners else (WAITS, "NULL")
    rows = query(
        "SELECT id, contact_id, journey_id, status, awaits_event, listens_from, started_at, leaves, goal_at, "
        f"{metadata} FROM user_journeys WHERE contact_id = ANY(%(contacts)s) AND {which} ORDER BY id FOR NO KEY UPDATE",
        {"contacts": uuids(contacts), "journeys": list(listeners), "since": now - max(goals, default=timedelta())},
    )
    return [Concerned(*row) for row in rows]


def wake_waiting(
    runs: Iterable[Concerned], named: Collection[tuple[UUID, str]], now: datetime
) -> dict[tuple[UUID, str], datetime]:
    """Make due the runs that wait for events of these contacts and names; from when on each is listened for.

    A run may have begun to wait between the moment that an event came, by the clock, and its turn here. The run was
    there first, so the event counts for it, and is stored as received from that moment on.
    """
    woken = [(run, name) for run in runs if (name := run.awaits_event) and (run.contact_id, name) in named]
    if woken:
        execute(
            f"UPDATE user_journeys SET {NOW_AT_LATEST} WHERE id = ANY(%(ids)s)",
            {"now": now, "ids": uuids(run.id for run, _ in woken)},
        )
    since: dict[tuple[UUID, str], datetime] = {}
    for run, name in woken:
        place = run.contact_id, name
        since[place] = max(run.listens_from, since.get(place, run.listens_from))
    return since
