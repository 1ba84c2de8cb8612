"""/api/v1/segments: written, counted, listed, and not taken away under a journey."""

from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from journeys.engine import audience
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Segment
from tests.factories import NOON, make_contact

pytestmark = pytest.mark.django_db
BUYERS: dict[str, Any] = {
    "name": "Buyers",
    "condition": {"did": "purchase", "op": "gte", "value": 2, "within_days": 36_500},
}


def make(api: APIClient, **changes: Any) -> dict[str, Any]:
    response = api.post("/api/v1/segments", {**BUYERS, **changes}, format="json")
    assert response.status_code == 201, response.json()
    made: dict[str, Any] = response.json()
    return made


def test_a_segment_is_made_read_changed_and_deleted(api: APIClient):
    made = make(api)
    at = f"/api/v1/segments/{made['id']}"
    assert api.get(at).json() == made
    assert [each["name"] for each in api.get("/api/v1/segments").json()] == ["Buyers"]
    assert api.patch(at, {"description": "Twice"}, format="json").json()["condition"] == BUYERS["condition"]
    assert api.patch(at, {"name": "Customers"}, format="json").json()["name"] == "Customers"
    assert api.delete(at).status_code == 204
    assert api.get(at).status_code == 404
    assert api.delete(at).status_code == 404


def test_its_size_and_its_members_are_those_of_now(api: APIClient):
    made = make(api)
    make_contact("nobody")
    ingest([Incoming("ann", "purchase"), Incoming("ann", "purchase"), Incoming("bob", "purchase")], NOON)
    at = f"/api/v1/segments/{made['id']}"
    assert api.get(f"{at}/size").json() == {"size": 1}
    assert [each["user_id"] for each in api.get(f"{at}/members").json()] == ["ann"]
    ingest([Incoming("bob", "purchase")], NOON)
    page = api.get(f"{at}/members?page_size=1")
    assert page.json()[0]["user_id"] in ("ann", "bob")
    assert 'rel="next"' in page.headers["Link"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"condition": {"all": [{"did": "x", "op": "gte", "value": -1}]}}, "condition.all[0].value"),
        ({"condition": {"field": "event.name", "op": "exists"}}, "condition.field"),
        ({"condition": {"field": "a\x00", "op": "exists"}}, "condition.field"),
        ({"conditions": {}}, "conditions"),
    ],
)
def test_a_fault_is_named(api: APIClient, changes: dict[str, Any], field: str):
    response = api.post("/api/v1/segments", {**BUYERS, **changes}, format="json")
    assert (response.status_code, [each["field"] for each in response.json()["errors"]]) == (400, [field])
    at = f"/api/v1/segments/{make(api)['id']}"
    assert api.patch(at, changes, format="json").status_code == 400


def test_a_taken_name_is_refused(api: APIClient):
    make(api)
    response = api.post("/api/v1/segments", BUYERS, format="json")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (409, "name")
    other = make(api, name="Others")
    assert api.patch(f"/api/v1/segments/{other['id']}", {"name": "Buyers"}, format="json").status_code == 409
    assert Segment.objects.count() == 2


def test_a_count_that_takes_too_long_is_given_up(api: APIClient, monkeypatch: pytest.MonkeyPatch):
    made = make(api)

    def slow(*_: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(5)")

    monkeypatch.setattr(audience, "audience", slow)
    monkeypatch.setattr(audience.size, "__defaults__", (0.05,))
    response = api.get(f"/api/v1/segments/{made['id']}/size")
    assert response.status_code == 503
    assert "takes longer than 0.05 seconds" in response.json()["errors"][0]["message"]


def test_a_marketer_may_and_a_service_may_not(client_of: Any):
    service = client_of("journeys.view_contact", username="service")
    assert service.get("/api/v1/segments").status_code == 403
    marketer = client_of("journeys.view_segment", "journeys.add_segment", username="marketer")
    made = make(marketer)
    assert marketer.get(f"/api/v1/segments/{made['id']}/members").status_code == 403  # Contacts are more than segments.
