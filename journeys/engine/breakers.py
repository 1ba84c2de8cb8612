"""Circuit breakers: a destination that fails again and again is left alone, and probed by one message a minute.

A breaker is a row that all workers share. Nothing of what waits for one is stored but when to look again.
"""

import logging
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from journeys.actions.base import Outgoing
from journeys.actions.registry import CHANNELS
from journeys.engine.sql import execute, query
from journeys.logic.effects import Delivered, Outcome
from journeys.logic.limits import SKEW, wait_for_probe, wait_until_free

logger = logging.getLogger(__name__)


def held(messages: Iterable[Outgoing], now: datetime) -> tuple[dict[UUID, datetime], set[UUID]]:
    """What must wait for its destination, and until when; and what is a probe: where one is due, this batch's first
    message is it."""
    groups: dict[str, list[Outgoing]] = {}
    for message in messages:
        groups.setdefault(CHANNELS[message.channel].destination(message), []).append(message)
    rows = query(
        "SELECT destination, opened_at, probe_at, busy_until FROM breakers WHERE destination = ANY(%s) "
        "AND (opened_at IS NOT NULL OR busy_until > %s)",
        [list(groups), now],
    )
    probed = _take_probes([row[0] for row in rows if row[1] and not _is_later(row[3], now)], now)
    waits: dict[UUID, datetime] = {}
    for destination, opened_at, probe_at, busy_until in rows:
        waiting = groups[destination][1 if destination in probed else 0 :]
        for number, message in enumerate(waiting):
            chance = random.random() if number else 0.0  # Somebody must be there when the time comes.
            if _is_later(busy_until, now):
                at = wait_until_free(busy_until, now, chance)
            else:
                at = wait_for_probe(opened_at, probed.get(destination, probe_at), now, chance)
            waits[message.id] = at
    return waits, {groups[destination][0].id for destination in probed}


def _is_later(busy_until: datetime | None, now: datetime) -> bool:
    return busy_until is not None and busy_until > now


def _take_probes(destinations: Sequence[str], now: datetime) -> dict[str, datetime]:
    """Which of these open breakers let a probe through now: one of all workers gets it. And when the next is due."""
    if not destinations:
        return {}
    rows = query(
        "UPDATE breakers SET probe_at = %(next)s WHERE destination IN (SELECT destination FROM breakers "
        "WHERE destination = ANY(%(destinations)s) AND opened_at IS NOT NULL "
        "AND (probe_at <= %(now)s OR probe_at > %(next)s + %(skew)s) FOR UPDATE SKIP LOCKED) "
        "RETURNING destination, probe_at",
        {"destinations": list(destinations), "now": now, "next": now + _probe_interval(), "skew": SKEW},
    )
    return dict(rows)


def _probe_interval() -> timedelta:
    return timedelta(seconds=settings.JOURNEYS["BREAKER_PROBE_SECONDS"])


@dataclass(slots=True)
class _Heard:
    """What a lot of outcomes says of one destination: failures since it last answered, and whether it did."""

    channel: str
    answered: bool = False
    failures: int = 0
    busy_until: datetime | None = None
    error: str = ""


def learn(outcomes: Mapping[UUID, Outcome], messages: Mapping[UUID, Outgoing], now: datetime) -> None:
    """Note what these sends say of their destinations. In a transaction of its own, so that no lock is held for long.

    Should a worker die before, a failure is not counted; the next one will be.
    """
    heard: dict[str, _Heard] = {}
    for key, outcome in outcomes.items():
        channel = CHANNELS[messages[key].channel]
        destination = channel.destination(messages[key])
        if destination and not (isinstance(outcome, Delivered) and outcome.captured):
            _hear(heard.setdefault(destination, _Heard(channel.channel)), outcome, now)
    _close([destination for destination, it in heard.items() if it.answered], now)
    _count({destination: it for destination, it in heard.items() if it.failures or it.busy_until}, now)


def _hear(it: _Heard, outcome: Outcome, now: datetime) -> None:
    if isinstance(outcome, Delivered) or outcome.destination == "well":
        it.answered, it.failures = True, 0
        return
    it.error = outcome.error
    if outcome.destination == "busy":
        engine = settings.JOURNEYS
        asked = min(outcome.retry_after or engine["RETRY_BASE_SECONDS"], engine["RETRY_AFTER_CAP_SECONDS"])
        until = now + timedelta(seconds=asked)
        it.busy_until = max(it.busy_until or until, until)
    if outcome.destination == "busy" and outcome.retry_after:
        it.answered, it.failures = True, 0
    else:  # Who is busy and doesn't say for how long gets a pause, and an open breaker if nothing else is heard.
        it.failures += 1


def _close(destinations: Sequence[str], now: datetime) -> None:
    if not destinations:
        return
    closed = query(
        "WITH failing AS (SELECT destination, opened_at FROM breakers WHERE destination = ANY(%s) AND failures > 0 "
        "ORDER BY destination FOR UPDATE) "
        "UPDATE breakers b SET failures = 0, opened_at = NULL, probe_at = NULL, updated_at = %s FROM failing "
        "WHERE b.destination = failing.destination RETURNING b.destination, failing.opened_at",
        [list(destinations), now],
    )
    for destination, opened_at in closed:
        if opened_at is not None:
            logger.warning("a breaker closed", extra={"destination": destination})


def _count(heard: Mapping[str, _Heard], now: datetime) -> None:
    if not heard:
        return
    rows = query(
        "INSERT INTO breakers AS b (destination, channel, failures, busy_until, last_error, updated_at, opened_at, "
        "probe_at) SELECT new.*, %(now)s, CASE WHEN failures >= %(limit)s THEN %(now)s END, "
        "CASE WHEN failures >= %(limit)s THEN %(probe)s END FROM unnest(%(destinations)s::text[], "
        "%(channels)s::text[], %(failures)s::int[], %(busy)s::timestamptz[], %(errors)s::text[]) "
        "AS new (destination, channel, failures, busy_until, last_error) ORDER BY destination "
        "ON CONFLICT (destination) DO UPDATE SET channel = EXCLUDED.channel, "
        "failures = b.failures + EXCLUDED.failures, busy_until = GREATEST(b.busy_until, EXCLUDED.busy_until), "
        "last_error = EXCLUDED.last_error, updated_at = EXCLUDED.updated_at, "
        "opened_at = CASE WHEN b.failures + EXCLUDED.failures >= %(limit)s THEN COALESCE(b.opened_at, %(now)s) END, "
        "probe_at = CASE WHEN b.failures + EXCLUDED.failures >= %(limit)s THEN COALESCE(b.probe_at, %(probe)s) END "
        "RETURNING destination, opened_at",
        {
            "now": now,
            "probe": now + _probe_interval(),
            "limit": settings.JOURNEYS["BREAKER_FAILURES"],
            "destinations": list(heard),
            "channels": [it.channel for it in heard.values()],
            "failures": [it.failures for it in heard.values()],
            "busy": [it.busy_until for it in heard.values()],
            "errors": [it.error for it in heard.values()],
        },
    )
    for destination, opened_at in rows:
        if opened_at == now:
            logger.warning("a breaker opened", extra={"destination": destination})


def forget(destination: str) -> bool:
    """Close a breaker by hand, whatever it waits for; whether there was one. What waits comes back by and by."""
    return bool(execute("DELETE FROM breakers WHERE destination = %s", [destination]))


def tidy(now: datetime) -> None:
    """Remove breakers that are closed, or that nobody asked for during a day."""
    execute(
        "DELETE FROM breakers WHERE destination IN (SELECT destination FROM breakers WHERE updated_at < %(day)s OR "
        "(failures = 0 AND (busy_until IS NULL OR busy_until < %(hour)s) AND updated_at < %(hour)s) "
        "FOR UPDATE SKIP LOCKED)",
        {"day": now - timedelta(days=1), "hour": now - timedelta(hours=1)},
    )
