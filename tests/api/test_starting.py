"""POST /api/v1/journeys/{id}/start: counted first, then confirmed."""

from typing import Any
from unittest import mock

import pytest
from django.test import override_settings
from rest_framework.test import APIClient

from journeys.authoring.segments import SegmentBody, create_segment
from journeys.engine.clock import database_clock
from journeys.engine.intakes import take_in
from journeys.models import UserJourney
from tests.factories import NOON, make_contact, make_journey

pytestmark = pytest.mark.django_db


@pytest.fixture
def at() -> str:
    journey = make_journey("Offer", trigger_type="manual")
    make_contact("u1")
    return f"/api/v1/journeys/{journey.id}/start"


def test_a_count_is_answered_and_confirmed(api: APIClient, at: str):
    asked = api.post(at, {"user_ids": ["u1", "u2"]}, format="json")
    assert asked.json() == {"count": 1, "done": False}
    assert not UserJourney.objects.exists()
    with mock.patch("journeys.engine.wake.take_in_after_commit") as woken:
        done = api.post(at, {"user_ids": ["u1", "u2"], "count": 1, "key": "k"}, format="json")
    assert (done.json(), woken.called) == ({"count": 1, "done": True}, True)
    take_in(database_clock)
    assert UserJourney.objects.count() == 1
    assert api.post(at, {"user_ids": ["u1"], "count": 1, "key": "k"}, format="json").json()["count"] == 1


def test_a_segment_is_named(api: APIClient, at: str):
    create_segment(SegmentBody(name="All"), NOON)
    assert api.post(at, {"segment": "All"}, format="json").json()["count"] == 1
    refused = api.post(at, {"segment": "None"}, format="json")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "segment")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"user_ids": []}, 400),
        ({"user_ids": ["a/b"]}, 400),
        ({"user_ids": ["u1"], "segment": "All"}, 400),
        ({"user_ids": ["u1"], "count": 7}, 409),
        ({"user_ids": ["u1"], "count": -1}, 400),
    ],
)
@override_settings(DEBUG=False)
def test_what_is_wrong_starts_nobody(api: APIClient, at: str, body: dict[str, Any], status: int):
    assert api.post(at, body, format="json").status_code == status
    assert not take_in(database_clock)


def test_only_a_journey_by_hand_that_is_on(api: APIClient, at: str):
    other = make_journey("Signup")
    assert api.post(f"/api/v1/journeys/{other.id}/start", {"user_ids": ["u1"]}, format="json").status_code == 409
    off = make_journey("Off", trigger_type="manual", is_active=False)
    assert api.post(f"/api/v1/journeys/{off.id}/start", {"user_ids": ["u1"]}, format="json").status_code == 409
    nothing = "/api/v1/journeys/00000000-0000-7000-8000-000000000000/start"
    assert api.post(nothing, {"user_ids": ["u1"]}, format="json").status_code == 404


def test_it_takes_a_permission(client_of: Any, at: str):
    assert client_of("journeys.add_event").post(at, {"user_ids": ["u1"]}, format="json").status_code == 403
