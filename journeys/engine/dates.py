"""Journeys on a date of the contact's: found when the hour comes where they are, each date once.

Only the zones whose hour has come since the last look are looked at, so a look costs nothing most minutes. The date
that somebody was found for is remembered as detections are.
"""

import json
import zoneinfo
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings

from journeys.engine import lookouts
from journeys.engine.intakes import count, drop_empty, open_intake
from journeys.engine.lookouts import Watched
from journeys.engine.sql import execute
from journeys.engine.trigger_configs import DateConfig
from journeys.logic.calendar import every_day, latest, yearly_dates

LONGEST_LATENESS = timedelta(days=1)
"""After an outage, a date that was missed by more is past."""

# An attribute is text that may be anything: what begins as a date counts as that date, whatever zone follows.
FOUND = r"""
INSERT INTO detections (journey_id, contact_id, marker, found_at)
SELECT %(journey)s, c.id, h.day::text, %(now)s
FROM contacts c JOIN unnest(%(zones)s::text[], %(days)s::date[], %(moments)s::timestamptz[]) AS h (zone, day, moment)
    ON h.zone = CASE WHEN c.timezone = ANY(%(known)s) THEN c.timezone ELSE '' END
LEFT JOIN detections d ON d.journey_id = %(journey)s AND d.contact_id = c.id
WHERE c.attributes->>%(attribute)s ~ '^\d{4}-\d{2}-\d{2}($|[T ])' AND c.created_at <= h.moment
    AND d.marker IS DISTINCT FROM h.day::text AND {matches}
ORDER BY c.id
ON CONFLICT (journey_id, contact_id) DO UPDATE SET marker = EXCLUDED.marker, found_at = EXCLUDED.found_at
WHERE detections.marker IS DISTINCT FROM EXCLUDED.marker
RETURNING contact_id, marker
"""
ONCE = "left(c.attributes->>%(attribute)s, 10) = h.day::text"
YEARLY = (
    "substr(c.attributes->>%(attribute)s, 6, 5) = ANY(string_to_array(%(yearly)s::jsonb->>h.day::text, ' ')) "
    "AND left(c.attributes->>%(attribute)s, 4) < to_char(h.day, 'YYYY')"
)


class _Hour(NamedTuple):
    """In this zone ('' is the project's) the hour came at `moment`, for those whose date is `day`."""

    zone: str
    day: date
    moment: datetime


def look(now: datetime) -> None:
    """Open a list for those whose hour has come."""
    lookouts.each("date", _rule, _look, now)


def _rule(config: DateConfig) -> str:
    return f"{config.when} {config.days} {config.at} {config.attribute}"


def _look(journey: Watched, looked_at: datetime, now: datetime) -> bool:
    config: DateConfig = journey.config
    since = max(looked_at, now - LONGEST_LATENESS)
    hours = [hour for hour in _hours(config, now) if since < hour.moment <= now]
    if not hours:
        return False
    intake = open_intake(
        journey.id, f"date:{now.isoformat()}", {"attribute": config.attribute, "days": config.days}, now
    )
    if intake is None:
        return False
    statement = FOUND.replace("{matches}", ONCE if config.when == "once" else YEARLY)
    execute(
        f"WITH found AS ({statement}) INSERT INTO intake_contacts (intake_id, contact_id, entry) "
        "SELECT %(intake)s, contact_id, 'date:' || marker FROM found",
        {
            "journey": journey.id,
            "intake": intake,
            "attribute": config.attribute,
            "now": now,
            **_parameters(hours, config),
        },
    )
    drop_empty([intake] if not count(intake, now) else [])
    return True


def _parameters(hours: list[_Hour], config: DateConfig) -> Mapping[str, object]:
    yearly = {str(hour.day): " ".join(yearly_dates(hour.day)) for hour in hours}
    return {
        "zones": [hour.zone for hour in hours],
        "days": [hour.day for hour in hours],
        "moments": [hour.moment for hour in hours],
        "known": list(zones()),
    } | ({"yearly": json.dumps(yearly)} if config.when == "anniversary" else {})


def _hours(config: DateConfig, now: datetime) -> list[_Hour]:
    """When the hour came last in each zone, and the date that it was for."""
    at, found = time.fromisoformat(config.at), []
    for name in ("", *zones()):
        zone = _zone(name or settings.TIME_ZONE)
        moment = latest(every_day, at, now, zone)
        found.append(_Hour(name, moment.astimezone(zone).date() - timedelta(days=config.days), moment))
    return found


@cache
def _zone(name: str) -> ZoneInfo:
    """Read from its file once: ZoneInfo's own cache holds only a few."""
    return ZoneInfo(name)


@cache
def zones() -> tuple[str, ...]:
    """All that contacts may be in; whoever is in another counts as in the project's."""
    return tuple(sorted(zoneinfo.available_timezones()))
