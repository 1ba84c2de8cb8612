"""Dead letters and breakers over the API: found by filter, decided in bulk with the count confirmed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from journeys.engine import letters, replay
from journeys.engine.cycle import work
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Breaker, Contact, DeadLetter, Journey, Message, StepExecution
from tests.factories import make_contact, make_journey
from tests.sinks_http import BotApi

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
HELLO = {"name": "Hello", "action_type": "send_telegram", "action_config": {"message": "Hi {{ user.first_name }}"}}
REPLAY, DISMISS = "/api/v1/dead-letters/replay", "/api/v1/dead-letters/dismiss"

pytestmark = pytest.mark.django_db


@pytest.fixture
def bot(settings: Settings) -> Iterator[BotApi]:
    with BotApi(token="1:a") as api:
        settings.TELEGRAM_API_URL, settings.TELEGRAM_BOT_TOKEN = api.url, "1:a"
        yield api


def dead(bot: BotApi, people: int = 3, name: str = "Chat", error: str = "no", at: datetime = NOW) -> Journey:
    """A journey whose only step failed for good for so many people."""
    journey = make_journey(name, [HELLO], trigger_type="signup" if name == "Chat" else "upgrade", now=at)
    for number in range(people):
        make_contact(f"u{number}", now=at, telegram_chat_id=str(number), attributes={"first_name": f"U{number}"})
    ingest([Incoming(f"u{number}", journey.trigger_type) for number in range(people)], at)
    bot.next(*[BotApi.error(400, error)] * people)
    while work(lambda: at, 500).runs:
        pass
    return journey


def found(api: APIClient, **query: str) -> list[dict[str, Any]]:
    response = api.get("/api/v1/dead-letters", query)
    assert response.status_code == 200, response.json()
    return list(response.json())


def test_a_dead_letter_says_whose_it_is_and_why(api: APIClient, bot: BotApi) -> None:
    journey = dead(bot, 1, error="Bad Request: message is too long")
    (letter,) = found(api)
    step = journey.steps.get()
    execution = StepExecution.objects.get()
    assert letter == {
        "id": str(execution.id),
        "run_id": str(execution.user_journey_id),
        "user_id": "u0",
        "journey_id": str(journey.id),
        "journey_name": "Chat",
        "step_id": str(step.id),
        "step_key": "hello",
        "step_name": "Hello",
        "action_type": "send_telegram",
        "error_message": "127.0.0.1 answered 400: Bad Request: message is too long",
        "retry_count": 1,
        "dead_at": "2026-03-01T09:00:00Z",
    }


def test_the_list_is_filtered_by_all_that_is_named(api: APIClient, bot: BotApi) -> None:
    chat = dead(bot, 3, error="Chat TOO full")
    other = dead(bot, 2, "Other", error="no", at=NOW + HOUR)
    assert len(found(api)) == 5
    assert {letter["journey_name"] for letter in found(api, journey_id=str(chat.id))} == {"Chat"}
    assert len(found(api, step_id=str(other.steps.get().id))) == 2
    assert len(found(api, error="too FULL")) == 3
    assert len(found(api, error="%")) == 0
    assert len(found(api, since="2026-03-01T09:30:00Z")) == 2
    assert len(found(api, until="2026-03-01T09:30:00Z")) == 3
    assert len(found(api, action_type="send_telegram", journey_id=str(chat.id), error="no")) == 0
    assert found(api, action_type="send_email") == []


def test_the_list_has_pages(api: APIClient, bot: BotApi) -> None:
    dead(bot, 5)
    first = api.get("/api/v1/dead-letters?page_size=3&action_type=send_telegram")
    following = first.headers["Link"].split(">")[0].removeprefix("<")
    ids = {letter["id"] for letter in [*first.json(), *api.get(following).json()]}
    assert len(ids) == 5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("journey_id", "nonsense"),
        ("action_type", "pigeon"),
        ("since", "yesterday"),
        ("error", "x" * 501),
        ("error", "\x00"),
        ("errror", "no"),
    ],
)
def test_a_wrong_filter_is_refused_and_named(api: APIClient, field: str, value: str) -> None:
    response = api.get("/api/v1/dead-letters", {field: value})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, field)
    if value != "\x00":
        response = api.post(REPLAY, {field: value})
        assert (response.status_code, response.json()["errors"][0]["field"]) == (400, field)


def test_the_count_is_asked_first_and_then_confirmed(api: APIClient, bot: BotApi) -> None:
    chat = dead(bot, 3)
    dead(bot, 2, "Other", at=NOW + HOUR)
    wanted = {"journey_id": str(chat.id)}
    assert api.post(REPLAY, wanted).json() == {"count": 3, "done": False}
    assert DeadLetter.objects.filter(dead_at__isnull=False).count() == 5, "nothing is done yet"
    assert api.post(REPLAY, wanted | {"count": 3}).json() == {"count": 3, "done": True}
    before = {request.json()["chat_id"]: request.body for request in bot.requests[:3]}
    Contact.objects.update(attributes={"first_name": "Changed"})
    replay.work(timezone.now, 100)
    repeats = {request.json()["chat_id"]: request.body for request in bot.requests[5:]}
    assert repeats == before, "with the bytes of the first time"
    assert set(Message.objects.filter(journey_id=chat.id).values_list("status", flat=True)) == {"sent"}
    assert len(found(api)) == 2


def test_a_count_that_is_not_right_any_more_is_a_conflict_that_says_the_new_one(api: APIClient, bot: BotApi) -> None:
    dead(bot, 3)
    for path in (REPLAY, DISMISS):
        response = api.post(path, {"count": 2})
        assert response.status_code == 409
        assert response.json() == {
            "errors": [{"field": "count", "message": "there are 3 of these dead letters now, not 2: look again"}]
        }
    assert len(found(api)) == 3


def test_dismissed_ones_leave_the_list_and_stay_failed(
    api: APIClient, bot: BotApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "BATCH", 2)
    dead(bot, 5)
    assert api.post(DISMISS, {"error": "NO", "count": 5}).json() == {"count": 5, "done": True}
    assert found(api) == []
    assert set(StepExecution.objects.values_list("status", "dead_at")) == {("failed", None)}
    assert api.post(DISMISS, {}).json() == {"count": 0, "done": False}


def test_the_list_costs_the_same_however_long_it_is(
    api: APIClient, bot: BotApi, django_assert_num_queries: Any
) -> None:
    dead(bot, 6)
    for size in (1, 6):
        with django_assert_num_queries(2):  # The operator, and the page.
            api.get(f"/api/v1/dead-letters?page_size={size}")


def test_breakers_are_shown_with_their_state_and_last_error_and_can_be_closed(api: APIClient) -> None:
    now = timezone.now()
    for name, fields in {
        "a.example.com:443": {"failures": 7, "opened_at": now, "probe_at": now, "last_error": "answered 503"},
        "b.example.com:443": {"busy_until": now + HOUR, "last_error": "answered 429"},
        "c.example.com:443": {"failures": 2, "last_error": "no answer in time"},
    }.items():
        Breaker.objects.create(destination=name, channel="webhook", updated_at=now, **fields)
    answers = api.get("/api/v1/breakers").json()
    assert [(it["destination"], it["state"], it["failures"], it["last_error"]) for it in answers] == [
        ("a.example.com:443", "open", 7, "answered 503"),
        ("b.example.com:443", "busy", 0, "answered 429"),
        ("c.example.com:443", "closed", 2, "no answer in time"),
    ]
    assert api.delete("/api/v1/breakers/a.example.com:443").status_code == 204
    assert api.delete("/api/v1/breakers/a.example.com:443").status_code == 404
    assert len(api.get("/api/v1/breakers").json()) == 2
