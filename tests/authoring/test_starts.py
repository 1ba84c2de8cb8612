"""Journeys that start journeys, as they are written: names, circles, and what may be deleted."""

import threading
from typing import Any

import pytest
from django.db import connections, transaction

from journeys.authoring.document import DocumentError, export
from journeys.authoring.publish import delete_journey, patch_journey
from journeys.authoring.starts import JourneyInUse
from journeys.models import Journey, JourneyStep
from tests.factories import NOON, make_journey

pytestmark = pytest.mark.django_db
TAG = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "t"}}


def go_to(named: Any, **more: Any) -> dict[str, Any]:
    return {"name": "Go", "action_type": "start_journey", "action_config": {"journey": str(named)}, **more}


def steps_of(journey: Journey, *steps: dict[str, Any]) -> Journey:
    return patch_journey(journey.id, {"steps": list(steps)}, None, NOON)


def faults(journey: Journey, *steps: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(DocumentError) as caught:
        steps_of(journey, *steps)
    return {fault.path: fault.message for fault in caught.value.faults}


def test_a_name_becomes_the_id_and_stays_it_when_the_name_changes():
    other = make_journey("Other")
    first = make_journey("First", [TAG, {"name": "B", "action_type": "branch", "lanes": [
        {"name": "all", "steps": [go_to(" Other ")]}]}])  # fmt: skip
    assert JourneyStep.objects.get(name="Go").action_config == {"journey": str(other.id)}
    patch_journey(other.id, {"name": "Renamed"}, None, NOON)
    before = Journey.objects.get(id=first.id).live_version_id
    patch_journey(first.id, {"steps": export(first)["steps"]}, None, NOON)
    assert Journey.objects.get(id=first.id).live_version_id == before


@pytest.mark.parametrize("named", ["Nobody", "019d0000-0000-7000-8000-000000000000"])
def test_a_journey_that_there_is_not_is_refused_with_its_path(named: str):
    journey = make_journey("First")
    assert faults(journey, TAG, go_to(named)) == {
        "steps[1].action_config.journey": f"there is no journey {named!r}",
    }


def test_a_circle_without_a_wait_is_refused_and_named():
    a, b, c = make_journey("A"), make_journey("B"), make_journey("C")
    steps_of(a, TAG, go_to("B"))
    steps_of(b, go_to("C"))
    said = faults(c, TAG, go_to("A"))
    assert said == {
        "steps[1].action_config.journey": (
            "makes a circle in which nobody waits: C → A → B → C. Put a delay or a wait on the way round"
        )
    }
    assert not JourneyStep.objects.filter(journey=c).exists()
    steps_of(c, TAG, go_to("A", delay_minutes=1))


def test_a_journey_that_starts_itself_at_once_is_such_a_circle():
    a = make_journey("A")
    assert "A → A" in faults(a, go_to("A"))["steps[0].action_config.journey"]
    steps_of(a, go_to("A", delay_minutes=60))


def test_a_wait_that_is_taken_out_of_a_circle_is_refused():
    a, b = make_journey("A"), make_journey("B")
    steps_of(a, go_to("B", delay_minutes=5))
    steps_of(b, go_to("A"))
    assert "A → B → A" in faults(a, go_to("B"))["steps[0].action_config.journey"]


def test_what_others_start_is_not_deleted():
    other, first = make_journey("Other"), make_journey("First", [])
    steps_of(first, go_to("Other"))
    with pytest.raises(JourneyInUse, match="is started by “First”"):
        delete_journey(other.id)
    assert Journey.objects.get(id=other.id).is_active
    steps_of(first, TAG)
    delete_journey(other.id)
    assert not Journey.objects.filter(id=other.id).exists()


def test_one_that_starts_itself_is_deleted():
    journey = make_journey("A")
    steps_of(journey, go_to("A", delay_minutes=60))
    delete_journey(journey.id)
    assert not Journey.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_halves_of_a_circle_are_not_published_at_the_same_time():
    a, b = make_journey("A"), make_journey("B")
    refused: list[DocumentError] = []

    def other_half() -> None:
        try:
            steps_of(b, go_to("A"))
        except DocumentError as error:
            refused.append(error)
        finally:
            connections.close_all()

    with transaction.atomic():
        steps_of(a, go_to("B"))
        thread = threading.Thread(target=other_half)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive(), "it waits until the first half is published"
    thread.join(10)
    assert len(refused) == 1
