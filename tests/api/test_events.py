"""Triggers and events: what other systems report."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from journeys.models import Contact, Event, UserJourney
from tests.factories import make_journey

TAG = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "t"}}
PREMIUM = {"field": "plan", "op": "eq", "value": "premium"}


@pytest.mark.django_db
def test_triggering_answers_with_the_seeds_fields_highest_priority_first(api: APIClient) -> None:
    low = make_journey("low", [TAG], trigger_config=PREMIUM)
    high = make_journey("high", [TAG], priority=10, trigger_config={"condition": PREMIUM})
    make_journey("other plan", [TAG], trigger_config={**PREMIUM, "value": "gold"})
    make_journey("off", [TAG], is_active=False)
    response = api.post(
        "/api/v1/journeys/trigger",
        {"trigger_type": "signup", "user_id": "u 1@x", "context": {"plan": "premium"}},
    )
    assert response.status_code == 200, response.data
    assert response.json() == {
        "trigger_type": "signup",
        "user_id": "u 1@x",
        "started_journeys": [str(high.id), str(low.id)],
    }
    assert Contact.objects.get().user_id == "u 1@x"


@pytest.mark.django_db
def test_a_repeated_message_id_gets_the_first_answer_again(api: APIClient) -> None:
    make_journey("a", [TAG])
    body = {"trigger_type": "signup", "user_id": "u1", "message_id": "m1"}
    first = api.post("/api/v1/journeys/trigger", body).json()
    assert len(first["started_journeys"]) == 1
    assert api.post("/api/v1/journeys/trigger", body).json() == first
    assert api.post("/api/v1/journeys/trigger", {**body, "message_id": "m2"}).json()["started_journeys"] == []
    assert Event.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_twenty_concurrent_triggers_start_one_run(client_of: Callable[..., APIClient]) -> None:
    make_journey("a", [TAG])
    client = client_of("journeys.add_event")
    token = client._credentials

    def post(number: int) -> list[str]:
        try:
            response = APIClient().post(
                "/api/v1/journeys/trigger", {"trigger_type": "signup", "user_id": "u1"}, format="json", **token
            )
            assert response.status_code == 200
            return list(response.json()["started_journeys"])
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as threads:
        started = [journey for answers in threads.map(post, range(20)) for journey in answers]
    assert len(started) == 1
    assert UserJourney.objects.count() == 1
    assert Contact.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"trigger_type": "nope"}, "trigger_type"),
        ({"trigger_type": 3}, "trigger_type"),
        ({"trigger_type": None}, "trigger_type"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": "a/b"}, "user_id"),
        ({"user_id": "a\nb"}, "user_id"),
        ({"user_id": "a\n"}, "user_id"),
        ({"user_id": "x" * 191}, "user_id"),
        ({"user_id": 7}, "user_id"),
        ({"user_id": "a\x00"}, "user_id"),
        ({"context": []}, "context"),
        ({"context": {"a": "\x00"}}, "context.a"),
        ({"context": {"a\x00": 1}}, "context"),
        ({"message_id": ""}, "message_id"),
        ({"message_id": "x" * 201}, "message_id"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at"),
        ({"occurred_at": "2026-02-30"}, "occurred_at"),
        ({"occurred_at": 1700000000}, "occurred_at"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_bad_trigger_names_its_field_and_writes_nothing(api: APIClient, change: dict[str, Any], field: str) -> None:
    body = {"trigger_type": "signup", "user_id": "u1", **change}
    response = api.post("/api/v1/journeys/trigger", body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == field, response.json()
    assert not Contact.objects.exists()


@pytest.mark.django_db
def test_context_may_be_ten_deep_and_no_deeper(api: APIClient) -> None:
    def nested(levels: int) -> Any:
        return {"a": nested(levels - 1)} if levels > 1 else {"a": 1}

    body = {"trigger_type": "signup", "user_id": "u1"}
    assert api.post("/api/v1/journeys/trigger", {**body, "context": nested(10)}).status_code == 200
    response = api.post("/api/v1/journeys/trigger", {**body, "context": nested(11)})
    assert response.status_code == 400
    assert "nested too deep" in response.json()["errors"][0]["message"]


@pytest.mark.django_db
def test_many_events_are_answered_in_order_and_the_good_ones_kept(api: APIClient) -> None:
    journey = make_journey("a", [TAG])
    happened = "2026-03-01T09:00:00Z"
    response = api.post(
        "/api/v1/events",
        [
            {"user_id": "u1", "name": "signup", "message_id": "m1", "occurred_at": happened},
            {"user_id": "u1"},
            "nonsense",
            {"user_id": "u1", "name": "signup", "message_id": "m1"},
            {"user_id": "u2", "name": "page_viewed", "properties": {"url": "/pricing"}},
        ],
    )
    assert response.status_code == 200, response.data
    answers = response.json()
    assert [answer["status"] for answer in answers] == ["accepted", "invalid", "invalid", "duplicate", "accepted"]
    assert answers[0]["started_journeys"] == answers[3]["started_journeys"] == [str(journey.id)]
    assert answers[0]["event_id"] == answers[3]["event_id"]
    assert answers[1]["errors"] == [{"field": "name", "message": "is required"}]
    assert Event.objects.get(message_id="m1").occurred_at == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert Event.objects.count() == 2


@pytest.mark.django_db
def test_one_event_is_answered_by_itself(api: APIClient) -> None:
    response = api.post("/api/v1/events", {"user_id": "u1", "name": "page_viewed"})
    assert response.status_code == 200
    assert response.json()["status"] == "accepted"
    assert api.post("/api/v1/events", {"user_id": "u1"}).status_code == 400
    assert api.post("/api/v1/events", "text").status_code == 400
    assert api.post("/api/v1/events", []).json() == []


@pytest.mark.django_db
def test_a_thousand_events_go_and_one_more_does_not(api: APIClient, django_assert_max_num_queries: Any) -> None:
    events = [{"user_id": f"u{number % 50}", "name": "seen"} for number in range(1_001)]
    assert api.post("/api/v1/events", events).status_code == 400
    assert not Event.objects.exists()
    with django_assert_max_num_queries(16):
        assert api.post("/api/v1/events", events[:1_000]).status_code == 200
    assert Event.objects.count() == 1_000


@pytest.mark.django_db
@pytest.mark.parametrize("future", ["2999-01-01", "9999-12-31T23:59:59-14:00"])
def test_what_lies_in_the_future_counts_as_now(api: APIClient, future: str) -> None:
    event = {"user_id": "u1", "name": "seen", "occurred_at": future}
    assert api.post("/api/v1/events", event).status_code == 200
    stored = Event.objects.get()
    assert stored.occurred_at == stored.received_at


@pytest.mark.django_db
def test_somebody_deleted_is_gone_until_put_again(api: APIClient) -> None:
    make_journey("a", [TAG])
    trigger = {"trigger_type": "signup", "user_id": "u1"}
    api.post("/api/v1/journeys/trigger", trigger)
    assert api.delete("/api/v1/users/u1").status_code == 204
    assert api.post("/api/v1/journeys/trigger", trigger).status_code == 410
    event = {"user_id": "u1", "name": "seen"}
    assert api.post("/api/v1/events", event).status_code == 410
    (answer,) = api.post("/api/v1/events", [event]).json()
    assert (answer["status"], answer["errors"][0]["field"]) == ("refused", "user_id")
    assert not Contact.objects.exists()
    assert api.put("/api/v1/users/u1", {}).status_code == 201
    assert len(api.post("/api/v1/journeys/trigger", trigger).json()["started_journeys"]) == 1


@pytest.mark.django_db
def test_an_event_that_cannot_be_stored_spoils_no_other(api: APIClient) -> None:
    deep = "[" * 200 + "]" * 200
    bad = [
        '{"user_id": "u1", "name": "a\\u0000b"}',
        '{"user_id": "u1", "name": "b", "properties": {"a": "\\ud800"}}',
        '{"user_id": "u1", "name": "c", "properties": {"a": 1e400}}',
        f'{{"user_id": "u1", "name": "d", "properties": {{"a": {deep}}}}}',
    ]
    good = '{"user_id": "u1", "name": "seen"}'
    response = api.post("/api/v1/events", f"[{', '.join([*bad, good])}]", content_type="application/json")
    assert response.status_code == 200, response.data
    assert [answer["status"] for answer in response.json()] == [*["invalid"] * 4, "accepted"]
    assert [answer["errors"][0]["field"] for answer in response.json()[:3]] == ["name", "properties.a", "properties.a"]
    assert Event.objects.get().name == "seen"
