"""The hours in which a step may be taken, by the clock where the contact is."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.logic.hours import Hours, Span

NEW_YORK, AUCKLAND, BERLIN = map(ZoneInfo, ("America/New_York", "Pacific/Auckland", "Europe/Berlin"))
ZONES = st.sampled_from([NEW_YORK, AUCKLAND, BERLIN, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Africa/Cairo")])
TIMES = st.times(min_value=time(0, 0)).map(lambda at: at.replace(second=0, microsecond=0))
DAYS = st.frozensets(st.integers(0, 6), min_size=1)
SPANS = st.builds(Span, DAYS, st.none(), st.none()) | st.builds(Span, DAYS, TIMES, TIMES).filter(
    lambda span: span.start != span.end
)
# Around the nights in which New York, Berlin, Auckland, Lord Howe or Cairo change their clocks, and on others.
MOMENTS = st.builds(
    lambda day, minutes, seconds: day + timedelta(minutes=minutes, seconds=seconds),
    st.sampled_from(
        [datetime(2026, *day, tzinfo=UTC) for day in ((3, 8), (3, 28), (4, 4), (4, 23), (9, 26), (10, 25), (11, 1))]
    ),
    st.integers(-1440, 1440),
    st.integers(0, 59),
)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def window(start: str = "", end: str = "", *days: str) -> Hours:
    return Hours(window=Span.of({"from": start, "to": end, "days": list(days)}))


def quiet(start: str, end: str) -> Hours:
    return Hours(quiet=Span.of({"from": start, "to": end}))


def test_a_moment_within_the_hours_stays():
    assert window("09:00", "17:00").first_from(utc(2026, 6, 1, 7, 30, 5), BERLIN) == utc(2026, 6, 1, 7, 30, 5)


def test_the_end_is_not_included():
    assert window("09:00", "17:00").first_from(utc(2026, 6, 1, 15), BERLIN) == utc(2026, 6, 2, 7)


def test_nine_in_new_york_is_nine_across_the_change_to_summer_time():
    hours = window("09:00", "09:30")
    assert hours.first_from(utc(2026, 3, 7, 12), NEW_YORK) == utc(2026, 3, 7, 14)
    assert hours.first_from(utc(2026, 3, 8, 12), NEW_YORK) == utc(2026, 3, 8, 13)


def test_monday_in_auckland_is_monday_there():
    assert window("", "", "mon").first_from(utc(2026, 6, 6, 12), AUCKLAND) == utc(2026, 6, 7, 12)
    assert window("", "", "mon").first_from(utc(2026, 6, 8, 11, 59), AUCKLAND) == utc(2026, 6, 8, 11, 59)
    assert window("", "", "mon").first_from(utc(2026, 6, 8, 12), AUCKLAND) == utc(2026, 6, 14, 12)


def test_ten_at_night_to_six_goes_over_midnight():
    hours = quiet("22:00", "06:00")
    assert hours.first_from(utc(2026, 6, 1, 20, 30), BERLIN) == utc(2026, 6, 2, 4)
    assert hours.first_from(utc(2026, 6, 2, 1), BERLIN) == utc(2026, 6, 2, 4)
    assert hours.first_from(utc(2026, 6, 1, 19, 59), BERLIN) == utc(2026, 6, 1, 19, 59)


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins():
    hours = window("22:00", "02:00", "fri")
    assert hours.first_from(utc(2026, 6, 5, 22, 30), BERLIN) == utc(2026, 6, 5, 22, 30)  # Saturday, half past midnight.
    assert hours.first_from(utc(2026, 6, 4, 22, 30), BERLIN) == utc(2026, 6, 5, 20)  # Friday, half past midnight.


def test_what_is_left_of_a_window_counts_when_quiet_hours_take_some():
    hours = Hours(Span.of({"from": "07:00", "to": "10:00"}), Span.of({"from": "22:00", "to": "08:00"}))
    assert hours.first_from(utc(2026, 6, 1, 4), BERLIN) == utc(2026, 6, 1, 6)


def test_hours_that_the_clock_skips_are_none_that_day():
    hours = window("02:00", "03:00", "sun")
    assert hours.first_from(utc(2026, 3, 28, 12), BERLIN) == utc(2026, 4, 5, 0)


def test_hours_that_begin_in_a_gap_begin_at_its_end():
    assert window("02:30", "04:00").first_from(utc(2026, 3, 28, 22), BERLIN) == utc(2026, 3, 29, 1)


def test_hours_that_the_clock_shows_twice_are_hours_twice():
    hours = window("02:00", "02:30")
    assert hours.first_from(utc(2026, 10, 25, 0, 40), BERLIN) == utc(2026, 10, 25, 1)


@pytest.mark.parametrize(
    ("hours", "ever"),
    [
        (Hours(Span.of({"from": "23:00", "to": "05:00"}), Span.of({"from": "22:00", "to": "06:00"})), False),
        (Hours(Span.of({"from": "23:00", "to": "06:01"}), Span.of({"from": "22:00", "to": "06:00"})), True),
        (Hours(Span.of({"days": ["sun"]}), Span.of({"from": "22:00", "to": "06:00"})), True),
    ],
)
def test_hours_may_leave_nothing(hours: Hours, ever: bool):
    assert hours.is_ever_open() is ever


@given(SPANS | st.none(), st.builds(Span, start=TIMES, end=TIMES) | st.none(), MOMENTS, ZONES)
def test_it_is_the_first_minute_of_all_that_is_open(window: Span | None, shut: Span | None, moment: datetime, zone):
    if shut is not None and shut.start == shut.end:
        shut = None
    hours = Hours(window, shut)
    if not hours.is_ever_open():
        return
    expected = moment
    while not hours.is_open((wall := expected.astimezone(zone)).weekday(), wall.time()):
        expected = expected.replace(second=0) + timedelta(minutes=1)
    assert hours.first_from(moment, zone) == expected


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"days": ["fri", "mon", "tue", "wed", "thu"], "from": "09:00", "to": "17:00"}, "Mon–Fri 09:00–17:00"),
        ({"days": ["sun", "mon"]}, "Mon, Sun"),
        ({"from": "22:00", "to": "06:00"}, "22:00–06:00"),
    ],
)
def test_hours_say_what_they_are(raw: dict[str, object], said: str):
    assert str(Span.of(raw)) == said
