"""Events wake exactly the runs that wait for them: nobody asks again and again whether one came.

The caller holds the contacts' locks, and so does whoever lets a run begin to wait: either the run is seen here, or its
first look sees the event.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from journeys.engine.parking import NOW_AT_LATEST
from journeys.engine.sql import execute, query, uuids


def wake_waiting(named: Collection[tuple[UUID, str]], now: datetime) -> dict[tuple[UUID, str], datetime]:
    """Make due the runs that wait for events of these contacts and names; from when on each is listened for.

    A run may have begun to wait between the moment that an event came, by the clock, and its turn here. The run was
    there first, so the event counts for it, and is stored as received from that moment on.
    """
    if not named:
        return {}
    rows = query(
        "SELECT id, contact_id, awaits_event, listens_from FROM user_journeys "
        "WHERE contact_id = ANY(%s) AND status = 'active' AND awaits_event IS NOT NULL ORDER BY id FOR NO KEY UPDATE",
        [uuids({contact_id for contact_id, _ in named})],
    )
    woken = [row for row in rows if (row[1], row[2]) in named]
    if woken:
        execute(
            f"UPDATE user_journeys SET {NOW_AT_LATEST} WHERE id = ANY(%(ids)s)",
            {"now": now, "ids": uuids(row[0] for row in woken)},
        )
    since: dict[tuple[UUID, str], datetime] = {}
    for _, contact_id, name, listens_from in woken:
        since[contact_id, name] = max(listens_from, since.get((contact_id, name), listens_from))
    return since
