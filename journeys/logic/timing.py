"""When a step is due. Delays elapse in UTC; local wall times obey the zone's DST rules.

A wall time that a DST gap skips means the first instant after the gap, one that comes twice means the first.
"""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from journeys.logic.effects import ScheduleNext

MAX_DELAY_MINUTES = 60 * 24 * 366 * 10
"""Ten years: what a delay may be, so that every due time is a date that PostgreSQL and Python can hold."""

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALL_DAYS = frozenset(range(7))


def step_due(
    previous_ended_at: datetime, delay_minutes: int, override: ScheduleNext | None, zone: ZoneInfo
) -> datetime:
    """The instant a step is meant for, given when the one before it ended and what that one said of it."""
    if override is None:
        return previous_ended_at + timedelta(minutes=delay_minutes)
    if override.at is not None:
        return next_local(previous_ended_at, override.at, override.days or ALL_DAYS, zone)
    return previous_ended_at + timedelta(minutes=override.delay_minutes or 0)


def next_local(after: datetime, at: time, days: frozenset[int], zone: ZoneInfo) -> datetime:
    """The first instant later than `after` that is `at` o'clock in `zone` on one of `days` (0 = Monday)."""
    day = after.astimezone(zone).date()
    for ahead in range(9):  # Eight days hold every weekday once after today; one more for a gap at midnight.
        candidate = day + timedelta(days=ahead)
        if candidate.weekday() in days:
            instant = at_local(datetime.combine(candidate, at), zone)
            if instant > after:
                return instant
    raise ValueError("days must name at least one weekday")


def at_local(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a naive wall time in `zone`, as UTC."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return first
    return _end_of_gap(wall, zone)


def _end_of_gap(wall: datetime, zone: ZoneInfo) -> datetime:
    # In a gap, fold=1 reads the wall time with the offset after it, which lies before the transition, and fold=0
    # with the offset before it, which lies behind: the transition itself is found between the two.
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    after = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    old_offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == old_offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
