"""Requests at the same moment, on connections of their own."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from journeys.models import Contact, Journey
from tests.factories import make_journey

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def at_once(client_of: Callable[..., APIClient]) -> Callable[[Callable[[APIClient, int], Any]], list[int]]:
    """Does ten requests at once; the status of each."""
    token = client_of(superuser=True)._credentials

    def run(request: Callable[[APIClient, int], Any]) -> list[int]:
        def one(number: int) -> int:
            try:
                client = APIClient()
                client.credentials(**token)
                return int(request(client, number).status_code)
            finally:
                connection.close()

        with ThreadPoolExecutor(10) as threads:
            return list(threads.map(one, range(10)))

    return run


def test_one_of_ten_journeys_gets_the_name(at_once: Callable[..., list[int]]) -> None:
    body = {"name": "j", "trigger_type": "signup"}
    codes = at_once(lambda client, number: client.post("/api/v1/journeys", body, format="json"))
    assert Counter(codes) == {201: 1, 409: 9}
    assert Journey.objects.count() == 1


def test_ten_changes_of_one_contact_lose_nothing(at_once: Callable[..., list[int]]) -> None:
    codes = at_once(
        lambda client, number: client.put("/api/v1/users/u1", {"attributes": {f"a{number}": number}}, format="json")
    )
    assert Counter(codes) == {201: 1, 200: 9}
    assert Contact.objects.get().attributes == {f"a{number}": number for number in range(10)}


def test_ten_patches_of_one_journey_are_all_there(at_once: Callable[..., list[int]]) -> None:
    journey = make_journey("j")
    fields = [{"priority": 7}, {"description": "d"}, {"trigger_type": "upgrade"}, {"is_active": False}]
    codes = at_once(
        lambda client, number: client.patch(f"/api/v1/journeys/{journey.id}", fields[number % 4], format="json")
    )
    assert set(codes) == {200}
    journey.refresh_from_db()
    assert (journey.priority, journey.description, journey.trigger_type, journey.is_active) == (
        7,
        "d",
        "upgrade",
        False,
    )


def test_deleting_while_events_come_leaves_all_or_nothing(at_once: Callable[..., list[int]]) -> None:
    make_journey("j", [{"name": "a", "action_type": "apply_tag", "action_config": {"tag": "t"}}])
    trigger = {"trigger_type": "signup", "user_id": "u1"}
    codes = at_once(
        lambda client, number: (
            client.delete("/api/v1/users/u1")
            if number % 2
            else client.post("/api/v1/journeys/trigger", trigger, format="json")
        )
    )
    assert set(codes) <= {200, 204, 404, 410}
    assert Contact.objects.count() == (0 if 204 in codes else 1)
