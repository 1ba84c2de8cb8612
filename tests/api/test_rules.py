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
