"""Lanes on the journey page: two flat lists of forms become a tree, and each fault stands beside its field."""

import json

import pytest
from django.urls import reverse

from journeys.authoring.document import export
from journeys.models import Journey, JourneyStep, JourneyVersion
from tests.admin.pages import JOURNEYS, errors_of, fields_of, posted, signed_in
from tests.factories import make_journey

pytestmark = pytest.mark.django_db

GOLD = {"field": "plan", "op": "eq", "value": "gold"}
BRANCH = {"name": "Which plan?", "action_type": "branch"}
TAG = {"name": "Tag", "action_type": "apply_tag", "config-tag": "onboarded", "lane": "0"}
OF_BRANCH = {"name": "gold", "step": "0", "condition_rows": json.dumps(GOLD)}
ELSE = {"name": "else", "step": "0"}
ADD = f"{JOURNEYS}add/"


def nested(depth: int = 2) -> list[dict]:
    """A step in a branch, which is in a split, and so on."""
    steps: list[dict] = [{"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "x"}}]
    for number in range(depth):
        if number % 2:
            lanes = [{"name": "A", "weight": 30, "steps": steps}, {"name": "B", "weight": 70, "steps": []}]
            steps = [{"name": f"Split {number}", "action_type": "ab_split", "lanes": lanes}]
        elif number == 4:
            config = {"event": "email_opened", "timeout_minutes": 60, "condition": GOLD, "since": "journey_start"}
            lanes = [{"name": "received", "steps": steps}, {"name": "timed out", "steps": []}]
            steps = [{"name": "Wait", "action_type": "wait_for_event", "action_config": config, "lanes": lanes}]
        else:
            after = {"name": f"After {number}", "action_type": "remove_tag", "action_config": {"tag": "x"}}
            lanes = [{"name": "gold", "condition": GOLD, "steps": steps}, {"name": "else", "steps": [after]}]
            steps = [{"name": f"Branch {number}", "action_type": "branch", "lanes": lanes}]
    return steps


@pytest.mark.parametrize("depth", [1, 2, 10])
def test_a_journey_with_lanes_posts_back_to_the_same_version(depth):
    journey = make_journey(steps=nested(depth))
    client, url = signed_in(superuser=True), reverse("admin:journeys_journey_change", args=[journey.pk])
    before = export(journey)
    response = client.post(url, fields_of(client.get(url).context["editor"]))
    assert response.status_code == 302, errors_of(response)
    assert JourneyVersion.objects.count() == 1
    assert export(Journey.objects.get()) == before


def test_lanes_are_made_from_their_forms():
    steps = [BRANCH, TAG, {**TAG, "name": "Other", "lane": "1"}, {**TAG, "name": "Last", "lane": ""}]
    response = signed_in(superuser=True).post(ADD, posted(steps, lanes=[OF_BRANCH, {**ELSE, "weight": "7"}]))
    assert response.status_code == 302, errors_of(response)
    branch, last = export(Journey.objects.get())["steps"]
    assert (branch["name"], last["name"]) == ("Which plan?", "Last")
    first, second = branch["lanes"]
    assert (first["name"], first["condition"], [step["name"] for step in first["steps"]]) == ("gold", GOLD, ["Tag"])
    assert second == {"name": "else", "steps": second["steps"]}, "a weight is a split's, not a branch's"
    assert [step["name"] for step in second["steps"]] == ["Other"]


def test_weights_are_entered_beside_the_lanes_of_a_split():
    split = {"name": "Split", "action_type": "ab_split"}
    lanes = [{"name": name, "step": "0", "weight": weight} for name, weight in (("A", "1"), ("B", "3"))]
    signed_in(superuser=True).post(ADD, posted([split], lanes=lanes))
    assert JourneyStep.objects.get().lanes == [{"name": "A", "weight": 1}, {"name": "B", "weight": 3}]


WAIT = {
    "name": "Opened?",
    "action_type": "wait_for_event",
    "config-event": "email_opened",
    "config-timeout_minutes_number": "2",
    "config-timeout_minutes_unit": "1440",
    "config-condition_mode": "rows",
    "config-condition_rows": json.dumps({"field": "event.link", "op": "eq", "value": "offer"}),
    "config-since": "step",
}
RECEIVED, TIMED_OUT = {"name": "received", "step": "0"}, {"name": "timed out", "step": "0"}


def test_a_wait_is_made_from_its_form():
    response = signed_in(superuser=True).post(ADD, posted([WAIT, TAG], lanes=[RECEIVED, TIMED_OUT]))
    assert response.status_code == 302, errors_of(response)
    (wait,) = export(Journey.objects.get())["steps"]
    condition = {"field": "event.link", "op": "eq", "value": "offer"}
    assert wait["action_config"] == {"event": "email_opened", "timeout_minutes": 2880, "condition": condition}
    assert [(lane["name"], len(lane["steps"])) for lane in wait["lanes"]] == [("received", 1), ("timed out", 0)]


@pytest.mark.parametrize(
    ("step", "lanes", "field", "said"),
    [
        ({"config-event": ""}, [], "steps-0-config-event", "required"),
        ({"config-timeout_minutes_number": "0"}, [], "steps-0-config-timeout_minutes", "1"),
        ({"config-condition_rows": '{"field": "", "op": "eq", "value": 1}'}, [], "steps-0-config-condition", "field"),
        ({}, [{**RECEIVED, "name": "other"}], "lanes-0-name", "must be one of"),
    ],
)
def test_a_waits_fault_stands_beside_its_field(step, lanes, field, said):
    response = signed_in(superuser=True).post(ADD, posted([{**WAIT, **step}], lanes=lanes))
    errors = errors_of(response)
    assert any(said in error.lower() for error in errors.get(field, [])), errors


def test_a_weight_that_is_not_given_is_shown_as_what_it_means():
    split = {"name": "Split", "action_type": "ab_split", "lanes": [{"name": "A", "weight": 3}, {"name": "B"}]}
    journey = make_journey(steps=[split])
    page = signed_in(superuser=True).get(f"{JOURNEYS}{journey.pk}/change/").context["editor"]
    assert [form["weight"].value() for form in page.lanes.forms] == [3, 1]


def test_the_order_of_lanes_and_of_steps_in_them_is_the_pages():
    steps = [BRANCH, {**TAG, "name": "Second", "order": "1"}, {**TAG, "name": "First", "order": "0"}]
    lanes = [{**ELSE, "order": "1"}, {**OF_BRANCH, "order": "0"}]
    signed_in(superuser=True).post(ADD, posted(steps, lanes=lanes))
    gold, others = export(Journey.objects.get())["steps"][0]["lanes"]
    assert (gold["name"], others["name"]) == ("gold", "else")
    assert [step["name"] for step in others["steps"]] == ["First", "Second"]


def test_a_step_moves_into_a_lane_and_keeps_its_identity():
    steps = [
        {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "onboarded"}},
        {"name": "Which plan?", "action_type": "branch", "lanes": [{"name": "gold", "condition": GOLD}]},
    ]
    journey = make_journey(steps=steps)
    tag = JourneyStep.objects.get(name="Tag")
    forms = [{**BRANCH, "key": "which-plan"}, {**TAG, "key": "tag"}]
    signed_in(superuser=True).post(f"{JOURNEYS}{journey.pk}/change/", posted(forms, journey, lanes=[OF_BRANCH]))
    tag.refresh_from_db()
    assert (tag.parent.name, tag.lane, tag.archived_at) == ("Which plan?", "gold", None)


def test_what_is_inside_something_deleted_is_deleted_with_it():
    inside = {**TAG, "DELETE": "on"}
    steps = [BRANCH, inside, {**TAG, "name": "Last", "lane": ""}]
    gone = [{**OF_BRANCH, "DELETE": "on"}, ELSE]
    signed_in(superuser=True).post(ADD, posted(steps, lanes=gone))
    branch, last = export(Journey.objects.get())["steps"]
    assert (branch["lanes"], last["name"]) == ([{"name": "else", "steps": []}], "Last")


@pytest.mark.parametrize(
    ("lanes", "field", "said"),
    [
        ([{**OF_BRANCH, "name": ""}, ELSE], "lanes-0-name", "required"),
        ([ELSE, OF_BRANCH], "lanes-0-condition", "only the last lane"),
        ([OF_BRANCH, {**ELSE, "name": "gold"}], "lanes-1-name", "name of several lanes"),
        ([{**OF_BRANCH, "condition_rows": '{"field": "", "op": "eq", "value": 1}'}], "lanes-0-condition", "the field"),
        ([{**OF_BRANCH, "weight": "-1"}], "lanes-0-weight", "greater than or equal to 0"),
        ([], "steps-0-action_type", "at least 1"),
    ],
)
def test_a_lanes_fault_stands_beside_its_field(lanes, field, said):
    response = signed_in(superuser=True).post(ADD, posted([BRANCH], lanes=lanes))
    errors = errors_of(response)
    assert any(said in error.lower() for error in errors.get(field, [])), errors
    assert response.context["editor"].error_count() >= 1
    assert not Journey.objects.exists()


def test_a_fault_of_a_step_in_a_lane_stands_beside_its_field():
    response = signed_in(superuser=True).post(ADD, posted([BRANCH, {**TAG, "name": "Which plan?"}], lanes=[OF_BRANCH]))
    assert list(errors_of(response)) == ["steps-1-name"]


@pytest.mark.parametrize(
    ("steps", "lanes"),
    [
        ([{**TAG, "lane": "7"}], []),
        ([{**BRANCH, "lane": "0"}], [OF_BRANCH]),
        ([BRANCH, TAG], [{**OF_BRANCH, "step": ""}, {**ELSE, "step": "0"}]),
    ],
)
def test_a_step_that_stands_nowhere_is_not_lost_without_a_word(steps, lanes):
    response = signed_in(superuser=True).post(ADD, posted(steps, lanes=lanes))
    assert "Its lane is not there any more: choose where it stands" in str(errors_of(response))
    assert steps[-1]["name"] in response.content.decode()
    assert not Journey.objects.exists()


def test_lanes_of_a_step_that_has_no_use_for_them_are_told():
    response = signed_in(superuser=True).post(ADD, posted([{**TAG, "lane": ""}], lanes=[ELSE]))
    assert "no lanes" in str(errors_of(response)["steps-0-action_type"])
