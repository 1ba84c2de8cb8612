"""Journeys that start when somebody enters a segment: once an entering, and nobody who was there before."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import connection, transaction
from django_q.models import OrmQ

from journeys.authoring.document import DocumentError
from journeys.authoring.publish import patch_journey, set_active
from journeys.authoring.segments import SegmentBody, SegmentInUse, change_segment, create_segment, delete_segment
from journeys.engine import intakes, rounds, segments
from journeys.engine.contacts import delete_contact, upsert_contact
from journeys.engine.cycle import work
from journeys.engine.ingest import Incoming, ingest
from journeys.engine.intakes import take_in
from journeys.models import Event, Intake, IntakeContact, Journey, Segment, SegmentMember, UserJourney
from tests.factories import make_contact, make_journey

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
STEP = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "t"}}
GOLD = {"field": "plan", "op": "eq", "value": "gold"}

pytestmark = pytest.mark.django_db


def make_segment(name: str = "Gold", condition: Any = None) -> Segment:
    return create_segment(SegmentBody(name=name, condition=condition or GOLD), NOW)


def starts_with(segment: str = "Gold", name: str = "Greet", **more: Any) -> Journey:
    own = {key: more.pop(key) for key in ("include_existing", "condition") if key in more}
    return make_journey(
        name, [STEP], trigger_type="segment", trigger_config={"segment": segment, **own}, now=NOW, **more
    )


def plan(user_id: str, plan: str | None) -> None:
    upsert_contact(user_id, {"attributes": {"plan": plan}}, NOW)


def look(minutes: int) -> list[str]:
    """Who has entered when that much time has passed, in all journeys."""
    rounds.look_and_take_in(lambda: NOW + minutes * MINUTE)
    return entered()


def entered() -> list[str]:
    return list(UserJourney.objects.order_by("contact__user_id").values_list("contact__user_id", flat=True))


def test_who_enters_starts_and_who_was_inside_does_not():
    make_segment()
    plan("before", "gold")
    starts_with()
    assert look(1) == []
    plan("after", "gold")
    make_contact("never", now=NOW)
    assert look(2) == ["after"]
    assert look(3) == ["after"]
    event = Event.objects.get()
    assert (event.name, event.source, event.properties) == ("segment", "detector", {"segment": "Gold"})
    assert SegmentMember.objects.filter(left_at=None).count() == 2


def test_those_inside_start_too_where_the_journey_says_so():
    make_segment()
    plan("before", "gold")
    starts_with(include_existing=True)
    assert look(1) == ["before"]
    plan("after", "gold")
    assert look(2) == ["after", "before"]
    assert Intake.objects.filter(finished_at=None).count() == 0


def test_leaving_and_coming_again_is_another_entering():
    make_segment()
    starts_with()
    look(1)
    for minute, held in enumerate(("gold", "free", "gold"), 2):
        plan("u1", held)
        look(minute)
    keys = Event.objects.order_by("received_at").values_list("message_id", flat=True)
    assert [key.split(":")[2] for key in keys] == ["1", "2"]
    member = SegmentMember.objects.get()
    assert (member.number, member.entered_at, member.left_at) == (2, NOW + 4 * MINUTE, None)


def test_an_entering_starts_again_whom_the_journey_lets_in_again():
    make_segment()
    journey = starts_with()
    patch_journey(journey.id, {"reentry": "after_finish", "steps": []}, None, NOW)
    look(1)
    for minute, held in enumerate(("gold", "free", "gold"), 2):
        plan("u1", held)
        look(minute)
        work(lambda: NOW + 9 * MINUTE, 10)
    segment = Segment.objects.get()
    keys = UserJourney.objects.order_by("started_at").values_list("entry_key", flat=True)
    assert list(keys) == [f"segment:{segment.id}:1", f"segment:{segment.id}:2"]


def test_each_journey_of_a_segment_starts():
    make_segment()
    starts_with(name="One")
    look(1)
    starts_with(name="Two")
    look(2)
    plan("u1", "gold")
    assert look(3) == ["u1", "u1"]


def test_a_journey_that_begins_does_not_wait_until_the_segment_is_looked_at_again():
    make_segment()
    starts_with(name="One")
    look(1)
    starts_with(name="Two")
    rounds.look_and_take_in(lambda: NOW + MINUTE + timedelta(seconds=1))
    plan("u1", "gold")
    assert look(3) == ["u1", "u1"]


def test_workers_look_as_soon_as_a_journey_of_a_segment_is_switched_on(django_capture_on_commit_callbacks: Any):
    make_segment()
    with django_capture_on_commit_callbacks(execute=True):
        journey = starts_with(is_active=False)
        make_journey("Other", [STEP], now=NOW)
    assert not OrmQ.objects.exists()
    with django_capture_on_commit_callbacks(execute=True):
        set_active(journey.id, True, None, NOW)
    assert [task.func() for task in OrmQ.objects.all()] == ["journeys.tasks.look"]


def test_what_happens_while_a_journey_is_off_is_past():
    make_segment()
    journey = starts_with()
    look(1)
    set_active(journey.id, False, None, NOW)
    plan("meanwhile", "gold")
    assert look(2) == []
    set_active(journey.id, True, None, NOW)
    assert look(3) == []
    plan("after", "gold")
    assert look(4) == ["after"]


def test_an_edited_segment_is_entered_by_whom_it_takes_in_now():
    segment = make_segment()
    plan("silver", "silver")
    starts_with()
    look(1)
    change_segment(segment.id, {"condition": {"field": "plan", "op": "in", "value": ["gold", "silver"]}}, NOW)
    assert look(2) == ["silver"]


def test_a_journey_that_gets_another_segment_begins_anew_with_it():
    make_segment()
    make_segment("Free", {"field": "plan", "op": "eq", "value": "free"})
    plan("free", "free")
    journey = starts_with()
    look(1)
    patch_journey(journey.id, {"trigger_config": {"segment": "Free"}}, None, NOW)
    assert look(2) == []
    plan("other", "free")
    assert look(3) == ["other"]


def test_counts_of_events_make_somebody_enter():
    make_segment("Buyers", {"did": "purchase", "op": "gte", "value": 2})
    starts_with("Buyers")
    look(1)
    ingest([Incoming("u1", "purchase")], NOW)
    assert look(2) == []
    ingest([Incoming("u1", "purchase")], NOW)
    assert look(3) == ["u1"]


def test_the_journeys_own_condition_is_looked_at_too():
    make_segment()
    starts_with(condition={"field": "country", "op": "eq", "value": "DE"})
    look(1)
    plan("u1", "gold")
    assert look(2) == []


def test_an_event_of_that_name_starts_nobody():
    make_segment()
    starts_with()
    (answer,) = ingest([Incoming("u1", "segment")], NOW)
    assert (answer.status, answer.started) == ("accepted", ())


def test_who_is_deleted_before_their_turn_does_not_come_back():
    make_segment()
    starts_with()
    look(1)
    plan("u1", "gold")
    rounds.look(NOW + 2 * MINUTE)
    assert IntakeContact.objects.count() == 1
    delete_contact("u1", NOW + 2 * MINUTE)
    assert look(3) == []
    assert IntakeContact.objects.count() == SegmentMember.objects.count() == 0


def test_a_segment_that_a_journey_uses_is_not_taken_away():
    segment = make_segment()
    journey = starts_with()
    with pytest.raises(SegmentInUse, match="'Greet'"):
        delete_segment(segment.id)
    with pytest.raises(SegmentInUse, match="renamed"):
        change_segment(segment.id, {"name": "Golden"}, NOW)
    patch_journey(journey.id, {"trigger_type": "signup", "trigger_config": {}}, None, NOW)
    delete_segment(segment.id)
    with pytest.raises(DocumentError, match="there is no segment 'Gold'"):
        starts_with(name="Late")


def test_a_look_asks_the_same_number_of_queries_for_one_and_for_many(django_assert_num_queries: Any):
    from django.test.utils import CaptureQueriesContext

    make_segment()
    starts_with()
    look(1)
    plan("u0", "gold")
    look(2)
    plan("u1", "gold")
    with CaptureQueriesContext(connection) as single:
        look(3)
    for number in range(2, 40):
        plan(f"u{number}", "gold")
    with django_assert_num_queries(len(single)):
        assert len(look(4)) == 40


def test_who_was_being_taken_in_when_a_worker_died_is_taken_in_by_another(monkeypatch: pytest.MonkeyPatch):
    make_segment()
    starts_with()
    look(1)
    for number in range(7):
        plan(f"u{number}", "gold")
    rounds.look(NOW + 2 * MINUTE)
    take_in(lambda: NOW + 2 * MINUTE, limit=3)
    ingested = intakes.ingest

    def die(*arguments: Any) -> None:
        ingested(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(intakes, "ingest", die)
        take_in(lambda: NOW + 2 * MINUTE, limit=3)
    assert len(entered()) == 3
    assert len(look(3)) == 7
    assert Event.objects.count() == 7


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_start_each_once():
    make_segment()
    starts_with()
    look(1)
    for number in range(30):
        plan(f"u{number}", "gold")

    def work() -> None:
        rounds.look_and_take_in(lambda: NOW + 2 * MINUTE)
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert look(3) == sorted(f"u{number}" for number in range(30))
    assert Event.objects.count() == 30


@pytest.mark.django_db(transaction=True)
def test_who_enters_while_the_journey_is_edited_starts_all_the_same():
    make_segment()
    journey = starts_with()
    starts_with(name="Another")
    look(1)
    plan("u1", "gold")

    def look_meanwhile() -> None:
        rounds.look(NOW + 2 * MINUTE)
        connection.close()

    with transaction.atomic():
        Journey.objects.select_for_update(no_key=True).get(id=journey.id)
        looker = threading.Thread(target=look_meanwhile)
        looker.start()
        looker.join()
    assert look(3) == ["u1", "u1"]


def test_who_is_on_a_list_does_not_start_once_the_journey_was_switched_off_or_has_another_segment():
    make_segment()
    make_segment("Silver", {"field": "plan", "op": "eq", "value": "silver"})
    switched, edited = starts_with(), starts_with(name="Edited")
    look(1)
    plan("u1", "gold")
    rounds.look(NOW + 2 * MINUTE)
    set_active(switched.id, False, None, NOW + 2 * MINUTE)
    set_active(switched.id, True, None, NOW + 2 * MINUTE)
    patch_journey(edited.id, {"trigger_config": {"segment": "Silver"}}, None, NOW + 2 * MINUTE)
    while take_in(lambda: NOW + 2 * MINUTE):
        pass
    assert look(3) == []
    assert not Intake.objects.filter(finished_at=None).exists()
    plan("u2", "gold")
    plan("u3", "silver")
    assert look(4) == ["u2", "u3"]


def test_a_look_that_is_cut_off_is_made_again(monkeypatch):
    make_segment()
    starts_with()
    look(1)
    plan("u1", "gold")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(segments, "drop_empty", Mock(side_effect=KeyboardInterrupt))
        rounds.look(NOW + 2 * MINUTE)
    assert not Intake.objects.filter(finished_at=None).exists()
    assert look(3) == ["u1"]
