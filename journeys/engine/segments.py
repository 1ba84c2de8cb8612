"""Who entered a segment, and who left: noted for those segments that journeys start from, all at once.

One statement compares those inside now with those noted before, and puts who came on the lists of the journeys that
wait for them. Leaving and coming again is another entering, known by its number.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import DataError, connection

from journeys.engine.audience import audience, roomy
from journeys.engine.flows import lock_journeys
from journeys.engine.intakes import count, drop_empty, open_intake, statement_of
from journeys.engine.lookouts import Watched, watched
from journeys.engine.sql import execute, query
from journeys.models import Lookout, Segment

logger = logging.getLogger(__name__)

SHORTEST_PAUSE = timedelta(seconds=50)
"""Between two looks at a segment: the job of every minute comes a little early at times."""
SHARE = 20
"""A look that takes a second is not repeated before twenty have passed: it takes a twentieth of a connection."""

NOTE = """
WITH inside AS MATERIALIZED ({inside}), gone AS (
    UPDATE segment_members m SET left_at = %s
    WHERE m.segment_id = %s AND m.left_at IS NULL AND NOT EXISTS (SELECT FROM inside i WHERE i.id = m.contact_id)
), came AS (
    INSERT INTO segment_members (segment_id, contact_id, number, entered_at)
    SELECT %s, i.id, 1, %s FROM inside i
    LEFT JOIN segment_members m ON m.segment_id = %s AND m.contact_id = i.id
    WHERE m.id IS NULL OR m.left_at IS NOT NULL
    ON CONFLICT (segment_id, contact_id) DO UPDATE
    SET number = segment_members.number + 1, entered_at = EXCLUDED.entered_at, left_at = NULL
    RETURNING contact_id, number
)
INSERT INTO intake_contacts (intake_id, contact_id, entry)
SELECT lists.id, came.contact_id, 'segment:' || %s || ':' || came.number
FROM came CROSS JOIN unnest(%s::uuid[]) AS lists (id)
"""
EXISTING = (
    "INSERT INTO intake_contacts (intake_id, contact_id, entry) "
    "SELECT %s, contact_id, 'segment:' || %s || ':' || number FROM segment_members "
    "WHERE segment_id = %s AND left_at IS NULL"
)
# Who was deleted is outside, and what was noted of them goes.
FORGET = (
    "DELETE FROM segment_members m WHERE m.segment_id = %s AND m.left_at = %s "
    "AND NOT EXISTS (SELECT FROM contacts c WHERE c.id = m.contact_id)"
)


def look(now: datetime) -> None:
    """Note who entered and left each segment that active journeys start from, unless that was just done for all."""
    journeys: dict[str, list[Watched]] = defaultdict(list)
    for journey in watched("segment"):
        journeys[journey.config.segment].append(journey)
    rules = dict(
        Lookout.objects.filter(journey__live_version__trigger_type="segment").values_list("journey_id", "rule")
    )
    for segment in Segment.objects.filter(name__in=journeys).order_by("id"):
        begins = any(_segment_of(rules.get(journey.id)) != str(segment.id) for journey in journeys[segment.name])
        if _is_fresh(segment, now, begins=begins):
            continue
        try:
            note(segment.id, journeys[segment.name], now)
        except DataError:  # One segment's trouble is not the others'.
            logger.exception("a segment's members could not be noted", extra={"segment": str(segment.id)})


def _is_fresh(segment: Segment, now: datetime, *, begins: bool) -> bool:
    """Whether its members need not be noted yet. A journey that `begins` to wait misses who enters until they are."""
    if segment.noted_at is None:
        return False
    pause = max(SHORTEST_PAUSE, SHARE * timedelta(milliseconds=segment.noting_ms))
    return now - segment.noted_at < pause and not (begins and now > segment.noted_at)


def note(segment_id: UUID, journeys: Sequence[Watched], now: datetime) -> None:
    """Note who is in the segment, and put who entered on the list of each journey that was waiting before.

    One that begins to wait now takes those who are inside already only if it says so.
    """
    began = time.monotonic()
    with roomy():
        locked = lock_journeys({journey.id for journey in journeys}, skip_locked=True)
        if len(locked) < len(journeys):  # One is just being changed: who is noted without it never starts it.
            return
        waiting = [journey for journey in journeys if locked[journey.id].is_active]
        # Publishing a journey locks the segment's key only, so nobody waits for this.
        if not query("SELECT 1 FROM segments WHERE id = %s FOR NO KEY UPDATE SKIP LOCKED", [segment_id]):
            return
        segment = Segment.objects.get(id=segment_id)
        if segment.noted_at is not None and segment.noted_at >= now:
            return  # Another worker has done it since we looked.
        rules = dict(Lookout.objects.filter(journey_id__in=locked).values_list("journey_id", "rule"))
        known = [journey for journey in waiting if _segment_of(rules.get(journey.id)) == str(segment_id)]
        lists = [_list(segment, journey.id, now) for journey in known]
        _note(segment, lists, now)
        for journey in waiting:
            rule = f"{segment_id} {journey.config.include_existing}"
            if journey.config.include_existing and rules.get(journey.id) != rule:
                lists.append(_list_of_existing(segment, journey.id, now))
            Lookout.objects.update_or_create(journey_id=journey.id, defaults={"rule": rule, "looked_at": now})
        drop_empty([each for each in lists if not count(each, now)])
        _finish(segment, began, now)


def _segment_of(rule: str | None) -> str:
    return (rule or "").partition(" ")[0]


def _list(segment: Segment, journey_id: UUID, now: datetime, what: str = "entered") -> UUID:
    key = f"segment:{segment.id}:{what}:{now.isoformat()}"
    intake = open_intake(journey_id, key, {"segment": segment.name}, now)
    if intake is None:  # Under the segment's lock, each moment comes once.
        raise RuntimeError(f"there is an intake {key!r} already")
    return intake


def _list_of_existing(segment: Segment, journey_id: UUID, now: datetime) -> UUID:
    intake = _list(segment, journey_id, now, "existing")
    execute(EXISTING, [intake, str(segment.id), segment.id])
    return intake


def _note(segment: Segment, lists: Collection[UUID], now: datetime) -> None:
    inside, parameters = statement_of(audience(segment.condition, now))
    key = segment.id
    with connection.cursor() as cursor:
        values: list[Any] = [*parameters, now, key, key, now, key, str(key), list(lists)]
        cursor.execute(NOTE.replace("{inside}", inside), values)
    execute(FORGET, [key, now])


def _finish(segment: Segment, began: float, now: datetime) -> None:
    took = int((time.monotonic() - began) * 1000)
    Segment.objects.filter(id=segment.id).update(noted_at=now, noting_ms=took)
