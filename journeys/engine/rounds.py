"""What the clock and changes of people start: looked at every minute, one kind of trigger after the other."""

from datetime import datetime, timedelta

from journeys.engine import dates, schedules, segments
from journeys.engine.clock import Clock
from journeys.engine.intakes import take_in
from journeys.models import Intake

KEPT = timedelta(days=30)
"""How long a finished list is remembered: a request to start people that comes again later starts them again."""


def look(now: datetime) -> None:
    """Write down all those who are to be started; `take_in` starts them."""
    schedules.look(now)
    dates.look(now)
    segments.look(now)
    Intake.objects.filter(finished_at__lt=now - KEPT).delete()


def look_and_take_in(clock: Clock) -> int:
    """Look, and start everybody whom that found; how many those were."""
    look(clock())
    total = 0
    while started := take_in(clock):
        total += started
    return total
