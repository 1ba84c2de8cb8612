"""Saving, switching and deleting journeys, with people inside."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.utils import IntegrityError

import journeys
from journeys.analytics import journey_numbers
from journeys.authoring.document import export, parse
from journeys.authoring.publish import (
    NameTaken,
    create_journey,
    delete_journey,
    patch_journey,
    save_journey,
    set_active,
)
from journeys.engine.clock import database_clock
from journeys.engine.ingest import Incoming, ingest
from journeys.models import (
    Contact,
    Detection,
    Journey,
    JourneyStep,
    JourneyVersion,
    StepExecution,
    Tally,
    UserJourney,
)
from tests.factories import NOON, make_contact, make_journey, operator

LATER = NOON + timedelta(minutes=1)


def tag(name: str, delay_minutes: int = 0, **fields: Any) -> dict[str, Any]:
    config = {"tag": name}
    return {
        "name": name,
        "action_type": "apply_tag",
        "action_config": config,
        "delay_minutes": delay_minutes,
        **fields,
    }


def enter(*user_ids: str, now: datetime = NOON) -> None:
    ingest([Incoming(user_id, "signup", {}) for user_id in user_ids], now)


def save(journey: Journey, *steps: dict[str, Any], **fields: Any) -> Journey:
    return save_journey(journey.id, parse({**export(journey), **fields, "steps": list(steps)}), None, LATER)


@pytest.mark.django_db
def test_each_difference_makes_a_version_and_none_makes_none() -> None:
    journey = make_journey("j", [tag("a", condition={"field": "n", "op": "eq", "value": 1})])
    save(journey, tag("a", condition={"field": "n", "op": "eq", "value": 1}))
    assert JourneyVersion.objects.count() == 1
    save(journey, tag("a", condition={"field": "n", "op": "eq", "value": True}))  # in Python, True == 1
    save(journey, tag("a"), tag("b"))
    save(journey, tag("b"), tag("a"))
    journey.refresh_from_db()
    assert journey.live_version is not None and journey.live_version.number == 4


@pytest.mark.django_db
def test_live_settings_change_without_a_version() -> None:
    journey = make_journey("j", [tag("a")])
    patch_journey(journey.id, {"name": "k", "description": "d", "priority": 9}, None, LATER)
    journey.refresh_from_db()
    assert (journey.name, journey.priority, journey.updated_at) == ("k", 9, LATER)
    assert JourneyVersion.objects.count() == 1


@pytest.mark.django_db
def test_who_published_is_remembered() -> None:
    who = operator()
    journey = create_journey(parse({"name": "j", "trigger_type": "signup"}), who, NOON)
    assert journey.created_by == who
    assert journey.live_version is not None and journey.live_version.created_by == who


@pytest.mark.django_db
def test_a_renamed_step_keeps_its_key_and_its_people() -> None:
    journey = make_journey("j", [tag("a", 5)])
    enter("u1")
    step = journey.steps.get()
    save(journey, {**export(journey)["steps"][0], "name": "renamed"})
    renamed = journey.steps.get()
    assert (renamed.id, renamed.key, renamed.name) == (step.id, "a", "renamed")
    assert UserJourney.objects.get().current_step_id == step.id


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("steps", "looked_at"),
    [
        ([tag("a", 30)], False),
        ([tag("a", 10)], True),
        ([tag("a", 60)], True),
        ([tag("a", 30, is_active=False)], True),
        ([tag("b")], True),
        ([], True),
        ([tag("a", 30), tag("b")], False),
    ],
)
def test_waiters_at_a_step_that_changed_are_looked_at_again(steps: list[dict[str, Any]], looked_at: bool) -> None:
    journey = make_journey("j", [tag("a", 30)])
    enter("u1")
    save(journey, *steps)
    due = UserJourney.objects.get().due_at
    assert due == (LATER if looked_at else NOON + timedelta(minutes=30))


@pytest.mark.django_db
def test_parked_waiters_stay_parked() -> None:
    journey = make_journey("j", [tag("a", 30)])
    enter("u1")
    set_active(journey.id, False, None, NOON)
    journey.refresh_from_db()
    save(journey)
    run = UserJourney.objects.get()
    assert (run.due_at, run.parked_due_at) == (None, LATER)
    set_active(journey.id, True, None, LATER)
    assert UserJourney.objects.get().due_at == LATER


@pytest.mark.django_db
def test_switching_parks_and_brings_back() -> None:
    journey = make_journey("j", [tag("a", 30)])
    enter("u1", "u2")
    due = NOON + timedelta(minutes=30)
    for switch in (set_active, lambda key, on, by, now: patch_journey(key, {"is_active": on}, by, now)):
        switch(journey.id, False, None, LATER)
        assert set(UserJourney.objects.values_list("due_at", "parked_due_at")) == {(None, due)}
        enter("u3")
        assert journey_numbers([journey.id])[journey.id].inside == 2
        switch(journey.id, True, None, LATER)
        assert set(UserJourney.objects.values_list("due_at", "parked_due_at")) == {(due, None)}


@pytest.mark.django_db
def test_a_taken_name_leaves_the_transaction_usable() -> None:
    make_journey("j")
    with transaction.atomic():
        with pytest.raises(NameTaken, match="'j'"):
            make_journey("j")
        make_contact("u1")
    assert Journey.objects.count() == 1


@pytest.mark.django_db
def test_two_steps_cannot_have_one_key_even_behind_our_back() -> None:
    journey = make_journey("j", [tag("a")])
    with pytest.raises(IntegrityError), transaction.atomic():
        JourneyStep.objects.create(id=journey.id, journey=journey, key="a", name="x", created_at=NOON, updated_at=NOON)
        transaction.get_connection().check_constraints()


@pytest.mark.django_db
def test_deleting_says_how_many_runs_went_and_leaves_the_people() -> None:
    journey, other = make_journey("j", [tag("a")]), make_journey("k", [tag("a")])
    enter("u1", "u2", "u3")
    assert journey_numbers([journey.id])[journey.id].inside == 3
    assert delete_journey(journey.id) == 3
    assert Contact.objects.count() == 3
    assert set(UserJourney.objects.values_list("journey_id", flat=True)) == {other.id}
    assert set(Tally.objects.values_list("journey_id", flat=True)) == {other.id}
    assert not StepExecution.objects.exists() and not Detection.objects.exists()
    with pytest.raises(Journey.DoesNotExist):
        delete_journey(journey.id)


@pytest.mark.django_db
def test_code_in_the_same_process_starts_journeys() -> None:
    low = make_journey("low", [tag("a")], trigger_config={"field": "plan", "op": "eq", "value": "premium"})
    high = make_journey("high", [tag("a")], priority=1)
    first = journeys.trigger("signup", user_id="u1", message_id="m1", plan="premium")
    assert first == [high.id, low.id]
    assert journeys.trigger("signup", "u1", message_id="m1", plan="premium") == first
    assert journeys.trigger("signup", "u1") == []
    run = UserJourney.objects.get(journey=low)
    assert run.metadata == {"plan": "premium"}


@pytest.mark.django_db
def test_what_lies_in_the_future_counts_as_now() -> None:
    make_journey("j", [tag("a")])
    journeys.trigger("signup", "u1", occurred_at=datetime(2999, 1, 1, tzinfo=UTC))
    seen = Contact.objects.get().last_event_at
    assert seen is not None and seen <= database_clock()


@pytest.mark.django_db(transaction=True)
def test_a_trigger_is_rolled_back_with_its_caller() -> None:
    make_journey("j", [tag("a")])
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        journeys.trigger("signup", user_id="u1")
        _ = 1 / 0
    assert not Contact.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"trigger_type": "nope"}, "trigger_type"),
        ({"user_id": "a/b"}, "user_id"),
        ({"user_id": 5}, "user_id"),
        ({"user_id": "\ud800"}, "user_id"),
        ({"message_id": ""}, "message_id"),
        ({"message_id": "\x00"}, "message_id"),
        ({"occurred_at": datetime(2026, 1, 1)}, "occurred_at"),
        ({"message_id": "a\nb"}, "message_id"),
        ({"occurred_at": "2026-01-01T00:00:00Z"}, "occurred_at"),
        ({"occurred_at": datetime(1969, 1, 1, tzinfo=UTC)}, "occurred_at: must not be before 1970"),
        ({"trigger_type": ["signup"]}, "trigger_type"),
        ({"plan": ("\x00",)}, "context.plan"),
        ({"plan": "\x00"}, "context.plan"),
        ({"plan": object()}, "context"),
        ({"plan": float("nan")}, "context.plan"),
    ],
)
def test_a_bad_trigger_is_a_value_error_that_names_its_argument(arguments: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=f"^{fault}"):
        journeys.trigger(**{"trigger_type": "signup", "user_id": "u1", **arguments})
    assert not Contact.objects.exists()
