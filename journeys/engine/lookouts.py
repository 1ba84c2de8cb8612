"""Looking for whom the clock or a change of people should start: segments, schedules and dates.

A lookout remembers up to when a journey was looked after, and is locked while somebody does it: two workers find nobody
twice. There is one only while the journey is on. What a journey did not see because it was off, or had another rule, is
past for it.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import DataError, transaction

from journeys.actions.base import ConfigError
from journeys.engine.flows import lock_journeys
from journeys.engine.sql import execute, query
from journeys.engine.triggers import parse_trigger
from journeys.models import Journey, Lookout, Segment

logger = logging.getLogger(__name__)


class Watched(NamedTuple):
    """An active journey with its trigger. `since` is when it came to be what it is."""

    id: UUID
    config: Any
    since: datetime


def watched(kind: str) -> Iterator[Watched]:
    """The active journeys with that trigger."""
    live = Journey.objects.filter(is_active=True, live_version__trigger_type=kind).order_by("id")
    rows = live.values_list("id", "live_version__definition__trigger_config", "updated_at", "live_version__created_at")
    for journey_id, raw, updated_at, published_at in rows:
        try:
            yield Watched(journey_id, parse_trigger(kind, raw), max(updated_at, published_at))
        except ConfigError:  # The others want theirs.
            logger.exception("a trigger can't be read", extra={"journey": str(journey_id)})


def forget(journey_id: UUID) -> None:
    """Look after a journey no more, as it is switched off, under its lock: switched on again, it begins anew."""
    execute("DELETE FROM lookouts WHERE journey_id = %s", [journey_id])


def each(
    kind: str, rule: Callable[[Any], str], look: Callable[[Watched, datetime, datetime], bool], now: datetime
) -> None:
    """Let `look` see each journey of that trigger with the time up to which was looked before; it says whether that
    was of use. `rule` names what the journey is to be looked after by."""
    for journey in watched(kind):
        try:
            _one(journey, rule(journey.config), look, now)
        except (DataError, Segment.DoesNotExist):  # One journey's trouble is not the others'.
            logger.exception("a lookout failed", extra={"journey": str(journey.id)})


@transaction.atomic
def _one(journey: Watched, rule: str, look: Callable[[Watched, datetime, datetime], bool], now: datetime) -> None:
    if not (locked := lock_journeys({journey.id}, skip_locked=True)) or not locked[journey.id].is_active:
        return
    looked_at = looked_until(journey, rule)
    if look(journey, looked_at, now):
        Lookout.objects.filter(journey_id=journey.id).update(looked_at=now)


def looked_until(journey: Watched, rule: str) -> datetime:
    """Up to when was looked by this rule, under the lookout's lock; it is made where there is none."""
    since = journey.since
    execute(
        "INSERT INTO lookouts (journey_id, rule, looked_at) VALUES (%s, %s, %s) ON CONFLICT (journey_id) "
        "DO UPDATE SET rule = EXCLUDED.rule, looked_at = EXCLUDED.looked_at WHERE lookouts.rule <> EXCLUDED.rule",
        [journey.id, rule, since],
    )
    ((looked_at,),) = query("SELECT looked_at FROM lookouts WHERE journey_id = %s FOR UPDATE", [journey.id])
    found: datetime = looked_at
    return found
