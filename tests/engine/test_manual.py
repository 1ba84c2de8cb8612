"""Starting people by hand: as many as were confirmed, each once a request."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DataError

from journeys.authoring.publish import delete_journey, set_active
from journeys.authoring.segments import SegmentBody, create_segment
from journeys.engine import intakes
from journeys.engine.intakes import take_in
from journeys.engine.manual import AudienceChanged, CannotStart, Choice, KeyUsed, Request, how_many, start
from journeys.models import Event, Intake, IntakeContact, Journey, UserJourney
from tests.factories import make_contact, make_journey

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
STEP = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "t"}}

pytestmark = pytest.mark.django_db


def by_hand(**more: Any) -> Journey:
    return make_journey("Offer", [STEP], trigger_type="manual", now=NOW, **more)


def entered() -> list[str]:
    while take_in(lambda: NOW, limit=7):
        pass
    return sorted(UserJourney.objects.values_list("contact__user_id", flat=True))


def test_a_list_starts_those_who_are_known():
    journey = by_hand()
    for user_id in ("u1", "u2", "u3"):
        make_contact(user_id, now=NOW)
    choice = Choice(("u1", "u2", "stranger"))
    assert how_many(journey.id, choice, NOW) == 2
    assert start(journey.id, Request(choice, 2, properties={"code": "SPRING"}), NOW) == 2
    assert entered() == ["u1", "u2"]
    assert UserJourney.objects.first().metadata == {"code": "SPRING"}
    assert Intake.objects.get().finished_at == NOW


def test_a_segment_starts_whoever_is_in_it():
    journey = by_hand()
    create_segment(SegmentBody(name="Gold", condition={"field": "plan", "op": "eq", "value": "gold"}), NOW)
    for number in range(20):
        make_contact(f"u{number:02}", now=NOW, attributes={"plan": "gold" if number < 15 else "free"})
    assert start(journey.id, Request(Choice(segment="Gold"), 15), NOW) == 15
    assert entered() == [f"u{number:02}" for number in range(15)]


def test_a_repeated_request_is_the_same_one():
    journey = by_hand()
    make_contact("u1", now=NOW)
    for _ in range(2):
        assert start(journey.id, Request(Choice(("u1",)), 1, key="offer-7"), NOW) == 1
        assert entered() == ["u1"]
    assert Event.objects.count() == Intake.objects.count() == 1


def test_other_people_than_were_confirmed_start_nobody():
    journey = by_hand()
    make_contact("u1", now=NOW)
    with pytest.raises(AudienceChanged, match="1 people now, not 2"):
        start(journey.id, Request(Choice(("u1",)), 2), NOW)
    assert entered() == []
    assert not Intake.objects.exists()


def test_in_a_large_segment_one_of_a_hundred_may_have_come_or_gone():
    journey = by_hand()
    create_segment(SegmentBody(name="All"), NOW)
    for number in range(101):
        make_contact(f"u{number}", now=NOW)
    with pytest.raises(AudienceChanged):
        start(journey.id, Request(Choice(segment="All"), 103), NOW)
    assert start(journey.id, Request(Choice(segment="All"), 100), NOW) == 101


def test_a_journey_that_is_off_or_not_for_this_starts_nobody():
    make_contact("u1", now=NOW)
    signup = make_journey("Signup", [STEP], now=NOW)
    with pytest.raises(CannotStart, match="not started by hand"):
        how_many(signup.id, Choice(("u1",)), NOW)
    journey = by_hand()
    set_active(journey.id, False, None, NOW)
    with pytest.raises(CannotStart, match="switched off"):
        start(journey.id, Request(Choice(("u1",)), 1), NOW)


def test_a_condition_and_earlier_runs_are_looked_at_as_ever():
    condition = {"field": "plan", "op": "eq", "value": "gold"}
    journey = by_hand(trigger_config={"condition": condition})
    make_contact("gold", now=NOW, attributes={"plan": "gold"})
    make_contact("free", now=NOW)
    for _ in range(2):
        start(journey.id, Request(Choice(("gold", "free")), 2), NOW)
        assert entered() == ["gold"]
    assert Event.objects.count() == 4


def test_a_deleted_journey_takes_its_lists_with_it():
    journey = by_hand()
    make_contact("u1", now=NOW)
    start(journey.id, Request(Choice(("u1",)), 1), NOW)
    delete_journey(journey.id)
    assert take_in(lambda: NOW) == 0
    assert not Intake.objects.exists()
    assert not IntakeContact.objects.exists()


def test_a_list_that_cannot_be_taken_in_holds_up_no_other(monkeypatch: pytest.MonkeyPatch):
    bad, good = by_hand(), make_journey("Good", [STEP], trigger_type="manual", now=NOW)
    make_contact("u1", now=NOW)
    for journey in (bad, good):
        start(journey.id, Request(Choice(("u1",)), 1), NOW)
    ingest = intakes.ingest

    def fail(events: Any, now: datetime) -> None:
        if bad.id in events[0].journeys:
            raise DataError("no")
        ingest(events, now)

    with monkeypatch.context() as patch:
        patch.setattr(intakes, "ingest", fail)
        assert take_in(lambda: NOW) == 1
    assert UserJourney.objects.get().journey_id == good.id
    assert entered() == ["u1", "u1"]


def test_those_whom_somebody_chose_wait_while_the_journey_is_off():
    journey = by_hand()
    make_contact("u1", now=NOW)
    start(journey.id, Request(Choice(("u1",)), 1), NOW)
    set_active(journey.id, False, None, NOW)
    assert entered() == []
    set_active(journey.id, True, None, NOW)
    assert entered() == ["u1"]


def test_a_key_is_not_taken_for_other_people():
    journey = by_hand()
    for user_id in ("u1", "u2", "u3"):
        make_contact(user_id, now=NOW)
    start(journey.id, Request(Choice(("u1", "u2")), 2, key="k1"), NOW)
    with pytest.raises(KeyUsed, match="'k1' was used to start 2 people"):
        start(journey.id, Request(Choice(("u3",)), 1, key="k1"), NOW)
