"""Taking in people who enter a journey together: written down in one statement, then started in batches.

Each leaves the list in the transaction of the event that starts them, so nobody is started twice or forgotten, however
many workers are at it and whenever one dies. Locks: journey, then the list's rows, then contacts.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import QuerySet

from journeys.engine.clock import Clock
from journeys.engine.flows import lock_journeys
from journeys.engine.ingest import Incoming, ingest
from journeys.engine.sql import execute, query, uuids
from journeys.models import Contact, EventSource, Intake
from journeys.models.ids import new_id

logger = logging.getLogger(__name__)

FOUND_BY = ("segment", "attribute")
"""What of a trigger's settings the people of a list were found by: edited, they are not meant any more."""
BY_HAND = "manual"
"""How the keys begin of lists that somebody chose; those of the others begin with the kind of their trigger, too."""
BATCH = 500
"""People started in one transaction."""


def open_intake(journey_id: UUID, key: str, properties: Mapping[str, Any], now: datetime) -> UUID | None:
    """An empty list for a journey, to be filled in the same transaction; None where there was one of this key."""
    intake = Intake(id=new_id(now), journey_id=journey_id, key=key, properties=dict(properties), created_at=now)
    Intake.objects.bulk_create([intake], ignore_conflicts=True)
    return intake.id if Intake.objects.filter(id=intake.id).exists() else None


def fill(intake_id: UUID, people: QuerySet[Contact], now: datetime) -> int:
    """Write all of them down, in one statement; how many those are."""
    statement, parameters = statement_of(people)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO intake_contacts (intake_id, contact_id) SELECT %s, chosen.id FROM ({statement}) AS chosen",
            [intake_id, *parameters],
        )
    return count(intake_id, now)


def count(intake_id: UUID, now: datetime) -> int:
    """Note how many there are in a list that was filled; one without anybody is finished.

    Who fills lists all the time drops the empty ones.
    """
    ((people,),) = query("SELECT count(*) FROM intake_contacts WHERE intake_id = %s", [intake_id])
    Intake.objects.filter(id=intake_id).update(people=people, finished_at=None if people else now)
    return int(people)


def drop_empty(intakes: Collection[UUID]) -> None:
    Intake.objects.filter(id__in=intakes, people=0).delete()


def close(journey_id: UUID, now: datetime) -> None:
    """Let nobody start any more whom the trigger of a journey found, as it is switched off, under its lock: later it
    would be too late for what that was for. Those whom somebody chose wait until it is on."""
    execute(
        "UPDATE intakes SET finished_at = %s "
        "WHERE journey_id = %s AND finished_at IS NULL AND NOT starts_with(key, %s)",
        [now, journey_id, f"{BY_HAND}:"],
    )


def statement_of(people: QuerySet[Contact]) -> tuple[str, Sequence[Any]]:
    """A SELECT of their ids, with its parameters."""
    try:
        statement, parameters = people.order_by().values("id").query.sql_with_params()
    except EmptyResultSet:
        return "SELECT id FROM contacts WHERE false", ()
    return statement, parameters


def is_anybody_waiting() -> bool:
    return Intake.objects.filter(finished_at=None).exists()


def take_in(clock: Clock, limit: int | None = None) -> int:
    """Start a batch of each unfinished list, or `limit` people of each; how many were taken off."""
    unfinished = Intake.objects.filter(finished_at=None).order_by("created_at", "id")
    total = 0
    for intake_id, journey_id, key in unfinished.values_list("id", "journey_id", "key"):
        try:
            total += _batch(intake_id, journey_id, key, clock(), limit or BATCH)
        except (DataError, IntegrityError):  # One list's trouble is not the others'.
            logger.exception("people could not be taken in", extra={"intake": str(intake_id)})
    return total


@transaction.atomic
def _batch(intake_id: UUID, journey_id: UUID, key: str, now: datetime, limit: int) -> int:
    journey = lock_journeys({journey_id}).get(journey_id)
    if journey is None or not journey.is_active:  # Deleted with its lists, or off: `close` says what of them is left.
        return 0
    taken = query(
        "DELETE FROM intake_contacts WHERE id IN (SELECT id FROM intake_contacts WHERE intake_id = %s "
        "ORDER BY contact_id LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING contact_id, entry",
        [intake_id, limit],
    )
    if taken:
        _start(intake_id, journey_id, key, taken, now)
        return len(taken)
    # Others may have the last rows: who finds none at all notes the end.
    execute(
        "UPDATE intakes SET finished_at = %s WHERE id = %s AND finished_at IS NULL "
        "AND NOT EXISTS (SELECT FROM intake_contacts c WHERE c.intake_id = intakes.id)",
        [now, intake_id],
    )
    return 0


def _start(intake_id: UUID, journey_id: UUID, key: str, taken: Sequence[tuple[UUID, str]], now: datetime) -> None:
    version = "journey__live_version__"
    fields = ("properties", f"{version}trigger_type", f"{version}definition__trigger_config")
    properties, trigger_type, config = Intake.objects.filter(id=intake_id).values_list(*fields).get()
    user_ids = dict(query("SELECT id, user_id FROM contacts WHERE id = ANY(%s)", [uuids(each for each, _ in taken)]))
    kind = key.partition(":")[0]
    by_another = kind != BY_HAND and any(
        name in properties and properties[name] != config.get(name) for name in FOUND_BY
    )
    if trigger_type != kind or by_another:
        logger.info("a journey has another trigger now", extra={"journey": str(journey_id), "intake": str(intake_id)})
        return
    only = frozenset({journey_id})
    events = [
        Incoming(
            user_ids[contact_id],
            kind,
            properties,
            message_id=f"{entry or key}:{journey_id}",
            occurred_at=now,
            source=EventSource.DETECTOR,
            journeys=only,
            entry_key=entry or key,
        )
        for contact_id, entry in taken
        if contact_id in user_ids  # Else they were deleted.
    ]
    ingest(events, now)
