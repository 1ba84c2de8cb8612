"""Journeys on a schedule: each slot starts its audience once, whatever workers and outages do."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from journeys.authoring.document import DocumentError
from journeys.authoring.publish import patch_journey, set_active
from journeys.authoring.segments import SegmentBody, create_segment
from journeys.engine import rounds
from journeys.engine.schedules import latest_slot
from journeys.engine.trigger_configs import ScheduleConfig
from journeys.models import Event, Intake, Journey
from tests.factories import make_contact, make_journey

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
"""A Monday."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
STEP = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "t"}}

pytestmark = pytest.mark.django_db


def scheduled(name: str = "News", now: datetime = NOW, **config: Any) -> Journey:
    return make_journey(name, [STEP], trigger_type="schedule", trigger_config=config, now=now)


def told(after: timedelta) -> list[str]:
    """Whom slots have started so far, one name a slot."""
    rounds.look_and_take_in(lambda: NOW + after)
    return list(Event.objects.order_by("contact__user_id").values_list("contact__user_id", flat=True))


def test_a_slot_starts_everybody_once():
    for user_id in ("u1", "u2"):
        make_contact(user_id, now=NOW)
    scheduled(at="09:00", every="day")
    assert told(timedelta()) == []
    assert told(HOUR) == ["u1", "u2"]
    assert told(HOUR + timedelta(minutes=1)) == ["u1", "u2"]
    assert told(DAY + HOUR) == ["u1", "u1", "u2", "u2"]


def test_a_slot_that_came_before_the_first_look_counts_and_one_before_the_journey_does_not():
    make_contact("u1", now=NOW)
    scheduled("Early", at="07:00")
    scheduled("Soon", at="08:30")
    assert told(HOUR) == ["u1"]
    assert Intake.objects.get().journey.name == "Soon"


def test_of_the_slots_that_an_outage_missed_the_latest_counts():
    make_contact("u1", now=NOW)
    scheduled(at="09:00")
    assert told(timedelta()) == []
    assert told(4 * DAY) == ["u1"]
    assert Event.objects.get().properties == {"slot": "2026-03-05T09:00:00.000000+00:00"}


def test_a_segment_and_a_condition_say_for_whom_it_is():
    create_segment(SegmentBody(name="Gold", condition={"field": "plan", "op": "eq", "value": "gold"}), NOW)
    make_contact("gold", now=NOW, attributes={"plan": "gold", "country": "DE"})
    make_contact("far", now=NOW, attributes={"plan": "gold", "country": "FR"})
    make_contact("free", now=NOW, attributes={"plan": "free", "country": "DE"})
    scheduled(segment="Gold", condition={"field": "country", "op": "eq", "value": "DE"})
    assert told(HOUR) == ["gold"]


def test_an_edited_time_counts_from_the_edit():
    make_contact("u1", now=NOW)
    journey = scheduled(at="09:00")
    told(HOUR)
    patch_journey(journey.id, {"trigger_config": {"at": "10:00"}}, None, NOW + 3 * HOUR)
    assert told(4 * HOUR) == ["u1"]
    assert told(DAY + 2 * HOUR) == ["u1", "u1"]


def test_an_edit_of_the_steps_misses_no_slot():
    make_contact("u1", now=NOW)
    journey = scheduled(at="09:00")
    told(timedelta())
    patch_journey(journey.id, {"steps": []}, None, NOW + HOUR + timedelta(seconds=20))
    assert told(HOUR + timedelta(seconds=40)) == ["u1"]


def test_slots_while_it_is_off_are_past():
    make_contact("u1", now=NOW)
    journey = scheduled(at="09:00")
    told(timedelta())
    set_active(journey.id, False, None, NOW)
    assert told(2 * HOUR) == []
    set_active(journey.id, True, None, NOW + 3 * HOUR)
    assert told(4 * HOUR) == []
    assert told(DAY + HOUR) == ["u1"]


def test_what_comes_while_it_is_off_is_past_also_where_nobody_looked_meanwhile():
    make_contact("u1", now=NOW)
    journey = scheduled(at="09:00")
    assert told(0 * HOUR) == []
    set_active(journey.id, False, None, NOW + 0.5 * HOUR)
    set_active(journey.id, True, None, NOW + 1.5 * HOUR)
    assert told(2 * HOUR) == []
    assert len(told(26 * HOUR)) == 1


def test_switching_off_ends_what_has_not_started():
    make_contact("u1", now=NOW)
    journey = scheduled(at="09:00")
    rounds.look(NOW + HOUR)
    set_active(journey.id, False, None, NOW + HOUR)
    assert told(HOUR) == []
    assert Intake.objects.get().finished_at is not None


@pytest.mark.parametrize(
    ("config", "slot"),
    [
        ({"every": "day", "at": "07:30"}, "2026-03-02T07:30"),
        ({"every": "day", "at": "09:00"}, "2026-03-01T09:00"),
        ({"every": "day", "at": "09:00", "timezone": "Europe/Berlin"}, "2026-03-02T08:00"),
        ({"every": "week", "weekdays": ["tue", "fri"], "at": "09:00"}, "2026-02-27T09:00"),
        ({"every": "week", "weekdays": ["mon"], "at": "21:00", "timezone": "Pacific/Auckland"}, "2026-03-02T08:00"),
        ({"every": "month", "day": 31, "at": "09:00"}, "2026-02-28T09:00"),
        ({"every": "month", "day": 2, "at": "08:00"}, "2026-03-02T08:00"),
        ({"every": "cron", "cron": "30 6 * * 1-5"}, "2026-03-02T06:30"),
        ({"every": "cron", "cron": "0 8 * * *"}, "2026-03-02T08:00"),
        ({"every": "cron", "cron": "0 8 * MAR thu-fri"}, "2025-03-28T08:00"),
        ({"every": "cron", "cron": "0 9 1 1 *", "timezone": "America/New_York"}, "2026-01-01T14:00"),
    ],
)
def test_the_latest_slot_is_the_last_that_came(config: dict[str, Any], slot: str):
    assert latest_slot(ScheduleConfig(**config), NOW) == datetime.fromisoformat(slot).replace(tzinfo=UTC)


def test_a_day_that_never_comes_starts_nobody():
    assert latest_slot(ScheduleConfig(every="cron", cron="0 0 30 2 *"), NOW) is None


@pytest.mark.parametrize("every", [{"every": "day", "at": "02:30"}, {"every": "cron", "cron": "30 2 * * *"}])
def test_clock_changes_skip_no_slot_and_repeat_none(every: dict[str, str]):
    config = ScheduleConfig(**every, timezone="Europe/Berlin")
    slots: set[datetime | None] = set()
    for start in (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)):
        slots |= {latest_slot(config, start + timedelta(minutes=10 * number)) for number in range(6 * 24)}
    assert sorted(f"{slot:%m-%d %H:%M}" for slot in slots if slot) == [
        "03-28 01:30", "03-29 01:00", "10-24 00:30", "10-25 00:30",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"every": "cron"}, "cron"),
        ({"every": "cron", "cron": "* * * * * *"}, "trigger_config.cron"),
        ({"every": "cron", "cron": "99 * * * *"}, "trigger_config.cron"),
        ({"every": "cron", "cron": "R r(2-4) * * *"}, "trigger_config.cron"),
        ({"every": "cron", "cron": "0 9 r/2 mar fri"}, "trigger_config.cron"),
        ({"at": "9:00"}, "trigger_config.at"),
        ({"day": 32}, "trigger_config.day"),
        ({"weekdays": ["mon", "mon"]}, "trigger_config.weekdays"),
        ({"timezone": "Mars/Base"}, "trigger_config.timezone"),
        ({"segment": "None"}, "trigger_config.segment"),
        ({"condition": {"field": "event.name", "op": "exists"}}, "trigger_config.condition"),
    ],
)
def test_a_fault_is_named(config: dict[str, Any], field: str):
    with pytest.raises(DocumentError) as refused:
        scheduled(**config)
    assert field in str(refused.value)


@pytest.mark.django_db(transaction=True)
def test_two_workers_and_one_slot():
    for number in range(20):
        make_contact(f"u{number}", now=NOW)
    scheduled(at="09:00")

    def work() -> None:
        rounds.look_and_take_in(lambda: NOW + HOUR)
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(told(HOUR)) == 20
    assert Intake.objects.count() == 1
