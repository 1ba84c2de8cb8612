from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from pytest_django.fixtures import Settings

from journeys.actions import http
from journeys.actions.base import ConfigError, DeviceView, PermanentError, SkipStep, StepContext, TemplateText
from journeys.actions.fcm import REFUSED_ACCOUNT_RETRY
from journeys.actions.push import SendPush
from journeys.logic.effects import Delivered, DropDevice, Outcome, Undelivered
from tests.actions.contexts import EXECUTION, deliver, make_context, outgoing, prepared_send
from tests.sinks_http import Fault, Firebase, Hang, Notification, PushService, Reply, Reset, Subscription, vapid_pair

ACTION = SendPush()
PRIVATE, PUBLIC = vapid_pair()
HELLO = {"title": "Hi {{ user.first_name }}", "body": "Welcome", "url": "https://example.com/{{ plan }}"}
FIRST, SECOND = UUID(int=11), UUID(int=12)


@pytest.fixture
def browsers(settings: Settings) -> Iterator[PushService]:
    with PushService(PUBLIC) as service:
        settings.VAPID_PRIVATE_KEY = PRIVATE
        settings.VAPID_SUBJECT = "mailto:push@example.com"
        settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1"]
        yield service


@pytest.fixture
def firebase(settings: Settings) -> Iterator[Firebase]:
    with Firebase() as firebase:
        settings.FCM_API_URL = firebase.url
        settings.FCM_SERVICE_ACCOUNT = firebase.service_account
        yield firebase


def browser(subscription: Subscription, id: UUID = FIRST) -> DeviceView:
    return DeviceView(id, "web_push", subscription.endpoint, subscription.p256dh, subscription.auth)


def phone(token: str, id: UUID = SECOND) -> DeviceView:
    return DeviceView(id, "fcm", token, "", "")


def to(*devices: DeviceView) -> StepContext:
    return make_context(devices=devices)


def undelivered(outcome: Outcome) -> Undelivered:
    assert isinstance(outcome, Undelivered)
    return outcome


def test_a_browser_decrypts_what_only_it_can_read(browsers: PushService) -> None:
    subscription = browsers.subscribe()
    outcome = deliver(ACTION, HELLO | {"icon": "https://example.com/i.png"}, to(browser(subscription)))
    assert outcome == Delivered({"status": "sent", "devices": 1, "gone": 0})
    assert browsers.notifications == [
        Notification(
            subscription.endpoint,
            {
                "title": "Hi Ann",
                "body": "Welcome",
                "url": "https://example.com/premium",
                "icon": "https://example.com/i.png",
                "tag": EXECUTION.hex,
            },
            ttl=86400,
            urgency="normal",
            topic=EXECUTION.hex,
        )
    ]
    assert b"Welcome" not in browsers.requests[0].body


def test_firebase_gets_the_note_with_an_access_token(firebase: Firebase) -> None:
    firebase.devices.add("phone-1")
    assert isinstance(deliver(ACTION, HELLO, to(phone("phone-1"))), Delivered)
    (message,) = firebase.messages
    assert message["notification"] == {"title": "Hi Ann", "body": "Welcome"}
    assert message["data"] == {"url": "https://example.com/premium", "tag": EXECUTION.hex}
    assert message["android"]["collapse_key"] == message["android"]["notification"]["tag"] == EXECUTION.hex
    assert message["apns"]["headers"]["apns-collapse-id"] == EXECUTION.hex
    assert message["webpush"]["fcm_options"] == {"link": "https://example.com/premium"}


def test_the_access_token_is_asked_for_once(firebase: Firebase) -> None:
    firebase.devices.add("phone-1")
    for _ in range(3):
        deliver(ACTION, HELLO, to(phone("phone-1")))
    assert (len(firebase.messages), len(firebase.grants)) == (3, 1)


def test_a_repeat_replaces_the_notification(browsers: PushService, firebase: Firebase) -> None:
    firebase.devices.add("phone-1")
    context = to(browser(browsers.subscribe()), phone("phone-1"))
    message = outgoing(prepared_send(ACTION, HELLO, context))
    list(ACTION.send([message, message]))
    assert browsers.notifications[0] == browsers.notifications[1]
    assert firebase.messages[0] == firebase.messages[1]


def test_a_template_gives_title_and_body(browsers: PushService) -> None:
    templates = {("push", "hello"): TemplateText("Hello {{ user.first_name }}", "", "It works")}
    context = make_context(devices=(browser(browsers.subscribe()),), templates=templates)
    deliver(ACTION, {"template": "hello"}, context)
    assert browsers.notifications[0].data["title"] == "Hello Ann"
    assert browsers.notifications[0].data["body"] == "It works"


def test_all_devices_are_tried_and_one_is_enough(browsers: PushService, firebase: Firebase) -> None:
    gone = browsers.subscribe()
    browsers.unsubscribe(gone)
    firebase.devices.add("phone-1")
    outcome = deliver(ACTION, HELLO, to(browser(gone), phone("phone-1")))
    assert outcome == Delivered({"status": "sent", "devices": 1, "gone": 1}, effects=(DropDevice(FIRST),))


def test_a_device_that_failed_does_not_undo_one_that_took_it(browsers: PushService, firebase: Firebase) -> None:
    browsers.next(Reply(503))
    firebase.devices.add("phone-1")
    outcome = deliver(ACTION, HELLO, to(browser(browsers.subscribe()), phone("phone-1")))
    assert outcome == Delivered({"status": "sent", "devices": 1, "gone": 0})


@pytest.mark.parametrize("status", [404, 410])
def test_gone_devices_are_dropped_and_none_left_is_permanent(
    browsers: PushService, firebase: Firebase, status: int
) -> None:
    browsers.next(Reply(status))
    outcome = deliver(ACTION, HELLO, to(browser(browsers.subscribe()), phone("unregistered")))
    assert outcome == Undelivered(
        "no device left: all are gone", permanent=True, effects=(DropDevice(FIRST), DropDevice(SECOND))
    )


def test_a_token_that_never_was_one_is_gone(firebase: Firebase) -> None:
    firebase.devices.add("phone-1")
    violation = {"fieldViolations": [{"field": "message.token", "description": "not a valid FCM registration token"}]}
    with_token(firebase, firebase.error(400, "INVALID_ARGUMENT", violation))
    assert undelivered(deliver(ACTION, HELLO, to(phone("phone-1")))).effects == (DropDevice(SECOND),)


def test_another_invalid_argument_keeps_the_device(firebase: Firebase) -> None:
    with_token(firebase, firebase.error(400, "INVALID_ARGUMENT"))
    outcome = undelivered(deliver(ACTION, HELLO, to(phone("phone-1"))))
    assert (outcome.permanent, outcome.effects) == (True, ())
    assert "INVALID_ARGUMENT" in outcome.error


def test_a_project_that_is_not_found_keeps_the_device(firebase: Firebase) -> None:
    with_token(firebase, firebase.error(404, "NOT_FOUND"))
    assert undelivered(deliver(ACTION, HELLO, to(phone("phone-1")))).effects == ()


def test_the_longest_wait_that_was_asked_for_counts(browsers: PushService, firebase: Firebase) -> None:
    browsers.next(Reply(429, {"Retry-After": "40"}))
    with_token(firebase, Reply(503, {"Retry-After": "90"}))
    outcome = undelivered(deliver(ACTION, HELLO, to(browser(browsers.subscribe()), phone("phone-1"))))
    assert (outcome.permanent, outcome.retry_after) == (False, 90)


def test_a_transient_failure_outweighs_gone_and_refused_devices(browsers: PushService, firebase: Firebase) -> None:
    with_token(firebase, Reset())
    gone = browsers.subscribe()
    browsers.unsubscribe(gone)
    outcome = undelivered(deliver(ACTION, HELLO, to(browser(gone), phone("phone-1"))))
    assert (outcome.permanent, outcome.effects) == (False, (DropDevice(FIRST),))


@pytest.mark.parametrize("fault", [Reply(500), Reply(502), Reset()])
def test_a_failing_push_service_is_transient(browsers: PushService, fault: Fault) -> None:
    browsers.next(fault)
    assert not undelivered(deliver(ACTION, HELLO, to(browser(browsers.subscribe())))).permanent


def test_a_silent_push_service_is_transient(browsers: PushService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TOTAL_SECONDS", 0.3)
    browsers.next(Hang())
    assert not undelivered(deliver(ACTION, HELLO, to(browser(browsers.subscribe())))).permanent


def test_silent_services_are_waited_for_at_once(browsers: PushService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TOTAL_SECONDS", 0.3)
    browsers.next(*[Hang()] * 7)
    devices = [browser(browsers.subscribe(), UUID(int=100 + number)) for number in range(8)]
    assert deliver(ACTION, HELLO, to(*devices)) == Delivered({"status": "sent", "devices": 1, "gone": 0})


def test_a_subscription_made_with_another_key_is_permanent_but_kept(browsers: PushService, settings: Settings) -> None:
    settings.VAPID_PRIVATE_KEY, _ = vapid_pair()
    outcome = undelivered(deliver(ACTION, HELLO, to(browser(browsers.subscribe()))))
    assert (outcome.permanent, outcome.effects) == (True, ())
    assert "not subscribed with this key" in outcome.error


def test_an_endpoint_inside_is_permanent(browsers: PushService, settings: Settings) -> None:
    settings.WEBHOOK_ALLOWED_HOSTS = []
    outcome = undelivered(deliver(ACTION, HELLO, to(browser(browsers.subscribe()))))
    assert outcome.permanent
    assert "not permitted" in outcome.error
    assert browsers.requests == []


@pytest.mark.parametrize(("p256dh", "auth"), [("", ""), ("AAAA", "AAAA"), ("?", "!"), ("B" + "A" * 86, "AAAA")])
def test_unusable_keys_are_permanent(browsers: PushService, p256dh: str, auth: str) -> None:
    device = DeviceView(FIRST, "web_push", browsers.subscribe().endpoint, p256dh, auth)
    outcome = undelivered(deliver(ACTION, HELLO, to(device)))
    assert outcome.permanent
    assert "keys are unusable" in outcome.error


def test_a_refused_service_account_loses_nobodys_message(firebase: Firebase, settings: Settings) -> None:
    with Firebase() as other:
        settings.FCM_SERVICE_ACCOUNT = {**other.service_account, "token_uri": firebase.service_account["token_uri"]}
        outcome = undelivered(deliver(ACTION, HELLO, to(phone("phone-1"))))
    assert (outcome.permanent, outcome.retry_after) == (False, REFUSED_ACCOUNT_RETRY)
    assert "FCM_SERVICE_ACCOUNT_JSON" in outcome.error


def test_an_unusable_service_account_loses_nobodys_message(firebase: Firebase, settings: Settings) -> None:
    settings.FCM_SERVICE_ACCOUNT = {**firebase.service_account, "private_key": "nonsense"}
    outcome = undelivered(deliver(ACTION, HELLO, to(phone("phone-1"))))
    assert not outcome.permanent
    assert "FCM_SERVICE_ACCOUNT_JSON" in outcome.error


def test_a_failing_token_endpoint_is_transient(firebase: Firebase) -> None:
    firebase.next(*[Reset()] * 10)
    outcome = undelivered(deliver(ACTION, HELLO, to(phone("phone-1"))))
    assert not outcome.permanent
    assert "no access token" in outcome.error


def test_a_revoked_access_token_is_replaced(firebase: Firebase) -> None:
    firebase.devices.add("phone-1")
    deliver(ACTION, HELLO, to(phone("phone-1")))
    firebase.grants[0] = "revoked"
    assert not undelivered(deliver(ACTION, HELLO, to(phone("phone-1")))).permanent
    assert isinstance(deliver(ACTION, HELLO, to(phone("phone-1"))), Delivered)


def test_a_kind_that_is_not_configured_is_out_of_reach(browsers: PushService, settings: Settings) -> None:
    settings.FCM_SERVICE_ACCOUNT = None
    both = to(browser(browsers.subscribe()), phone("phone-1"))
    assert deliver(ACTION, HELLO, both) == Delivered({"status": "sent", "devices": 1, "gone": 0})
    assert deliver(ACTION, HELLO, to(phone("phone-1"))) == Undelivered(
        "FCM_SERVICE_ACCOUNT_JSON is not set", permanent=True
    )


def test_the_missing_setting_is_named(settings: Settings) -> None:
    settings.VAPID_PRIVATE_KEY, settings.FCM_SERVICE_ACCOUNT = "", None
    assert ACTION.missing_setting() == "VAPID_PRIVATE_KEY or FCM_SERVICE_ACCOUNT_JSON"
    settings.VAPID_PRIVATE_KEY = PRIVATE
    assert ACTION.missing_setting() is None


def test_a_contact_without_devices_is_skipped() -> None:
    with pytest.raises(SkipStep, match="no device"):
        prepared_send(ACTION, HELLO)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({"title": "{{ user.nothing }}"}, "empty"),
        ({"title": "a", "body": "{{ user.long }}"}, "bytes"),
        ({"template": "none"}, "no push template 'none'"),
    ],
)
def test_what_no_service_would_take_is_permanent(raw: dict[str, Any], reason: str) -> None:
    context = make_context(devices=(phone("phone-1"),), attributes={"long": "ä" * 1600})
    with pytest.raises(PermanentError, match=reason):
        prepared_send(ACTION, raw, context)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({}, "title"),
        ({"title": ""}, "title"),
        ({"title": "a", "template": "b"}, "title"),
        ({"template": "b", "body": "c"}, "body"),
        ({"title": "{{"}, "title"),
        ({"title": "a", "url": "/relative"}, "url"),
        ({"title": "a", "icon": "javascript:x"}, "icon"),
        ({"title": 1}, "title"),
        ({"title": "a", "sound": "b"}, "sound"),
    ],
)
def test_a_wrong_config_names_its_field(raw: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ACTION.parse(raw)
    assert list(caught.value.errors) == [field]


def with_token(firebase: Firebase, fault: Fault) -> None:
    """The fault is for the message, not for the token that is fetched before it."""
    firebase.devices.add("warm-up")
    deliver(ACTION, HELLO, to(phone("warm-up")))
    firebase.next(fault)
