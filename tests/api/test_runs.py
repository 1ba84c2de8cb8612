"""Runs, and executing them by hand."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from journeys.models import ContactTag, UserJourney
from tests.factories import make_journey

pytestmark = pytest.mark.django_db

NOW = {"name": "Now", "action_type": "apply_tag", "action_config": {"tag": "now"}}
GOLD = {
    "name": "Only gold",
    "action_type": "apply_tag",
    "action_config": {"tag": "gold"},
    "condition": {"field": "plan", "op": "eq", "value": "gold"},
}
LATER = {"name": "Later", "action_type": "apply_tag", "action_config": {"tag": "later"}, "delay_minutes": 5}


def start(api: APIClient, user_id: str = "u1") -> dict[str, Any]:
    context = {"plan": "premium"}
    body = {"trigger_type": "signup", "user_id": user_id, "context": context}
    assert api.post("/api/v1/journeys/trigger", body).status_code == 200
    (run,) = api.get(f"/api/v1/journeys/users/{user_id}/journeys").json()
    return dict(run)


def test_a_run_reads_as_in_the_seed(api: APIClient) -> None:
    journey = make_journey("Onboarding Flow", [NOW])
    run = start(api)
    started = run.pop("started_at")
    assert started.endswith("Z")
    assert run == {
        "id": run["id"],
        "user_id": "u1",
        "journey_id": str(journey.id),
        "journey_name": "Onboarding Flow",
        "status": "active",
        "current_step_id": str(journey.steps.get().id),
        "completed_at": None,
        "metadata": {"plan": "premium"},
    }


def test_runs_are_filtered_by_status(api: APIClient) -> None:
    make_journey("a", [NOW])
    start(api)
    path = "/api/v1/journeys/users/u1/journeys?status_filter="
    assert len(api.get(f"{path}active").json()) == 1
    assert api.get(f"{path}completed").json() == []
    response = api.get(f"{path}lost")
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "status_filter"


def test_runs_are_paged_newest_first(api: APIClient) -> None:
    for number in range(5):
        make_journey(f"j{number}", [NOW], priority=-number)
    api.post("/api/v1/journeys/trigger", {"trigger_type": "signup", "user_id": "u1"})
    seen, url = [], "/api/v1/journeys/users/u1/journeys?page_size=2"
    while url:
        response = api.get(url)
        seen += [row["id"] for row in response.json()]
        links = dict(reversed(link.split("; ")) for link in response.headers["Link"].split(", "))
        url = links.get('rel="next"', "").strip("<>")
    assert len(set(seen)) == 5 and seen == sorted(seen, reverse=True)


def test_an_unknown_user_is_404(api: APIClient) -> None:
    assert api.get("/api/v1/journeys/users/nobody/journeys").status_code == 404


def test_executing_does_what_is_due_and_counts_it(api: APIClient) -> None:
    make_journey("a", [NOW, GOLD, LATER])
    run = start(api)
    path = f"/api/v1/journeys/execute/{run['id']}"
    assert api.post(path).json() == {
        "status": "executed",
        "executed": 1,
        "skipped": 1,
        "failed": 0,
        "total_steps": 3,
    }
    again = {"status": "executed", "executed": 0, "skipped": 0, "failed": 0, "total_steps": 3}
    assert api.post(path).json() == again
    assert [link.tag.name for link in ContactTag.objects.select_related("tag")] == ["now"]


def test_executing_the_last_step_ends_the_run(api: APIClient) -> None:
    make_journey("a", [NOW, LATER])
    run = start(api)
    path = f"/api/v1/journeys/execute/{run['id']}"
    api.post(path)
    past = timezone.now() - timedelta(minutes=1)
    UserJourney.objects.update(due_at=past, step_due_at=past)
    assert api.post(path).json()["executed"] == 1
    assert api.post(path).json() == {"status": "skipped", "reason": "journey not active"}
    detail = api.get(f"/api/v1/runs/{run['id']}").json()
    assert detail["status"] == "completed" and detail["completed_at"]
    assert [(step["step_name"], step["status"]) for step in detail["executions"]] == [
        ("Now", "success"),
        ("Later", "success"),
    ]


def test_an_inactive_journey_is_not_executed(api: APIClient) -> None:
    journey = make_journey("a", [NOW])
    run = start(api)
    assert api.patch(f"/api/v1/journeys/{journey.id}", {"is_active": False}).json()["is_active"] is False
    path = f"/api/v1/journeys/execute/{run['id']}"
    assert api.post(path).json() == {"status": "skipped", "reason": "journey not active"}
    api.patch(f"/api/v1/journeys/{journey.id}", {"is_active": True})
    assert api.post(path).json()["executed"] == 1


def test_what_a_worker_has_is_not_executed(api: APIClient) -> None:
    make_journey("a", [NOW])
    run = start(api)
    lease = timezone.now() + timedelta(minutes=1)
    UserJourney.objects.update(claim_token=uuid4(), lease_until=lease)
    response = api.post(f"/api/v1/journeys/execute/{run['id']}")
    assert response.json() == {"status": "skipped", "reason": "being executed"}


def test_unknown_runs_are_404(api: APIClient) -> None:
    for path in ("journeys/execute/x", f"journeys/execute/{uuid4()}"):
        assert api.post(f"/api/v1/{path}").status_code == 404
    for path in ("runs/x", f"runs/{uuid4()}"):
        assert api.get(f"/api/v1/{path}").status_code == 404


def test_query_counts_are_fixed(api: APIClient, django_assert_num_queries: Any) -> None:
    make_journey("a", [NOW, GOLD, LATER])
    run = start(api)
    api.post(f"/api/v1/journeys/execute/{run['id']}")
    with django_assert_num_queries(4):  # the operator, the run with all around it, the executions, the journey's steps
        assert len(api.get(f"/api/v1/runs/{run['id']}").json()["executions"]) == 2
    with django_assert_num_queries(3):  # the operator, the contact, the runs
        api.get("/api/v1/journeys/users/u1/journeys")
