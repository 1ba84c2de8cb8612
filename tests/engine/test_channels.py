"""The HTTP channels through the whole engine, against providers that verify what they get."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from journeys.engine.contacts import NewDevice, add_device
from journeys.engine.cycle import work
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Device, ExecutionStatus, Message, MessageStatus, StepExecution
from tests.factories import make_contact, make_journey
from tests.sinks_http import BotApi, PushService, Reply, Sink, WebhookReceiver, vapid_pair

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
SECRET = "whsec_" + "A" * 40
PRIVATE, PUBLIC = vapid_pair()

pytestmark = pytest.mark.django_db


@pytest.fixture
def hooks(settings: Settings) -> Iterator[WebhookReceiver]:
    settings.WEBHOOK_SECRETS, settings.WEBHOOK_ALLOWED_HOSTS = [SECRET], ["127.0.0.1"]
    with WebhookReceiver(SECRET) as hooks:
        yield hooks


@pytest.fixture
def bot(settings: Settings) -> Iterator[BotApi]:
    settings.TELEGRAM_BOT_TOKEN = "1:a"
    with BotApi("1:a") as bot:
        settings.TELEGRAM_API_URL = bot.url
        yield bot


@pytest.fixture
def browsers(settings: Settings) -> Iterator[PushService]:
    settings.VAPID_PRIVATE_KEY, settings.VAPID_SUBJECT = PRIVATE, "mailto:push@example.com"
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1"]
    with PushService(PUBLIC) as browsers:
        yield browsers


def signup(action_type: str, config: dict[str, Any], **contact: Any) -> StepExecution:
    """One contact takes a journey of one step."""
    step = {"name": "Step", "action_type": action_type, "action_config": config}
    make_journey("Journey", [step], now=NOW)
    make_contact("ann", now=NOW, attributes={"first_name": "Ann"}, **contact)
    ingest([Incoming("ann", "signup", {"plan": "premium"}, message_id="m-1")], NOW)
    return run_at(NOW)


def run_at(now: datetime) -> StepExecution:
    while work(lambda: now, 500).runs:
        continue
    return StepExecution.objects.get()


def test_a_webhook_is_triggered_and_verified(hooks: WebhookReceiver) -> None:
    execution = signup("trigger_webhook", {"url": f"{hooks.url}/{{{{ plan }}}}"}, email="ann@example.com")
    assert (execution.status, execution.result) == (
        ExecutionStatus.SUCCESS,
        {"status": "triggered", "status_code": 204},
    )
    data = hooks.received[0]["data"]
    assert data["execution_id"] == hooks.requests[0].headers["webhook-id"] == str(execution.id)
    assert (data["user_id"], data["contact"]["email"], data["metadata"]) == (
        "ann",
        "ann@example.com",
        {"plan": "premium"},
    )
    assert data["event"]["message_id"] == "m-1"
    assert hooks.requests[0].path == "/premium"


def test_a_failed_webhook_is_repeated_with_the_same_key_and_bytes(hooks: WebhookReceiver) -> None:
    hooks.next(Reply(503))
    assert signup("trigger_webhook", {"url": hooks.url}).status == ExecutionStatus.PENDING
    assert run_at(NOW + timedelta(hours=1)).status == ExecutionStatus.SUCCESS
    first, second = hooks.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_a_telegram_message_arrives(bot: BotApi) -> None:
    execution = signup("send_telegram", {"message": "Hi {{ user.first_name }}"}, telegram_chat_id="4711")
    assert execution.result == {"status": "sent", "message_id": 1}
    assert bot.messages == [{"chat_id": "4711", "text": "Hi Ann"}]
    assert Message.objects.get().status == MessageStatus.SENT


def test_a_blocked_bot_fails_the_step_and_the_next_one_is_skipped(bot: BotApi) -> None:
    bot.blocked.add("4711")
    execution = signup("send_telegram", {"message": "Hi"}, telegram_chat_id="4711")
    assert execution.status == ExecutionStatus.FAILED
    assert "blocked" in execution.error_message
    make_journey("Later", [{"name": "Hi", "action_type": "send_telegram", "action_config": {"message": "Hi"}}], now=NOW)
    ingest([Incoming("ann", "signup", {})], NOW)
    while work(lambda: NOW, 500).runs:
        continue
    later = StepExecution.objects.exclude(id=execution.id).get()
    assert later.status == ExecutionStatus.SKIPPED
    assert len(bot.requests) == 1


def test_a_push_reaches_the_living_device_and_removes_the_gone_one(browsers: PushService) -> None:
    alive, gone = browsers.subscribe(), browsers.subscribe()
    browsers.unsubscribe(gone)
    make_contact("ann", now=NOW)
    for subscription in (alive, gone):
        device = NewDevice("web_push", subscription.endpoint, subscription.p256dh, subscription.auth)
        add_device("ann", device, NOW)
    execution = signup("send_push", {"title": "Hi {{ user.first_name }}", "body": "Welcome"})
    assert execution.result == {"status": "sent", "devices": 1, "gone": 1}
    assert browsers.notifications[0].data == {"title": "Hi Ann", "body": "Welcome", "tag": execution.id.hex}
    assert list(Device.objects.values_list("token", flat=True)) == [alive.endpoint]


def test_a_redirect_fails_the_step_visibly(settings: Settings) -> None:
    settings.WEBHOOK_SECRETS, settings.WEBHOOK_ALLOWED_HOSTS = [SECRET], ["127.0.0.1"]
    with Sink() as sink:
        sink.next(Reply(302, {"Location": "http://169.254.169.254/"}))
        execution = signup("trigger_webhook", {"url": sink.url})
    assert execution.status == ExecutionStatus.FAILED
    assert "redirects are not followed" in execution.error_message
