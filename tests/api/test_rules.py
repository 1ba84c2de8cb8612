"""Who enters a journey, and when they leave, by the API."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from journeys.models import Journey, JourneyVersion

pytestmark = pytest.mark.django_db

BODY = {"name": "Win back", "trigger_type": "signup"}


def create(api: APIClient, **rules: Any) -> Any:
    return api.post("/api/v1/journeys", {**BODY, **rules})


def test_reentry_is_answered_as_it_was_sent(api: APIClient):
    body = create(api, reentry="after_days", reentry_days=30).json()
    assert (body["reentry"], body["reentry_days"]) == ("after_days", 30)
    assert Journey.objects.get().live_version.definition["reentry_days"] == 30


def test_what_is_not_said_is_in_no_definition(api: APIClient):
    body = create(api).json()
    assert (body["reentry"], body["reentry_days"]) == ("once", None)
    assert set(Journey.objects.get().live_version.definition) == {"trigger_type", "trigger_config", "steps"}


def test_a_change_of_the_rules_is_a_new_version(api: APIClient):
    key = create(api).json()["id"]
    for reentry, versions in (("after_finish", 2), ("after_finish", 2), ("once", 3)):
        assert api.patch(f"/api/v1/journeys/{key}", {"reentry": reentry}).status_code == 200
        assert JourneyVersion.objects.count() == versions


@pytest.mark.parametrize(
    ("rules", "field", "said"),
    [
        ({"reentry": "often"}, "reentry", "must be"),
        ({"reentry": "after_days"}, "reentry_days", "is missing"),
        ({"reentry": "after_finish", "reentry_days": 3}, "reentry_days", "must be absent"),
        ({"reentry": "after_days", "reentry_days": 0}, "reentry_days", "1 or more"),
        ({"reentry": "after_days", "reentry_days": 3651}, "reentry_days", "3650 or less"),
    ],
)
def test_each_fault_is_named(api: APIClient, rules: dict[str, Any], field: str, said: str):
    response = create(api, **rules)
    assert response.status_code == 400
    (fault,) = response.json()["errors"]
    assert fault["field"] == field
    assert said in fault["message"]
    assert not Journey.objects.exists()


GOLD = {"field": "plan", "op": "eq", "value": "gold"}
RULES: dict[str, Any] = {
    "exit_condition": GOLD,
    "exit_on": [{"event": "order_placed", "condition": GOLD}, {"event": "unsubscribed"}],
    "goal": {"event": "order_placed", "within_days": 14, "exit_on_goal": False, "condition": GOLD},
    "holdout_percent": 10,
}


def test_exits_goal_and_holdout_are_answered_as_they_were_sent(api: APIClient):
    body = create(api, **RULES).json()
    assert {name: body[name] for name in RULES} == RULES
    again = {name: value for name, value in body.items() if name not in ("id", "step_count", "version")}
    del again["created_at"], again["updated_at"]
    assert api.patch(f"/api/v1/journeys/{body['id']}", again).status_code == 200
    assert JourneyVersion.objects.get().listens_to == ["order_placed", "unsubscribed"]


def test_who_reaches_a_goal_leaves_unless_it_says_otherwise(api: APIClient):
    goal = create(api, goal={"event": "order_placed", "within_days": 14, "condition": {}}).json()["goal"]
    assert goal == {"event": "order_placed", "within_days": 14, "exit_on_goal": True}


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({"exit_condition": {"field": "plan", "op": "is", "value": 1}}, "exit_condition.op"),
        ({"exit_condition": []}, "exit_condition"),
        ({"exit_on": [{"event": "a"}, {"event": " "}]}, "exit_on[1].event"),
        ({"exit_on": [{"event": "a", "condition": {"all": [{"op": "eq"}]}}]}, "exit_on[0].condition.all[0].field"),
        ({"exit_on": [{"event": "a", "when": 1}]}, "exit_on[0].when"),
        ({"exit_on": [{"event": "a"}] * 21}, "exit_on"),
        ({"goal": {"event": "a"}}, "goal.within_days"),
        ({"goal": {"event": "a", "within_days": 0}}, "goal.within_days"),
        ({"goal": {"event": "a", "within_days": 1, "condition": {"not": 1}}}, "goal.condition.not"),
        ({"goal": {"event": "a", "within_days": 1, "exit_on_goal": "yes"}}, "goal.exit_on_goal"),
        ({"holdout_percent": 51}, "holdout_percent"),
        ({"holdout_percent": -1}, "holdout_percent"),
        ({"holdout_percent": 1.5}, "holdout_percent"),
    ],
)
def test_each_fault_of_exits_and_goals_is_named(api: APIClient, rules: dict[str, Any], field: str):
    response = create(api, **rules)
    assert response.status_code == 400
    assert field in [fault["field"] for fault in response.json()["errors"]], response.json()


def test_who_is_held_out_is_not_named_as_started_and_is_found_by_status(api: APIClient):
    create(api, holdout_percent=50)
    answers = api.post("/api/v1/events", [{"user_id": f"u{n}", "name": "signup"} for n in range(20)]).json()
    held = [f"u{n}" for n, answer in enumerate(answers) if not answer["started_journeys"]]
    assert held
    (run,) = api.get(f"/api/v1/journeys/users/{held[0]}/journeys?status_filter=held_out").json()
    assert (run["status"], run["current_step_id"]) == ("held_out", None)
    assert api.get(f"/api/v1/runs/{run['id']}").json()["goal_at"] is None
