import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from standardwebhooks import Webhook

from journeys.actions import http
from journeys.actions.base import ConfigError, PermanentError
from journeys.actions.webhook import TriggerWebhook, signature
from journeys.logic.effects import Delivered, Undelivered
from journeys.logic.instants import iso
from tests.actions.contexts import EXECUTION, NOW, make_context, outgoing, prepared_send
from tests.actions.contexts import deliver as deliver_step
from tests.sinks_http import Hang, Reply, Reset, WebhookReceiver

SECRET = "whsec_" + "A" * 40
OLD_SECRET = "whsec_" + "B" * 40
ACTION = TriggerWebhook()


@pytest.fixture
def receiver(settings: Settings) -> Iterator[WebhookReceiver]:
    with WebhookReceiver(SECRET) as receiver:
        settings.WEBHOOK_SECRETS = [SECRET]
        settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1"]
        yield receiver


def deliver(raw: dict[str, Any]) -> Delivered | Undelivered:
    return deliver_step(ACTION, raw)


def undelivered(receiver: WebhookReceiver, *faults: Any) -> Undelivered:
    receiver.next(*faults)
    outcome = deliver({"url": receiver.url})
    assert isinstance(outcome, Undelivered)
    return outcome


def test_the_receiver_gets_the_documented_body_and_can_verify_it(receiver: WebhookReceiver) -> None:
    outcome = deliver({"url": f"{receiver.url}/hook", "data": {"greeting": "Hi {{ user.first_name }}"}})
    assert outcome == Delivered({"status": "triggered", "status_code": 204})
    assert receiver.received == [
        {
            "type": "journey.step",
            "timestamp": iso(NOW),
            "data": {
                "user_id": "ann",
                "journey": {"id": "00000000-0000-0000-0000-000000000002", "name": "Onboarding Flow"},
                "run_id": "00000000-0000-0000-0000-000000000003",
                "execution_id": str(EXECUTION),
                "step": {"key": "hello", "name": "Hello"},
                "contact": {
                    "email": "ann@example.com",
                    "telegram_chat_id": "4711",
                    "timezone": "Europe/Berlin",
                    "locale": "de",
                    "attributes": {"first_name": "Ann"},
                    "tags": ["vip"],
                },
                "event": {"name": "signup", "message_id": "m-1", "occurred_at": iso(NOW)},
                "metadata": {"plan": "premium"},
                "extra": {"greeting": "Hi Ann"},
            },
        }
    ]
    (request,) = receiver.requests
    assert (request.method, request.path) == ("POST", "/hook")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == str(EXECUTION)


def test_a_repeat_has_the_same_id_and_bytes(receiver: WebhookReceiver) -> None:
    send = prepared_send(ACTION, {"url": receiver.url, "data": {"name": "Zoë 🎉"}})
    # As it is after a stay in the database.
    stored = outgoing(send.__class__(**{**_fields(send), "payload": json.loads(json.dumps(send.payload))}))
    list(ACTION.send([stored, stored]))
    first, second = receiver.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_every_secret_signs_so_that_receivers_can_rotate(receiver: WebhookReceiver, settings: Settings) -> None:
    settings.WEBHOOK_SECRETS = [OLD_SECRET, SECRET]
    assert isinstance(deliver({"url": receiver.url}), Delivered)
    (request,) = receiver.requests
    assert len(request.headers["webhook-signature"].split(" ")) == 2
    for secret in (SECRET, OLD_SECRET):
        Webhook(secret).verify(request.body, dict(request.headers))


def test_the_timestamp_is_the_attempts_and_is_signed(settings: Settings) -> None:
    settings.WEBHOOK_SECRETS = [SECRET]
    now = datetime.now(UTC)
    early, late = (signature(EXECUTION, "{}", at) for at in (now, now + timedelta(seconds=60)))
    assert int(late["webhook-timestamp"]) - int(early["webhook-timestamp"]) == 60
    assert late["webhook-signature"] != early["webhook-signature"]


def test_headers_are_rendered_and_a_line_break_begins_none(receiver: WebhookReceiver) -> None:
    context = make_context(attributes={"name": "a\r\nX-Evil: 1", "city": "Köln"})
    raw = {"url": receiver.url, "headers": {"X-Name": "{{ user.name }}", "X-City": "{{ user.city }}"}}
    assert isinstance(deliver_step(ACTION, raw, context), Delivered)
    (request,) = receiver.requests
    assert request.headers["x-name"] == "a X-Evil: 1"
    assert request.headers["x-city"].encode("latin-1").decode() == "Köln"
    assert "x-evil" not in request.headers


def test_a_value_can_add_neither_segment_nor_parameter_to_the_url(receiver: WebhookReceiver) -> None:
    context = make_context(attributes={"name": "a/b?x=1&y=2#z c+d", "city": "Köln"})
    send = prepared_send(ACTION, {"url": f"{receiver.url}/u/{{{{ user.name }}}}?c={{{{user.city}}}}"}, context)
    assert send.to == f"{receiver.url}/u/a%2Fb%3Fx%3D1%26y%3D2%23z%20c%2Bd?c=K%C3%B6ln"
    list(ACTION.send([outgoing(send)]))
    assert receiver.requests[0].path == "/u/a%2Fb%3Fx%3D1%26y%3D2%23z%20c%2Bd?c=K%C3%B6ln"


def test_a_template_that_encodes_by_itself_is_left_alone() -> None:
    raw = {"url": "https://example.com/?q={{ user.first_name | upcase | url_encode }}"}
    assert prepared_send(ACTION, raw).to == "https://example.com/?q=ANN"


@pytest.mark.parametrize("name", ["..", "."])
def test_a_value_of_dots_cannot_climb_out_of_the_path(name: str) -> None:
    context = make_context(attributes={"name": name})
    with pytest.raises(PermanentError, match="segment of dots"):
        prepared_send(ACTION, {"url": "https://example.com/users/{{ user.name }}/x"}, context)


def test_a_url_that_grows_too_long_is_permanent() -> None:
    context = make_context(attributes={"name": "x" * 3000})
    with pytest.raises(PermanentError, match="longer than 2048"):
        prepared_send(ACTION, {"url": "https://example.com/{{ user.name }}"}, context)


def test_a_refusal_quotes_the_receiver(receiver: WebhookReceiver) -> None:
    outcome = undelivered(receiver, Reply(422, {}, b'{"error": "no such user"}'))
    assert outcome == Undelivered('127.0.0.1 answered 422: {"error": "no such user"}', permanent=True)


def test_gone_is_permanent(receiver: WebhookReceiver) -> None:
    assert undelivered(receiver, Reply(410)).permanent


def test_a_redirect_is_permanent(receiver: WebhookReceiver) -> None:
    assert undelivered(receiver, Reply(307, {"Location": "http://169.254.169.254/"})).permanent
    assert len(receiver.requests) == 1


def test_too_many_requests_is_transient_and_says_when(receiver: WebhookReceiver) -> None:
    outcome = undelivered(receiver, Reply(429, {"Retry-After": "30"}))
    assert (outcome.permanent, outcome.retry_after) == (False, 30)


@pytest.mark.parametrize("fault", [Reply(500), Reply(503), Reset()])
def test_a_failing_receiver_is_transient(receiver: WebhookReceiver, fault: Reply | Reset) -> None:
    assert not undelivered(receiver, fault).permanent


def test_a_silent_receiver_is_transient(receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TOTAL_SECONDS", 0.2)
    assert not undelivered(receiver, Hang()).permanent


def test_an_inside_address_is_permanent(receiver: WebhookReceiver, settings: Settings) -> None:
    settings.WEBHOOK_ALLOWED_HOSTS = []
    outcome = undelivered(receiver)
    assert outcome.permanent
    assert "not permitted" in outcome.error
    assert receiver.requests == []


def test_one_failure_does_not_end_the_batch(receiver: WebhookReceiver) -> None:
    receiver.next(Reset())
    message = outgoing(prepared_send(ACTION, {"url": receiver.url}))
    outcomes = [outcome for _, outcome in ACTION.send([message, message])]
    assert [type(outcome) for outcome in outcomes] == [Undelivered, Delivered]


def test_nothing_is_sent_before_it_is_drawn(receiver: WebhookReceiver) -> None:
    message = outgoing(prepared_send(ACTION, {"url": receiver.url}))
    sending = ACTION.send([message, message])
    assert receiver.requests == []
    next(sending)
    assert len(receiver.requests) == 1


def test_without_a_secret_the_setting_is_named(settings: Settings) -> None:
    settings.WEBHOOK_SECRETS = []
    assert ACTION.missing_setting() == "WEBHOOK_SECRETS"


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({}, "url"),
        ({"url": ""}, "url"),
        ({"url": "example.com"}, "url"),
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://{{ user.host }}/"}, "url"),
        ({"url": "https://example.com{{ user.host }}"}, "url"),
        ({"url": "https://user:pass@example.com/"}, "url"),
        ({"url": "https://example.com:99999/"}, "url"),
        ({"url": "https://[::1/"}, "url"),
        ({"url": "https://example.com/{{ user.name"}, "url"),
        ({"url": "https://example.com/" + "x" * 2000}, "url"),
        ({"url": 1}, "url"),
        ({"url": "https://example.com/", "method": "GET"}, "method"),
        ({"url": "https://example.com/", "headers": {"Host": "x"}}, "headers"),
        ({"url": "https://example.com/", "headers": {"content-length": "1"}}, "headers"),
        ({"url": "https://example.com/", "headers": {"Webhook-Id": "1"}}, "headers"),
        ({"url": "https://example.com/", "headers": {"a b": "1"}}, "headers"),
        ({"url": "https://example.com/", "headers": {"": "1"}}, "headers"),
        ({"url": "https://example.com/", "headers": {"X": "1\r\nY: 2"}}, "headers"),
        ({"url": "https://example.com/", "headers": {"X": "1", "x": "2"}}, "headers"),
        ({"url": "https://example.com/", "headers": {"X": "{{"}}, "headers.X"),
        ({"url": "https://example.com/", "headers": {"X": 1}}, "headers.X"),
        ({"url": "https://example.com/", "data": {"a": "{% if %}"}}, "data.a"),
        ({"url": "https://example.com/", "data": {"a": ["b"]}}, "data.a"),
    ],
)
def test_a_wrong_config_names_its_field(raw: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ACTION.parse(raw)
    assert list(caught.value.errors) == [field]


def _fields(send: Any) -> dict[str, Any]:
    return {name: getattr(send, name) for name in send.__slots__}
