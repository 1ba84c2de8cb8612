"""Events in: stored once, answered the same, and starting what they should."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from journeys.authoring.publish import patch_journey
from journeys.engine.contacts import delete_contact
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Contact, Event, EventKey, EventSource, RunStatus, UserJourney
from tests.factories import make_contact, make_journey

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
STEP = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "t"}, "delay_minutes": 5}

pytestmark = pytest.mark.django_db


def test_an_event_makes_the_contact_and_starts_the_journeys_by_priority():
    low = make_journey("Low", [STEP], priority=1, now=NOW)
    high = make_journey("High", [STEP], priority=9, now=NOW)
    make_journey("Other", [STEP], trigger_type="upgrade", now=NOW)
    make_journey("Off", [STEP], is_active=False, now=NOW)
    (answer,) = ingest([Incoming("u1", "signup", {"plan": "pro"})], NOW)
    assert (answer.status, answer.started) == ("accepted", (high.id, low.id))
    run = UserJourney.objects.get(journey=high)
    assert (run.status, run.metadata, run.started_at) == (RunStatus.ACTIVE, {"plan": "pro"}, NOW)
    assert run.due_at == NOW + timedelta(minutes=5)


def test_a_trigger_condition_is_looked_at_with_the_event_and_the_contact():
    untagged = {"not": {"field": "tags", "op": "contains", "value": "x"}}
    rich = {"all": [{"field": "plan", "op": "in", "value": ["gold"]}, untagged]}
    make_journey("Gold", [STEP], trigger_config={"condition": rich}, now=NOW)
    answers = ingest([Incoming("u1", "signup", {"plan": "silver"}), Incoming("u2", "signup", {"plan": "gold"})], NOW)
    assert [len(answer.started) for answer in answers] == [0, 1]


def test_any_event_can_start_a_journey():
    buyers = make_journey("Buyers", [STEP], trigger_type="event", trigger_config={"event": "order_placed"}, now=NOW)
    make_journey("Others", [STEP], trigger_type="event", trigger_config={"event": "order_returned"}, now=NOW)
    rich = {"event": "order_placed", "condition": {"field": "event.amount", "op": "gte", "value": 100}}
    make_journey("Rich", [STEP], trigger_type="event", trigger_config=rich, now=NOW)
    bought, named = ingest([Incoming("u1", "order_placed", {"amount": 5}), Incoming("u2", "event")], NOW)
    assert (bought.started, named.started) == ((buyers.id,), ())


def test_a_journey_whose_event_was_edited_starts_by_the_new_one_only():
    journey = make_journey("Buyers", [STEP], trigger_type="event", trigger_config={"event": "order_placed"}, now=NOW)
    patch_journey(journey.id, {"trigger_config": {"event": "order_paid"}}, None, NOW)
    old, new = ingest([Incoming("u1", "order_placed"), Incoming("u2", "order_paid")], NOW)
    assert (old.started, new.started) == ((), (journey.id,))
    patch_journey(journey.id, {"trigger_type": "signup", "trigger_config": {}}, None, NOW)
    old, new = ingest([Incoming("u3", "order_paid"), Incoming("u4", "signup")], NOW)
    assert (old.started, new.started) == ((), (journey.id,))


def test_a_contact_enters_a_journey_once():
    make_journey("Once", [STEP], now=NOW)
    ingest([Incoming("u1", "signup")], NOW)
    (again,) = ingest([Incoming("u1", "signup")], NOW)
    assert again.started == ()
    assert UserJourney.objects.count() == 1


def test_a_repeated_message_id_gets_the_first_answer_and_changes_nothing():
    journey = make_journey("Once", [STEP], now=NOW)
    (first,) = ingest([Incoming("u1", "signup", message_id="m1")], NOW)
    (second,) = ingest([Incoming("u1", "signup", {"other": 1}, message_id="m1")], NOW + timedelta(days=9))
    assert (second.status, second.event_id, second.started) == ("duplicate", first.event_id, (journey.id,))
    assert Event.objects.count() == EventKey.objects.count() == 1
    assert Contact.objects.get().last_event_at == NOW


def test_a_repeat_within_one_batch_is_answered_like_the_first():
    make_journey("Once", [STEP], now=NOW)
    first, second = ingest([Incoming("u1", "signup", message_id="m1")] * 2, NOW)
    assert (first.status, second.status) == ("accepted", "duplicate")
    assert second.started == first.started
    assert Event.objects.count() == 1


def test_the_same_message_id_of_another_contact_is_another_event():
    answers = ingest([Incoming("u1", "signup", message_id="m1"), Incoming("u2", "signup", message_id="m1")], NOW)
    assert [answer.status for answer in answers] == ["accepted", "accepted"]


def test_a_deleted_contact_is_not_brought_back_by_a_late_event():
    make_contact("u1", now=NOW)
    delete_contact("u1", NOW)
    refused, accepted = ingest([Incoming("u1", "signup"), Incoming("u2", "signup")], NOW)
    assert (refused.status, refused.reason) == ("refused", "this contact was deleted")
    assert accepted.status == "accepted"
    assert not Contact.objects.filter(user_id="u1").exists()


def test_what_a_detector_made_is_no_activity_and_is_for_the_named_journeys_only():
    named = make_journey("Named", [STEP], trigger_type="idle_user", now=NOW)
    make_journey("Other", [STEP], trigger_type="idle_user", now=NOW)
    event = Incoming("u1", "idle_user", source=EventSource.DETECTOR, journeys=frozenset({named.id}))
    (answer,) = ingest([event], NOW)
    assert answer.started == (named.id,)
    assert Contact.objects.get().last_event_at is None


def test_last_event_at_never_moves_back():
    ingest([Incoming("u1", "a", occurred_at=NOW)], NOW)
    ingest([Incoming("u1", "b", occurred_at=NOW - timedelta(days=1))], NOW)
    assert Contact.objects.get().last_event_at == NOW


def test_a_batch_costs_the_same_number_of_queries_for_one_event_and_for_five_hundred(django_assert_num_queries):
    make_journey("Once", [STEP], now=NOW)
    ingest([Incoming("first", "signup")], NOW)  # From here on the flow is compiled.
    with django_assert_num_queries(15):
        ingest([Incoming("one", "signup", message_id="m")], NOW)
    with django_assert_num_queries(15):
        ingest([Incoming(f"u{number}", "signup", message_id="m") for number in range(500)], NOW)
    with django_assert_num_queries(12):  # Nobody of them has to be made.
        ingest([Incoming(f"u{number}", "signup", message_id="n") for number in range(500)], NOW)
    assert UserJourney.objects.count() == 502


@pytest.mark.django_db(transaction=True)
def test_twenty_triggers_at_once_start_one_run():
    journey = make_journey("Once", [STEP], now=NOW)
    answers, gate = [], threading.Barrier(20)

    def trigger() -> None:
        gate.wait()
        answers.extend(ingest([Incoming("u1", "signup", message_id="m1")], NOW))
        connection.close()

    threads = [threading.Thread(target=trigger) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.started for answer in answers] == [(journey.id,)] * 20
    assert sorted(answer.status for answer in answers) == ["accepted"] + ["duplicate"] * 19
    assert UserJourney.objects.count() == Event.objects.count() == 1
