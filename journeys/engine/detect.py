"""Detectors: events that nobody reports, found by SQL over all contacts.

Each remembers whom it found for which journey, and by what marker (the spell, the date, the crossing), in the same
transaction as the event, so that nobody is found twice, also long after events were pruned.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import DataError, transaction

from journeys.actions.base import ConfigError
from journeys.engine.ingest import Incoming, ingest
from journeys.engine.sql import execute, query
from journeys.engine.trigger_configs import ChurnConfig, ExpiringConfig, IdleConfig, TriggerConfig
from journeys.engine.triggers import parse_trigger
from journeys.models import EventSource, Journey

logger = logging.getLogger(__name__)

BATCH = 1_000
"""Contacts found in one transaction."""


@dataclass(frozen=True, slots=True)
class Detector:
    """`find(config, now)` gives a condition on contacts `c`, an SQL text `marker`, and the parameters of both."""

    find: Callable[[Any, datetime], tuple[str, str, dict[str, Any]]]
    properties: Callable[[Any, str], dict[str, Any]]


def _idle(config: IdleConfig, now: datetime) -> tuple[str, str, dict[str, Any]]:
    condition = "COALESCE(c.last_event_at, c.created_at) <= %(idle_since)s"
    marker = "to_char(COALESCE(c.last_event_at, c.created_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"
    return condition, marker, {"idle_since": now - timedelta(days=config.idle_days)}


# A date in JSON may be anything, so it is looked at only when PostgreSQL says that it can be read; the pattern keeps
# out words such as "tomorrow" and "infinity", which it reads too.
_DATE = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}(:?\d{2})?)?)?$"


def _expiring(config: ExpiringConfig, now: datetime) -> tuple[str, str, dict[str, Any]]:
    text = "c.attributes->>%(attribute)s"
    condition = (
        f"CASE WHEN {text} ~ %(date)s AND pg_input_is_valid({text}, 'timestamptz') "
        f"THEN ({text})::timestamptz BETWEEN %(now)s AND %(until)s ELSE false END"
    )
    until = now + timedelta(days=config.days_before)
    parameters = {"attribute": config.date_attribute, "date": _DATE, "now": now, "until": until}
    return condition, f"left({text}, 64)", parameters


def _churning(config: ChurnConfig, now: datetime) -> tuple[str, str, dict[str, Any]]:
    score = "c.attributes->%(attribute)s"
    condition = f"CASE WHEN jsonb_typeof({score}) = 'number' THEN ({score})::numeric >= %(threshold)s ELSE false END"
    return condition, "'over'", {"attribute": config.score_attribute, "threshold": config.threshold}


DETECTORS = {
    "idle_user": Detector(_idle, lambda config, marker: {"idle_days": config.idle_days}),
    "subscription_expiring": Detector(
        _expiring, lambda config, marker: {config.date_attribute: marker, "days_before": config.days_before}
    ),
    "churn_risk": Detector(_churning, lambda config, marker: {"threshold": config.threshold}),
}


def detect(now: datetime) -> int:
    """Find everyone whom an active journey's detector should find; how many events that made."""
    live = Journey.objects.filter(is_active=True, live_version__trigger_type__in=DETECTORS)
    rows = live.values_list("id", "live_version__trigger_type", "live_version__definition__trigger_config")
    total = 0
    for journey_id, kind, raw in rows:
        try:
            total += _detect_for(journey_id, kind, parse_trigger(kind, raw), now)
        except (ConfigError, DataError):  # One journey's settings, or what it looks at; the others want theirs.
            logger.exception("a detector failed", extra={"journey": str(journey_id)})
    return total


def _detect_for(journey_id: UUID, kind: str, config: TriggerConfig, now: datetime) -> int:
    detector = DETECTORS[kind]
    condition, marker, parameters = detector.find(config, now)
    parameters |= {"journey": journey_id, "found_at": now}
    if kind == "churn_risk":  # Who fell below the threshold may cross it again.
        execute(
            "DELETE FROM detections d USING contacts c WHERE d.journey_id = %(journey)s AND c.id = d.contact_id "
            f"AND NOT ({condition})",
            parameters,
        )
    total = 0
    while found := _batch(condition, marker, parameters, kind, detector, config, now):
        total += found
    return total


@transaction.atomic
def _batch(
    condition: str,
    marker: str,
    parameters: dict[str, Any],
    kind: str,
    detector: Detector,
    config: TriggerConfig,
    now: datetime,
) -> int:
    found = query(
        f"INSERT INTO detections (journey_id, contact_id, marker, found_at) "
        f"SELECT %(journey)s, c.id, {marker}, %(found_at)s FROM contacts c "
        f"LEFT JOIN detections d ON d.journey_id = %(journey)s AND d.contact_id = c.id "
        f"WHERE {condition} AND d.marker IS DISTINCT FROM {marker} ORDER BY c.id LIMIT {BATCH} "
        "ON CONFLICT (journey_id, contact_id) DO UPDATE SET marker = EXCLUDED.marker, found_at = EXCLUDED.found_at "
        "WHERE detections.marker IS DISTINCT FROM EXCLUDED.marker "
        "RETURNING contact_id, marker",
        parameters,
    )
    user_ids = dict(query("SELECT id, user_id FROM contacts WHERE id = ANY(%s)", [[key for key, _ in found]]))
    journeys = frozenset({parameters["journey"]})
    events = [
        Incoming(user_ids[key], kind, detector.properties(config, spell), None, now, EventSource.DETECTOR, journeys)
        for key, spell in found
    ]
    if events:
        ingest(events, now)
    return len(found)
