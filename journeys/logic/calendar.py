"""When something regular was last meant to happen, and whose yearly day it is. Wall times obey timing's DST rules."""

import calendar
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from journeys.logic.timing import at_local

IsDay = Callable[[date], bool]
LONGEST_PAUSE = timedelta(days=62)
"""Between two days of any rule here lie fewer."""


def every_day(day: date) -> bool:
    return True


def on_weekdays(numbers: frozenset[int]) -> IsDay:
    """0 is Monday."""
    return lambda day: day.weekday() in numbers


def on_day_of_month(number: int) -> IsDay:
    """In a month that is shorter, its last day."""
    return lambda day: day.day == min(number, calendar.monthrange(day.year, day.month)[1])


def latest(is_day: IsDay, at: time, now: datetime, zone: ZoneInfo) -> datetime:
    """The last instant, `now` included, that was `at` o'clock in `zone` on such a day. Raises ValueError for none."""
    today = now.astimezone(zone).date()
    for ago in range(LONGEST_PAUSE.days + 1):
        day = today - timedelta(days=ago)
        if is_day(day) and (instant := at_local(datetime.combine(day, at), zone)) <= now:
            return instant
    raise ValueError("there is no such day in two months")


def yearly_dates(day: date) -> tuple[str, ...]:
    """The months and days (`03-01`) whose anniversary is on that day: a 29th of February's is, in other years, the
    day before the first of March."""
    own = f"{day:%m-%d}"
    return (own, "02-29") if own == "02-28" and not calendar.isleap(day.year) else (own,)
