"""Events from code in the same process, of triggers and of any other name."""

from typing import Any

import pytest

import journeys
from journeys.models import Event, UserJourney
from tests.factories import make_journey

pytestmark = pytest.mark.django_db
STEP = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "t"}}


def test_an_event_of_any_name_starts_the_journeys_that_wait_for_it():
    journey = make_journey("Buyers", [STEP], trigger_type="event", trigger_config={"event": "order_placed"})
    assert journeys.report("order_placed", user_id="42", amount=250) == [journey.id]
    assert UserJourney.objects.get().metadata == {"amount": 250}
    assert journeys.report("looked_around", user_id="42") == []
    assert Event.objects.count() == 2


@pytest.mark.parametrize("name", ["order_placed", "event", "segment", "manual"])
def test_a_trigger_is_one_that_is_reported_by_its_name(name: str):
    with pytest.raises(ValueError, match="there is no trigger"):
        journeys.trigger(name, user_id="42")


@pytest.mark.parametrize("name", ["", "a\x00b", "x" * 201, 7, None])
def test_what_is_no_name_is_refused(name: Any):
    with pytest.raises(ValueError, match="name: must be"):
        journeys.report(name, user_id="42")
    assert not Event.objects.exists()
