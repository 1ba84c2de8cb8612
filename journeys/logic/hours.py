"""The hours in which a step may be taken: its window, and the journey's quiet hours, by the clock where the contact is.

What counts is what that clock shows. So hours that it skips in spring are no hours that day, and those that it shows
twice in autumn are hours twice.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from journeys.logic.timing import ALL_DAYS, WEEKDAYS, at_local

DAYS_AHEAD = 16
"""Every weekday comes twice in so many days: once it may have lost its hours to a change of the clock."""
MINUTES_A_DAY = 24 * 60
_STEPS_OF_BISECTION = 18  # A day, down to less than a second.


@dataclass(frozen=True, slots=True)
class Span:
    """Hours of the day on some weekdays: from `start` up to, not including, `end`; the whole day where both are None.

    A span that ends before it starts goes over midnight, and belongs to the weekday on which it starts.
    """

    days: frozenset[int] = ALL_DAYS
    start: time | None = None
    end: time | None = None

    @classmethod
    def of(cls, raw: Mapping[str, Any] | None) -> "Span | None":
        """The span of a document's `{days, from, to}`, which is valid; None where there is none."""
        if not raw:
            return None
        days = frozenset(map(WEEKDAYS.index, raw.get("days") or WEEKDAYS))
        start, end = raw.get("from"), raw.get("to")
        return cls(days, time.fromisoformat(start) if start else None, time.fromisoformat(end) if end else None)

    def __str__(self) -> str:
        """ "Mon–Fri 09:00–17:00"."""
        chosen = sorted(self.days)
        names = [WEEKDAYS[day].capitalize() for day in chosen]
        is_row = len(chosen) > 2 and chosen[-1] - chosen[0] == len(chosen) - 1
        days = "" if len(chosen) == 7 else f"{names[0]}–{names[-1]}" if is_row else ", ".join(names)
        hours = f"{self.start:%H:%M}–{self.end:%H:%M}" if self.start is not None and self.end is not None else ""
        return " ".join(filter(None, [days, hours])) or "any time"

    def holds(self, weekday: int, at: time) -> bool:
        """Whether that time of that weekday (0 = Monday) lies in it."""
        if self.start is None or self.end is None:
            return weekday in self.days
        if self.start < self.end:
            return weekday in self.days and self.start <= at < self.end
        return (weekday in self.days and at >= self.start) or ((weekday - 1) % 7 in self.days and at < self.end)


@dataclass(frozen=True, slots=True)
class Hours:
    """When a step may be taken: within `window`, outside `quiet`. None is no limit."""

    window: Span | None = None
    quiet: Span | None = None

    def is_open(self, weekday: int, at: time) -> bool:
        """Whether that time of that weekday is one of these hours."""
        if self.window is not None and not self.window.holds(weekday, at):
            return False
        return self.quiet is None or not self.quiet.holds(weekday, at)

    def is_ever_open(self) -> bool:
        """Whether any minute of the week is one of these hours."""
        minutes = (time(minute // 60, minute % 60) for minute in range(MINUTES_A_DAY))
        return any(self.is_open(weekday, at) for at in minutes for weekday in range(7))

    def first_from(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """The first instant of these hours in `zone` from `moment` on. Raises ValueError if there is none."""
        if self._is_open_at(moment, zone):
            return moment
        day = moment.astimezone(zone).date() - timedelta(days=1)
        for ahead in range(DAYS_AHEAD + 1):
            for instant in sorted(self._openings(day + timedelta(days=ahead), zone)):
                if instant > moment and self._is_open_at(instant, zone):
                    return instant
        raise ValueError("the quiet hours leave nothing of this step's window")

    def _is_open_at(self, moment: datetime, zone: ZoneInfo) -> bool:
        wall = moment.astimezone(zone)
        return self.is_open(wall.weekday(), wall.time())

    def _openings(self, day: date, zone: ZoneInfo) -> Iterator[datetime]:
        """The instants of that day at which these hours can begin."""
        window_starts = self.window.start if self.window is not None else None
        for at in {time(), window_starts or time(), (self.quiet.end if self.quiet is not None else None) or time()}:
            wall = datetime.combine(day, at)
            yield at_local(wall, zone)
            yield wall.replace(tzinfo=zone, fold=1).astimezone(UTC)  # Where the clock shows it a second time.
        if change := _change_of_clock(day, zone):
            yield change


def _change_of_clock(day: date, zone: ZoneInfo) -> datetime | None:
    """The instant of that day at which the clock is put forward or back."""
    before = datetime.combine(day, time(), zone).astimezone(UTC)
    after = before + timedelta(days=1)
    offset = before.astimezone(zone).utcoffset()
    if after.astimezone(zone).utcoffset() == offset:
        return None
    for _ in range(_STEPS_OF_BISECTION):
        middle = before + (after - before) / 2
        before, after = (middle, after) if middle.astimezone(zone).utcoffset() == offset else (before, middle)
    return after.replace(microsecond=0)
