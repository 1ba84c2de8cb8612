"""/api/v1/journeys: the seed's eight endpoints' first five."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from journeys.models import Journey, JourneyStep, JourneyVersion
from tests.factories import make_journey

pytestmark = pytest.mark.django_db

TAG = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "t"}}


def test_creating_answers_with_the_seeds_fields(api: APIClient, seed_body: dict[str, Any]) -> None:
    response = api.post("/api/v1/journeys", seed_body)
    assert response.status_code == 201, response.data
    body = response.json()
    assert {name: body[name] for name in ("name", "trigger_type", "is_active", "priority", "step_count")} == {
        "name": "Onboarding Flow",
        "trigger_type": "signup",
        "is_active": True,
        "priority": 10,
        "step_count": 3,
    }
    assert body["created_at"].endswith("Z")
    assert [step["key"] for step in body["steps"]] == ["welcome-email", "telegram-intro", "apply-onboarded-tag"]
    assert [step["delay_minutes"] for step in body["steps"]] == [0, 5, 1440]
    assert response.headers["Location"] == f"/api/v1/journeys/{body['id']}"


def test_creating_publishes_version_one(api: APIClient, seed_body: dict[str, Any]) -> None:
    journey_id = api.post("/api/v1/journeys", seed_body).json()["id"]
    journey = Journey.objects.get(id=journey_id)
    assert journey.live_version is not None
    assert journey.live_version.number == 1
    assert journey.created_by is not None and journey.created_by.username == "root"


def test_listing_filters_by_trigger_and_activity(api: APIClient) -> None:
    make_journey("a", [TAG])
    make_journey("b", [TAG], trigger_type="upgrade", is_active=False)
    names = lambda query: [row["name"] for row in api.get(f"/api/v1/journeys{query}").json()]  # noqa: E731
    assert names("") == ["a", "b"]
    assert names("?trigger_type=upgrade") == ["b"]
    assert names("?is_active=true") == ["a"]
    assert names("?is_active=false&trigger_type=signup") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("trigger_type=nope", "trigger_type"),
        ("is_active=maybe", "is_active"),
        ("active=true", "active"),
        ("page_size=0", "page_size"),
        ("page_size=101", "page_size"),
        ("page_size=ten", "page_size"),
        ("page_size=%00", "page_size"),
    ],
)
def test_a_wrong_query_names_its_field(api: APIClient, query: str, field: str) -> None:
    response = api.get(f"/api/v1/journeys?{query}")
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    "cursor", ["nonsense", "W10", "WyJ4IiwgMV0", "WzEsICJcdTAwMDAiXQ", "Wzk5OTk5OTk5OTk5OTk5OTk5OTk5LCAiYSJd"]
)
def test_a_cursor_that_no_list_gave_is_404(api: APIClient, cursor: str) -> None:
    response = api.get(f"/api/v1/journeys?cursor={cursor}")
    assert response.status_code == 404
    assert response.json()["errors"][0]["message"].startswith("cursor:")


def test_pages_follow_the_links_and_miss_nothing(api: APIClient) -> None:
    for number in range(7):
        make_journey(f"j{number}", priority=number % 3)
    seen, url = [], "/api/v1/journeys?page_size=3"
    while url:
        response = api.get(url)
        seen += [row["name"] for row in response.json()]
        links = dict(reversed(link.split("; ")) for link in response.headers["Link"].split(", "))
        assert 'rel="first"' in links
        url = links.get('rel="next"', "").strip("<>")
    assert seen == ["j2", "j5", "j1", "j4", "j0", "j3", "j6"]


def test_getting_what_is_not_there_is_404_as_json(api: APIClient) -> None:
    for path in ("00000000-0000-7000-8000-000000000000", "not-a-uuid", "1", "%00", ""):
        response = api.get(f"/api/v1/journeys/{path}")
        assert response.status_code == 404
        assert response.json()["errors"][0]["field"] == ""


def test_patching_changes_what_it_names(api: APIClient, seed_body: dict[str, Any]) -> None:
    before = api.post("/api/v1/journeys", seed_body).json()
    response = api.patch(f"/api/v1/journeys/{before['id']}", {"priority": 3, "description": "new"})
    assert response.status_code == 200, response.data
    after = response.json()
    assert (after["priority"], after["description"]) == (3, "new")
    assert after["steps"] == before["steps"]
    assert after["version"] == 1  # live settings are not versioned


def test_patching_steps_replaces_them_as_a_whole_and_keeps_known_ones(
    api: APIClient, seed_body: dict[str, Any]
) -> None:
    before = api.post("/api/v1/journeys", seed_body).json()
    steps = [seed_body["steps"][2], {**seed_body["steps"][0], "order": 7, "delay_minutes": 9}]
    after = api.patch(f"/api/v1/journeys/{before['id']}", {"steps": steps}).json()
    assert after["version"] == 2
    assert [step["id"] for step in after["steps"]] == [before["steps"][2]["id"], before["steps"][0]["id"]]
    assert JourneyStep.objects.get(id=before["steps"][1]["id"]).archived_at is not None


def test_a_returning_key_revives_its_archived_step(api: APIClient, seed_body: dict[str, Any]) -> None:
    before = api.post("/api/v1/journeys", seed_body).json()
    path = f"/api/v1/journeys/{before['id']}"
    api.patch(path, {"steps": []})
    after = api.patch(path, {"steps": seed_body["steps"]}).json()
    assert after["steps"] == before["steps"]
    assert after["version"] == 3


def test_patching_with_what_is_there_already_publishes_nothing(api: APIClient, seed_body: dict[str, Any]) -> None:
    journey = api.post("/api/v1/journeys", seed_body).json()
    response = api.patch(f"/api/v1/journeys/{journey['id']}", seed_body)
    assert response.json() == journey
    assert JourneyVersion.objects.count() == 1


def test_steps_can_be_sent_back_as_they_came(api: APIClient, seed_body: dict[str, Any]) -> None:
    created = api.post("/api/v1/journeys", seed_body).json()
    path = f"/api/v1/journeys/{created['id']}"
    response = api.patch(path, {"steps": api.get(path).json()["steps"]})
    assert (response.status_code, response.json()["steps"]) == (200, created["steps"])
    assert JourneyVersion.objects.count() == 1
    wrong = api.patch(path, {"steps": [{**created["steps"][0], "id": "7"}]})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "steps[0].id")


def test_lanes_come_back_as_they_were_sent_and_can_be_sent_again(api: APIClient, seed_body: dict[str, Any]) -> None:
    inside = {"name": "Inside", "action_type": "apply_tag", "action_config": {"tag": "gold"}}
    gold = {"name": "gold", "condition": {"field": "plan", "op": "eq", "value": "gold"}, "steps": [inside]}
    split = {"name": "Split", "action_type": "ab_split", "lanes": [{"name": "A", "weight": 3}, {"name": "B"}]}
    branch = {"name": "Plan?", "action_type": "branch", "lanes": [gold, {"name": "else", "steps": [split]}]}
    made = api.post("/api/v1/journeys", {**seed_body, "steps": [branch]}).json()
    answered, others = made["steps"][0]["lanes"]
    assert (answered["name"], answered["condition"]) == ("gold", gold["condition"])
    assert [step["name"] for step in answered["steps"]] == ["Inside"]
    assert [lane.get("weight") for lane in others["steps"][0]["lanes"]] == [3, None]
    again = api.patch(f"/api/v1/journeys/{made['id']}", {"steps": made["steps"]})
    assert (again.status_code, again.json()["steps"]) == (200, made["steps"])
    assert JourneyVersion.objects.count() == 1


def test_a_taken_name_is_409_and_nothing_is_written(api: APIClient, seed_body: dict[str, Any]) -> None:
    api.post("/api/v1/journeys", seed_body)
    response = api.post("/api/v1/journeys", seed_body)
    assert response.status_code == 409
    assert response.json()["errors"][0]["field"] == "name"
    other = make_journey("other", [TAG])
    response = api.patch(f"/api/v1/journeys/{other.id}", {"name": "Onboarding Flow", "steps": []})
    assert response.status_code == 409
    assert JourneyStep.objects.get(journey=other).archived_at is None


def test_deleting_takes_the_journey_with_everything(api: APIClient, seed_body: dict[str, Any]) -> None:
    journey_id = api.post("/api/v1/journeys", seed_body).json()["id"]
    api.post("/api/v1/journeys/trigger", {"trigger_type": "signup", "user_id": "u1"})
    response = api.delete(f"/api/v1/journeys/{journey_id}")
    assert (response.status_code, response.content) == (204, b"")
    assert api.get(f"/api/v1/journeys/{journey_id}").status_code == 404
    assert api.delete(f"/api/v1/journeys/{journey_id}").status_code == 404
    assert api.get("/api/v1/journeys/users/u1/journeys").json() == []
    assert not JourneyVersion.objects.exists()


def test_query_counts_are_fixed(api: APIClient, seed_body: dict[str, Any], django_assert_num_queries: Any) -> None:
    for number in range(5):
        journey_id = api.post("/api/v1/journeys", {**seed_body, "name": f"j{number}"}).json()["id"]
    with django_assert_num_queries(3):  # the operator, the journeys, their steps
        api.get("/api/v1/journeys")
    with django_assert_num_queries(3):
        api.get(f"/api/v1/journeys/{journey_id}")
    with django_assert_num_queries(15):
        api.post("/api/v1/journeys", seed_body)
    with django_assert_num_queries(14):
        api.patch(f"/api/v1/journeys/{journey_id}", {"priority": 4})
