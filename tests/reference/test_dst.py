"""Every change of the clocks, 2024–2035, in 30 zones: a local time comes exactly once a day, and never early.

A time that the clock jumps over means the first instant after the gap; one that comes twice means the first.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from journeys.logic.effects import ScheduleNext
from journeys.logic.timing import at_local, step_due
from tests.reference.documents import first_minute
from tests.reference.play import play
from tests.reference.script import Happens, Passes, Works, World

ZONES = (
    "Africa/Cairo", "Africa/Casablanca", "America/Asuncion", "America/Chicago", "America/Denver", "America/Godthab",
    "America/Halifax", "America/Havana", "America/Los_Angeles", "America/Miquelon", "America/New_York",
    "America/Santiago", "America/Scoresbysund", "America/St_Johns", "America/Tijuana", "Antarctica/Troll",
    "Asia/Almaty", "Asia/Beirut", "Asia/Gaza", "Asia/Jerusalem", "Atlantic/Azores", "Australia/Adelaide",
    "Australia/Lord_Howe", "Australia/Sydney", "Europe/Berlin", "Europe/Chisinau", "Europe/Dublin", "Europe/London",
    "Pacific/Auckland", "Pacific/Chatham",
)  # fmt: skip
"""They change at midnight, at one, two, three, at 23:00 or at 02:45, by half an hour, one or two, four times a year
around Ramadan, or once and never again."""
HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)


@cache
def changes(zone: ZoneInfo) -> tuple[datetime, ...]:
    """The instants at which the zone's clocks change, each found by halving the day before it."""
    return tuple(_change(day, day + DAY, zone) for day in _days() if _offset(day, zone) != _offset(day + DAY, zone))


def _days() -> Iterator[datetime]:
    day = datetime(2024, 1, 1, tzinfo=UTC)
    while day.year < 2036:
        yield day
        day += DAY


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first minute with the offset that there is at `after`."""
    while after - before > MINUTE:
        middle = before + (after - before) // MINUTE // 2 * MINUTE
        if _offset(middle, zone) == _offset(after, zone):
            after = middle
        else:
            before = middle
    return after


def wall(at: datetime, zone: ZoneInfo) -> datetime:
    """What the clock on the wall shows."""
    return at.astimezone(zone).replace(tzinfo=None)


def around(change: datetime, zone: ZoneInfo) -> list[datetime]:
    """What clocks show around a change, once, twice or never: each quarter, and each edge with its neighbours."""
    before, after = wall(change - MINUTE, zone) + MINUTE, wall(change, zone)
    edges = [edge + minute * MINUTE for edge in (before, after) for minute in (-1, 0, 1)]
    quarters = [min(before, after) + quarter * HOUR / 4 for quarter in range(-8, 17)]
    return sorted({*edges, *quarters})


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest) -> ZoneInfo:
    return ZoneInfo(request.param)


def test_clocks_change_in_each_zone(zone):
    assert changes(zone), "this zone tests nothing"


def test_a_skipped_time_is_the_end_of_the_gap_a_repeated_one_the_first_and_any_other_itself(zone):
    for change in changes(zone):
        before, after = wall(change - MINUTE, zone) + MINUTE, wall(change, zone)
        for shown in around(change, zone):
            instant = at_local(shown, zone)
            if before <= shown < after:
                assert instant == change, f"{shown} is skipped"
            else:
                assert wall(instant, zone) == shown
                assert wall(instant - abs(after - before), zone) != shown, (
                    f"{shown} comes twice, and this is the second"
                )


def test_a_daily_time_comes_once_for_each_day_and_never_early(zone):
    for change in changes(zone):
        for shown in around(change, zone):
            at, now = shown.time(), change - 3 * DAY
            first = wall(step_due(now, 0, ScheduleNext(at=at), zone), zone).date()
            for number in range(6):
                now = step_due(now, 0, ScheduleNext(at=at), zone)
                meant_for = datetime.combine(first + number * DAY, at)
                assert now == at_local(meant_for, zone), f"{at} on day {number} around {change}"
                assert wall(now, zone) >= meant_for, f"{at} is early around {change}"


def test_whenever_somebody_waits_it_is_for_the_next_time_that_is_shown(zone):
    """As the reference finds it, which looks at each minute: from before, in and behind the change."""
    for change in changes(zone)[:8]:
        for shown in around(change, zone)[::3]:
            for now in (change - HOUR, change - MINUTE, change, change + HOUR / 2, change + HOUR):
                days = (wall(now, zone).date() + number * DAY for number in range(3))
                instants = [first_minute(day, shown.time(), zone) for day in days]
                expected = next(instant for instant in instants if instant > now)
                assert step_due(now, 0, ScheduleNext(at=shown.time()), zone) == expected


def test_a_delay_elapses_whatever_clocks_show(zone):
    for change in changes(zone):
        assert step_due(change - HOUR, 120, None, zone) == change + HOUR


SAMPLE = [(name, year) for name in ("Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo") for year in (2024, 2030)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("name", "year"), SAMPLE)
def test_the_engine_fires_once_and_never_early_around_each_change(name: str, year: int):
    zone = ZoneInfo(name)
    for change in (change for change in changes(zone) if change.year == year):
        for at in sorted({shown.strftime("%H:%M") for shown in around(change, zone)[2::7]}):
            steps = [it for number in range(4) for it in (later(number, at), tag(number))]
            world = World(
                start=change - DAY - 2 * HOUR,
                people={"u1": {"timezone": name}},
                journeys=(journey(steps),),
                moves=(Happens("u1"), *[Works(), Passes()] * 5),
            )
            run = play(world).runs["u1", "Daily"]
            came = [run.executions[f"tag-{number}"].at for number in range(4)]
            first = wall(came[0], zone).date()
            assert came == [at_local(datetime.combine(first + n * DAY, time.fromisoformat(at)), zone) for n in range(4)]


def journey(steps: list[dict[str, object]]) -> dict[str, object]:
    return {"name": "Daily", "trigger_type": "signup", "trigger_config": {}, "priority": 0, "is_active": True,
            "steps": steps}  # fmt: skip


def later(number: int, at: str) -> dict[str, object]:
    key = f"later-{number}"
    return {"key": key, "name": key, "action_type": "schedule_next", "action_config": {"at": at}}


def tag(number: int) -> dict[str, object]:
    key = f"tag-{number}"
    return {"key": key, "name": key, "action_type": "apply_tag", "action_config": {"tag": key}}
