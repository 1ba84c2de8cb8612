"""Coming again: whom a journey takes a second time, and when."""

import threading
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from journeys.authoring.publish import patch_journey
from journeys.engine.detect import detect
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Journey, UserJourney
from tests.engine.test_cycle import work_at as run_due
from tests.factories import NOON, make_contact, make_journey

DAY = timedelta(days=1)
TAG = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "t"}, "delay_minutes": 5}

pytestmark = pytest.mark.django_db


def open_journey(reentry: str, days: int | None = None, **more: Any) -> Journey:
    return make_journey(steps=[TAG], reentry=reentry, reentry_days=days, **more)


def started(now: Any, name: str = "signup", message_id: str | None = None) -> tuple[UUID, ...]:
    return ingest([Incoming("ann", name, message_id=message_id)], now)[0].started


def test_a_journey_that_says_nothing_takes_each_person_once():
    make_journey(steps=[TAG])
    assert started(NOON)
    run_due(NOON + DAY)
    assert not started(NOON + 400 * DAY)


def test_after_finish_takes_who_is_out_of_it_and_nobody_twice_at_a_time():
    open_journey("after_finish")
    assert started(NOON, message_id="m1")
    assert not started(NOON + timedelta(minutes=1)), "an event that comes while inside is not kept for later"
    run_due(NOON + timedelta(minutes=5))
    assert started(NOON + timedelta(minutes=6), message_id="m2")
    assert list(UserJourney.objects.order_by("id").values_list("status", "entry_key")) == [
        ("completed", "event:m1"),
        ("active", "event:m2"),
    ]


def test_two_events_of_one_batch_start_one_run():
    open_journey("after_finish")
    first, second = ingest([Incoming("ann", "signup"), Incoming("ann", "signup")], NOON)
    assert (len(first.started), len(second.started)) == (1, 0)


def test_after_days_counts_from_the_last_start_and_wants_that_run_over():
    journey = open_journey("after_days", 7)
    started(NOON)
    assert not started(NOON + 8 * DAY), "seven days are over, but the run is not"
    run_due(NOON + 8 * DAY)
    assert started(NOON + 8 * DAY) == (journey.id,)
    run_due(NOON + 9 * DAY)
    assert not started(NOON + 15 * DAY - timedelta(microseconds=1))
    assert started(NOON + 15 * DAY) == (journey.id,)


def test_once_counts_every_run_that_there_was_under_other_rules():
    journey = open_journey("after_finish")
    started(NOON, message_id="m1")
    run_due(NOON + DAY)
    patch_journey(journey.id, {"reentry": "once"}, None, NOON + DAY)
    assert not started(NOON + 2 * DAY)
    patch_journey(journey.id, {"reentry": "after_finish"}, None, NOON + 2 * DAY)
    assert started(NOON + 2 * DAY)


def test_one_event_never_starts_two_runs_not_even_after_its_key_was_pruned():
    open_journey("after_finish")
    started(NOON, message_id="m1")
    run_due(NOON + DAY)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM event_keys")
    assert not started(NOON + DAY, message_id="m1")


def test_who_is_idle_again_enters_again():
    journey = make_journey(
        steps=[TAG], trigger_type="idle_user", trigger_config={"idle_days": 30}, reentry="after_finish"
    )
    make_contact("ann")
    detect(NOON + 31 * DAY)
    run_due(NOON + 32 * DAY)
    detect(NOON + 40 * DAY)
    assert journey.runs.count() == 1, "the same idle spell"
    ingest([Incoming("ann", "login")], NOON + 50 * DAY)
    detect(NOON + 79 * DAY)
    assert journey.runs.count() == 1
    detect(NOON + 81 * DAY)
    assert journey.runs.count() == 2


def test_only_where_people_may_enter_again_it_is_looked_for_earlier_runs():
    make_journey("A", steps=[TAG])
    make_journey("B", steps=[TAG])
    events = [Incoming(f"u{number}", "signup") for number in range(50)]

    def queries() -> int:
        ingest(events, NOON + DAY)  # What is compiled once is compiled.
        with CaptureQueriesContext(connection) as captured:
            ingest(events, NOON + DAY)
        return len(captured)

    once = queries()
    patch_journey(Journey.objects.get(name="A").id, {"reentry": "after_days", "reentry_days": 9}, None, NOON)
    assert queries() == once + 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_start_one_run():
    open_journey("after_days", 1)
    started(NOON)
    run_due(NOON + DAY)
    answers: list[Any] = []
    barrier = threading.Barrier(2)

    def report(number: int) -> None:
        barrier.wait()
        answers.extend(ingest([Incoming("ann", "signup", message_id=f"m{number}")], NOON + 2 * DAY))
        connection.close()

    threads = [threading.Thread(target=report, args=[number]) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(answer.started) for answer in answers) == [0, 1]
    assert UserJourney.objects.count() == 2
