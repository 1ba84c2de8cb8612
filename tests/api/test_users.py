"""/api/v1/users: contacts, their devices and tags."""

import json
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from journeys.models import Contact, ContactTombstone, Tally, UserJourney, What
from tests.factories import make_journey

pytestmark = pytest.mark.django_db
PATH = "/api/v1/users/u1"
TAG = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "t"}}


def test_putting_makes_then_merges(api: APIClient) -> None:
    body = {
        "email": "ann@example.com",
        "telegram_chat_id": 12345,
        "timezone": "Europe/Berlin",
        "locale": "de-DE",
        "attributes": {"plan": "free", "first_name": "Ann", "nested": {"a": [1, None]}},
    }
    made = api.put(PATH, body)
    assert made.status_code == 201, made.data
    assert made.json()["telegram_chat_id"] == "12345"
    merged = api.put(PATH, {"email": None, "attributes": {"plan": "gold", "first_name": None}})
    assert merged.status_code == 200
    assert merged.json() == api.get(PATH).json()
    assert merged.json() | {"created_at": 0, "updated_at": 0} == {
        "user_id": "u1",
        "email": None,
        "telegram_chat_id": "12345",
        "telegram_reachable": True,
        "timezone": "Europe/Berlin",
        "locale": "de-DE",
        "attributes": {"plan": "gold", "nested": {"a": [1, None]}},
        "tags": [],
        "last_event_at": None,
        "created_at": 0,
        "updated_at": 0,
    }


def test_putting_nothing_changes_nothing(api: APIClient) -> None:
    first = api.put(PATH, {}).json()
    assert api.put(PATH, {}).json() == first


def test_another_chat_gets_another_try(api: APIClient) -> None:
    api.put(PATH, {"telegram_chat_id": "1"})
    Contact.objects.update(telegram_dead_at=timezone.now())
    assert api.put(PATH, {"telegram_chat_id": "1"}).json()["telegram_reachable"] is False
    assert api.put(PATH, {"telegram_chat_id": "2"}).json()["telegram_reachable"] is True


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "nonsense"}, "email"),
        ({"email": "a@example.com\r\nBcc: b@example.com"}, "email"),
        ({"email": "a@" + "x" * 260 + ".com"}, "email"),
        ({"email": 5}, "email"),
        ({"telegram_chat_id": "drop table"}, "telegram_chat_id"),
        ({"telegram_chat_id": True}, "telegram_chat_id"),
        ({"telegram_chat_id": 1.5}, "telegram_chat_id"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"locale": "!"}, "locale"),
        ({"attributes": []}, "attributes"),
        ({"attributes": {"a": "\ud800"}}, "attributes.a"),
        ({"attributes": {"": 1}}, "attributes"),
        ({"attributes": {"x" * 101: 1}}, "attributes"),
        ({"plan": "gold"}, "plan"),
        ([], ""),
        ("text", ""),
        (None, ""),
    ],
)
def test_a_bad_contact_names_its_field_and_writes_nothing(api: APIClient, body: Any, field: str) -> None:
    response = api.put(PATH, json.dumps(body), content_type="application/json")
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"].startswith(field), response.json()
    assert not Contact.objects.exists()


@pytest.mark.parametrize("user_id", ["a%2Fb", "x" * 191, "a%00", "a%0A", "%7F"])
def test_what_cannot_be_a_user_id_is_404(api: APIClient, user_id: str) -> None:
    for path in (f"/api/v1/users/{user_id}", f"/api/v1/journeys/users/{user_id}/journeys"):
        assert api.get(path).status_code == 404
    assert api.put(f"/api/v1/users/{user_id}", {}).status_code == 404


def test_user_ids_are_case_sensitive_and_may_be_any_script(api: APIClient) -> None:
    for user_id in ("Ann", "ann", "ёж 🦔", "a@b.c", "50%", "?q#f"):
        api.put(f"/api/v1/users/{''.join(f'%{byte:02X}' for byte in user_id.encode())}", {})
    assert set(Contact.objects.values_list("user_id", flat=True)) == {"Ann", "ann", "ёж 🦔", "a@b.c", "50%", "?q#f"}


def test_deleting_leaves_only_a_tombstone_and_sums_that_add_up(api: APIClient) -> None:
    make_journey("a", [{**TAG, "delay_minutes": 5}])
    api.post("/api/v1/journeys/trigger", {"trigger_type": "signup", "user_id": "u1"})
    api.put(f"{PATH}/tags/vip")
    api.post(f"{PATH}/devices", {"kind": "fcm", "token": "t"})
    assert api.delete(PATH).status_code == 204
    assert api.delete(PATH).status_code == 404
    assert api.get(PATH).status_code == 404
    assert not UserJourney.objects.exists()
    assert ContactTombstone.objects.count() == 1
    counts = dict(Tally.objects.filter(step_id=None).values_list("what", "count"))
    assert counts == {What.STARTED: 1, What.EXITED: 1}


def test_devices_come_and_go(api: APIClient) -> None:
    api.put(PATH, {})
    api.put("/api/v1/users/u2", {})
    body = {"kind": "web_push", "token": "https://push.example.com/x", "p256dh": "BP_-x", "auth": "aa"}
    made = api.post(f"{PATH}/devices", body)
    assert made.status_code == 201, made.data
    device = made.json()
    assert api.get(f"{PATH}/devices").json() == [device]
    taken = api.post("/api/v1/users/u2/devices", body)
    assert (taken.status_code, taken.json()["id"]) == (200, device["id"])
    assert api.get(f"{PATH}/devices").json() == []
    assert api.delete(f"{PATH}/devices/{device['id']}").status_code == 404
    assert api.delete(f"/api/v1/users/u2/devices/{device['id']}").status_code == 204


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "pager"},
        {"token": ""},
        {"token": "http://push.example.com/x"},
        {"token": "https://push.example.com/a b"},
        {"p256dh": ""},
        {"auth": "!"},
        {"colour": "red"},
    ],
)
def test_a_bad_device_is_refused(api: APIClient, change: dict[str, Any]) -> None:
    api.put(PATH, {})
    body = {"kind": "web_push", "token": "https://push.example.com/x", "p256dh": "BP_-x", "auth": "aa", **change}
    assert api.post(f"{PATH}/devices", body).status_code == 400


def test_tags_come_and_go(api: APIClient) -> None:
    api.put(PATH, {})
    assert api.put(f"{PATH}/tags/very%20important").status_code == 201
    assert api.put(f"{PATH}/tags/very%20important").status_code == 200
    (tag,) = api.get(f"{PATH}/tags").json()
    assert (tag["name"], tag["execution_id"]) == ("very important", None)
    assert api.get(PATH).json()["tags"] == ["very important"]
    assert api.delete(f"{PATH}/tags/very%20important").status_code == 204
    assert api.delete(f"{PATH}/tags/very%20important").status_code == 404
    assert api.put(f"{PATH}/tags/{'x' * 101}").status_code == 404


def test_nobodys_devices_and_tags_are_404(api: APIClient) -> None:
    assert api.get(f"{PATH}/devices").status_code == 404
    assert api.post(f"{PATH}/devices", {"kind": "fcm", "token": "t"}).status_code == 404
    assert api.get(f"{PATH}/tags").status_code == 404
    assert api.put(f"{PATH}/tags/x").status_code == 404
    assert api.delete(f"{PATH}/tags/x").status_code == 404


def test_query_counts_are_fixed(api: APIClient, django_assert_num_queries: Any) -> None:
    api.put(PATH, {})
    for number in range(3):
        api.put(f"{PATH}/tags/t{number}")
        api.post(f"{PATH}/devices", {"kind": "fcm", "token": f"t{number}"})
    for path, count in ((PATH, 3), (f"{PATH}/devices", 3), (f"{PATH}/tags", 3)):
        with django_assert_num_queries(count):
            api.get(path)
    with django_assert_num_queries(9):
        api.put(PATH, {"attributes": {"plan": "gold"}})
