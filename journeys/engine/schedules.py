"""Journeys on a schedule: each slot starts its audience once. Of slots that an outage missed, the latest counts."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import croniter
from django.conf import settings
from django.db.models import QuerySet

from journeys.engine import lookouts
from journeys.engine.audience import audience, roomy
from journeys.engine.intakes import fill, open_intake
from journeys.engine.lookouts import Watched
from journeys.engine.trigger_configs import ScheduleConfig
from journeys.logic.calendar import every_day, latest, on_day_of_month, on_weekdays
from journeys.logic.instants import iso
from journeys.logic.timing import at_local
from journeys.models import Contact, Segment

OLDEST_SLOT = timedelta(days=366)


def look(now: datetime) -> None:
    """Open a list for each slot that has come."""
    lookouts.each("schedule", lambda config: config.timing, _look, now)


def _look(journey: Watched, looked_at: datetime, now: datetime) -> bool:
    config: ScheduleConfig = journey.config
    slot = latest_slot(config, now)
    if slot is None or slot <= looked_at:
        return False
    people = people_of(config, now)
    with roomy():
        intake = open_intake(journey.id, f"schedule:{slot.isoformat()}", {"slot": iso(slot)}, now)
        if intake is not None:
            fill(intake, people, now)
    return True


def latest_slot(config: ScheduleConfig, now: datetime) -> datetime | None:
    """The last moment, `now` included, that the schedule names; None where it named none in a year."""
    zone = ZoneInfo(config.timezone or settings.TIME_ZONE)
    match config.every:
        case "day":
            return latest(every_day, config.time, now, zone)
        case "week":
            return latest(on_weekdays(config.weekday_numbers), config.time, now, zone)
        case "month":
            return latest(on_day_of_month(config.day), config.time, now, zone)
    return _latest_of_cron(config.cron, now, zone)


def _latest_of_cron(cron: str, now: datetime, zone: ZoneInfo) -> datetime | None:
    """On wall times without a zone, so that clock changes mean here what they mean everywhere else."""
    wall = now.astimezone(zone).replace(tzinfo=None)
    times = croniter(cron, wall + timedelta(seconds=1), max_years_between_matches=1)
    while True:
        try:
            candidate: datetime = times.get_prev(datetime)
        except ValueError:  # A 30th of February.
            return None
        instant = at_local(candidate, zone)
        if instant < now - OLDEST_SLOT:
            return None
        if instant <= now:
            return instant


def people_of(config: ScheduleConfig, now: datetime) -> QuerySet[Contact]:
    """Whom it starts. Raises Segment.DoesNotExist."""
    people = audience(config.condition, now)
    if config.segment:
        people &= audience(Segment.objects.get(name=config.segment).condition, now)
    return people
