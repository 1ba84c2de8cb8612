"""The journey page: who enters, and when they leave."""

import json
from typing import Any

import pytest
from django.urls import reverse

from journeys.authoring.rules import rules_of
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Journey, JourneyVersion
from tests.admin.pages import JOURNEYS, errors_of, fields_of, posted, signed_in
from tests.factories import NOON, make_journey

TAG = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "t"}, "delay_minutes": 5}

pytestmark = pytest.mark.django_db


def add(**fields: Any) -> Any:
    return signed_in(superuser=True).post(f"{JOURNEYS}add/", posted(**fields))


def test_reentry_is_chosen_in_words_and_its_days_go_with_it():
    response = add(reentry="after_days", reentry_days="30")
    assert response.status_code == 302, errors_of(response)
    journey = Journey.objects.get()
    assert (journey.reentry, journey.reentry_days) == ("after_days", 30)


def test_days_that_another_choice_has_no_use_for_are_left_out():
    assert add(reentry="after_finish", reentry_days="30").status_code == 302
    assert Journey.objects.get().reentry_days is None


def test_exits_and_goal_are_entered_without_any_json():
    rows = {"condition_rows": json.dumps(GOLD)}
    response = add(
        exits=[{"event": "order_placed", **rows}, {"event": "", "DELETE": "on"}, {"event": "unsubscribed"}],
        exit_condition_mode="text", exit_condition_text='plan = "gold"',
        goal_event="order_placed", goal_within_days="30", goal_exit_on_goal="on", holdout_percent="5",
    )  # fmt: skip
    assert response.status_code == 302, errors_of(response)
    journey = Journey.objects.get()
    assert journey.exit_on == [{"event": "order_placed", "condition": GOLD}, {"event": "unsubscribed"}]
    assert (journey.exit_condition, journey.holdout_percent) == (GOLD, 5)
    assert journey.goal == {"event": "order_placed", "within_days": 30, "exit_on_goal": True}


def test_without_an_event_there_is_no_goal():
    assert add(goal_event="", goal_within_days="30", goal_exit_on_goal="on").status_code == 302
    assert Journey.objects.get().goal is None


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"reentry": "after_days", "reentry_days": ""}, "reentry_days", "after how many days"),
        ({"reentry": "after_days", "reentry_days": "0"}, "reentry_days", "greater than or equal to 1"),
        ({"reentry": "often"}, "reentry", "valid choice"),
        ({"exits": [{"event": "a"}, {"event": ""}]}, "exits-1-event", "required"),
        ({"exits": [{"event": "a\tb"}]}, "exits-0-event", ""),
        ({"goal_event": "a", "goal_within_days": "0"}, "goal_within_days", "greater than or equal to 1"),
        ({"goal_event": "a\tb"}, "goal_event", ""),
        ({"holdout_percent": "51"}, "holdout_percent", "less than or equal to 50"),
    ],
)
def test_each_fault_stands_beside_its_field(fields: dict[str, Any], field: str, said: str):
    response = add(**fields)
    assert response.status_code == 200
    assert said in " ".join(errors_of(response)[field])
    assert not Journey.objects.exists()


GOLD = {"field": "plan", "op": "eq", "value": "gold"}
RULES: dict[str, Any] = {
    "reentry": "after_days",
    "reentry_days": 30,
    "exit_condition": GOLD,
    "exit_on": [{"event": "order_placed", "condition": GOLD}, {"event": "unsubscribed"}],
    "goal": {"event": "order_placed", "within_days": 7, "exit_on_goal": False, "condition": GOLD},
    "holdout_percent": 10,
}


def test_the_page_posts_back_to_the_same_version():
    journey = make_journey(**RULES)
    client = signed_in(superuser=True)
    address = reverse("admin:journeys_journey_change", args=[journey.pk])
    response = client.post(address, fields_of(client.get(address).context["editor"]))
    assert response.status_code == 302, errors_of(response)
    journey.refresh_from_db()
    assert {name: value for name, value in rules_of(journey).items() if name in RULES} == RULES
    assert JourneyVersion.objects.count() == 1


def test_the_page_compares_the_goal_of_those_who_entered_and_of_those_held_out():
    journey = make_journey(**RULES | {"exit_condition": None, "exit_on": [], "holdout_percent": 50})
    people = [f"u{number}" for number in range(12)]
    ingest([Incoming(who, "signup", {"plan": "gold"}) for who in people], NOON)
    ingest([Incoming(who, "order_placed") for who in people], NOON)
    held = journey.runs.filter(status="held_out").count()
    client = signed_in(superuser=True)
    page = client.get(reverse("admin:journeys_journey_change", args=[journey.pk]))
    numbers = page.context["numbers"]
    assert (numbers.held_out, numbers.held_out_converted, numbers.held_out_conversion) == (held, held, 100)
    assert (numbers.started, numbers.converted, numbers.conversion) == (12 - held, 12 - held, 100)
    assert b"Goal, held out" in page.content and b"100.0 %" in page.content
    run = journey.runs.filter(status="held_out").first()
    if run is not None:  # One of so many as good as always.
        page = client.get(reverse("admin:journeys_userjourney_change", args=[run.pk]))
        assert b"the share that takes no step" in page.content


def test_the_page_of_a_run_shows_its_goal_and_that_it_leaves():
    journey = make_journey(steps=[TAG], goal={"event": "order_placed", "within_days": 7})
    ingest([Incoming("u1", "signup")], NOON)
    ingest([Incoming("u1", "order_placed")], NOON)
    page = signed_in(superuser=True).get(reverse("admin:journeys_userjourney_change", args=[journey.runs.get().pk]))
    assert b"Goal reached" in page.content and b"as soon as a worker has it: goal reached" in page.content


def test_a_page_that_was_open_before_a_release_is_refused_with_a_reason():
    data = {name: value for name, value in posted().items() if not name.startswith("exits-")}
    response = signed_in(superuser=True).post(f"{JOURNEYS}add/", data)
    assert "This page is of an earlier release" in response.rendered_content
    assert not Journey.objects.exists()
