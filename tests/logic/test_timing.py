"""Due times: delays in UTC, wall times in a zone, and the two nights a year when the clock is moved."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.logic.effects import ScheduleNext
from journeys.logic.timing import ALL_DAYS, at_local, next_local, step_due

NEW_YORK, AUCKLAND, BERLIN = ZoneInfo("America/New_York"), ZoneInfo("Pacific/Auckland"), ZoneInfo("Europe/Berlin")
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu"]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def test_a_delay_elapses_whatever_the_clock_on_the_wall_does():
    before = utc(2026, 3, 8, 6, 30)  # Half an hour before New York moves its clock.
    assert step_due(before, 60, None, NEW_YORK) == utc(2026, 3, 8, 7, 30)


def test_a_new_delay_of_minutes_replaces_the_steps_own():
    assert step_due(utc(2026, 3, 1), 60, ScheduleNext(delay_minutes=5), BERLIN) == utc(2026, 3, 1, 0, 5)


def test_nine_in_new_york_stays_nine_across_spring_forward():
    nine = ScheduleNext(at=time(9))
    assert step_due(utc(2026, 3, 7, 15), 0, nine, NEW_YORK) == utc(2026, 3, 8, 13)
    assert step_due(utc(2026, 3, 6, 15), 0, nine, NEW_YORK) == utc(2026, 3, 7, 14)


def test_monday_in_auckland_is_monday_there():
    monday = next_local(utc(2026, 3, 1, 0), time(8), frozenset({0}), AUCKLAND)
    assert monday.astimezone(AUCKLAND) == datetime(2026, 3, 2, 8, tzinfo=AUCKLAND)
    assert monday.weekday() == 6  # It is Sunday still in UTC.


def test_a_wall_time_that_is_skipped_means_the_first_instant_after_the_gap():
    assert at_local(datetime(2026, 3, 29, 2, 30), BERLIN) == utc(2026, 3, 29, 1)


def test_a_wall_time_that_comes_twice_means_the_first():
    assert at_local(datetime(2026, 10, 25, 2, 30), BERLIN) == utc(2026, 10, 25, 0, 30)


def test_the_same_minute_is_not_later():
    nine = utc(2026, 3, 2, 9)
    assert next_local(nine, time(9), ALL_DAYS, ZoneInfo("UTC")) == nine + timedelta(days=1)


def test_no_day_at_all_is_an_error():
    with pytest.raises(ValueError, match="weekday"):
        next_local(utc(2026, 3, 2), time(9), frozenset(), BERLIN)


@given(
    after=st.datetimes(datetime(2024, 1, 1), datetime(2035, 12, 31), timezones=st.just(UTC)),
    at=st.times(),
    days=st.frozensets(st.integers(0, 6), min_size=1),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
)
def test_the_next_wall_time_is_later_within_nine_days_and_never_before_its_hour(after, at, days, zone):
    instant = next_local(after, at, days, zone)
    assert after < instant <= after + timedelta(days=9)
    wall = instant.astimezone(zone).replace(tzinfo=None)
    wanted = datetime.combine(wall.date(), at)
    assert wall.weekday() in days
    assert wanted <= wall.replace(microsecond=at.microsecond) <= wanted + timedelta(hours=2)
