"""The whole path, told once: somebody signs up, and gets the e-mail now, the Telegram message in five minutes, the push
and the webhook with it, and the tag tomorrow, once each; and everyone can see that it happened.

All parts are real: the API, a worker process, PostgreSQL, and providers that speak their protocols on loopback. Only
time is ours: to let it pass, what waits is moved into the past.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone
from rest_framework.test import APIClient

from journeys.models import Contact, Device, Event, Message, Reward, UserJourney
from journeys.models.ids import new_id
from tests.api.conftest import SEED_BODY
from tests.factories import operator
from tests.sinks import SmtpSink
from tests.sinks_http import BotApi, PushService, Subscription, WebhookReceiver, vapid_pair
from tests.workers import eventually, running_worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("worker")]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY: dict[str, Any] = {
    **SEED_BODY,
    "steps": [
        *SEED_BODY["steps"][:2],
        {
            "name": "Push",
            "order": 2,
            "action_type": "send_push",
            "action_config": {"title": "Hello {{ user.first_name }}", "body": "Nice to have you."},
        },
        {
            "name": "Tell the CRM",
            "order": 3,
            "action_type": "trigger_webhook",
            "action_config": {"url": "HOOK/signed-up", "data": {"plan": "{{ plan }}"}},
        },
        {
            "name": "Gift",
            "order": 4,
            "action_type": "grant_reward",
            "action_config": {"reward_type": "points", "value": "12.5"},
            "condition": {"field": "plan", "op": "in", "value": ["premium", "gold"]},
        },
        {
            "name": "Not for them",
            "order": 5,
            "action_type": "apply_tag",
            "action_config": {"tag": "free"},
            "condition": {"field": "plan", "op": "eq", "value": "free"},
        },
        {**SEED_BODY["steps"][2], "order": 6},
    ],
}


@dataclass
class World:
    smtp: SmtpSink
    bot: BotApi
    push: PushService
    hook: WebhookReceiver

    def received(self) -> tuple[int, int, int, int]:
        counts = self.smtp.messages, self.bot.messages, self.push.notifications, self.hook.received
        return tuple(map(len, counts))  # type: ignore[return-value]


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    private, public = vapid_pair()
    with ExitStack() as stack:
        smtp, bot = stack.enter_context(SmtpSink()), stack.enter_context(BotApi("1:a"))
        push, hook = stack.enter_context(PushService(public)), stack.enter_context(WebhookReceiver(SECRET))
        environment = {
            "EMAIL_URL": f"smtp://{smtp.host}:{smtp.port}",
            "DEFAULT_FROM_EMAIL": "Journeys <hello@example.com>",
            "TELEGRAM_API_URL": bot.url,
            "TELEGRAM_BOT_TOKEN": "1:a",
            "VAPID_PRIVATE_KEY": private,
            "VAPID_SUBJECT": "mailto:ops@example.com",
            "WEBHOOK_SECRETS": SECRET,
            "WEBHOOK_ALLOWED_HOSTS": f"{hook.host},{push.host}",
        }
        stack.enter_context(running_worker(database_url, **environment))
        yield World(smtp, bot, push, hook)


@pytest.fixture
def api(transactional_db: None) -> APIClient:
    operator(username="service", superuser=True)
    client = APIClient()
    credentials = {"username": "service", "password": "a long password"}
    token = client.post("/api/v1/auth/token", credentials, format="json").json()["access"]
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def add_device(browser: Subscription) -> None:
    now, contact = timezone.now(), Contact.objects.get(user_id="ada")
    keys = {"token": browser.endpoint, "p256dh": browser.p256dh, "auth": browser.auth}
    Device.objects.create(id=new_id(now), contact=contact, kind="web_push", created_at=now, **keys)


def pass_time(minutes: int) -> None:
    """What waits has waited for so long already."""
    ago = timedelta(minutes=minutes)
    UserJourney.objects.filter(status="active").update(
        due_at=F("due_at") - ago, step_due_at=F("step_due_at") - ago, previous_ended_at=F("previous_ended_at") - ago
    )


def sign_up(api: APIClient, **more: Any) -> Any:
    body = {"trigger_type": "signup", "user_id": "ada", "context": {"plan": "premium"}, **more}
    return api.post("/api/v1/journeys/trigger", body, format="json")


def test_somebody_signs_up_and_gets_everything_once(api: APIClient, world: World):
    contact = {"email": "ada@example.com", "telegram_chat_id": "42", "attributes": {"first_name": "Ada"}}
    assert api.put("/api/v1/users/ada", contact, format="json").status_code in (200, 201)
    browser = world.push.subscribe()
    # Past the API, which takes https endpoints only: our push service has no certificate.
    add_device(browser)
    body = json.loads(json.dumps(BODY).replace("HOOK", world.hook.url))
    created = api.post("/api/v1/journeys", body, format="json")
    assert (created.status_code, created.json()["step_count"]) == (201, 7)
    journey_id = created.json()["id"]

    assert sign_up(api, message_id="m-1").json()["started_journeys"] == [journey_id]
    assert sign_up(api, message_id="m-1").json()["started_journeys"] == [journey_id]  # They retry, and send twice.
    assert sign_up(api).json()["started_journeys"] == []
    assert eventually(lambda: world.received() == (1, 0, 0, 0))
    mail = world.smtp.messages[0]
    assert mail.recipients == ["ada@example.com"]
    assert mail.mime["Subject"] == "Welcome!"
    assert "Ada" in mail.part("html") and "Ada" in mail.part("plain")

    run = run_of(api)
    assert eventually(lambda: run_of(api)["current_step_id"] != run["current_step_id"] or len(steps_of(api)) == 1)
    pass_time(5)
    assert eventually(lambda: world.received() == (1, 1, 1, 1))
    assert world.bot.messages[0]["text"] == "Welcome to our platform!"
    assert world.push.notifications[0].data["title"] == "Hello Ada"
    assert world.hook.received[0]["data"]["user_id"] == "ada"

    assert eventually(lambda: run_of(api)["status"] == "active" and len(steps_of(api)) == 6)
    pass_time(1440)
    assert eventually(lambda: run_of(api)["status"] == "completed")

    everyone_can_see_it(api, world)


def run_of(api: APIClient) -> dict[str, Any]:
    (run,) = api.get("/api/v1/journeys/users/ada/journeys").json()
    return dict(run)


def steps_of(api: APIClient) -> list[dict[str, Any]]:
    executions = api.get(f"/api/v1/runs/{run_of(api)['id']}").json()["executions"]
    return [one for one in executions if one["status"] != "pending"]


def everyone_can_see_it(api: APIClient, world: World) -> None:
    assert world.received() == (1, 1, 1, 1)
    assert [one["status"] for one in steps_of(api)] == ["success"] * 5 + ["skipped", "success"]
    assert steps_of(api)[5]["result"] == {"reason": "its condition does not hold"}
    assert [tag["name"] for tag in api.get("/api/v1/users/ada/tags").json()] == ["onboarded"]
    assert Reward.objects.values_list("reward_type", "value").get() == ("points", 12.5)
    assert set(Message.objects.values_list("status", flat=True)) == {"sent"}
    assert Event.objects.count() == 2
    metrics = api.get("/metrics").content.decode()
    assert 'journey_started_total{name="Onboarding Flow"} 1.0' in metrics
    assert 'journey_step_fired_total{name="Onboarding Flow",step="Welcome Email"} 1.0' in metrics
    assert 'journey_step_fired_total{name="Onboarding Flow",step="Not for them"} 0.0' in metrics
    assert api.get("/readyz").json()["last_tick"] == "ok"


def test_two_worker_processes_on_the_same_runs_do_each_step_once(api: APIClient, world: World, database_url: str):
    body = {**SEED_BODY, "steps": [{**SEED_BODY["steps"][1], "delay_minutes": 0}, SEED_BODY["steps"][2]]}
    assert api.post("/api/v1/journeys", body, format="json").status_code == 201
    people = [f"user-{number}" for number in range(120)]
    bot = {"TELEGRAM_API_URL": world.bot.url, "TELEGRAM_BOT_TOKEN": "1:a"}
    with running_worker(database_url, **bot):
        for number, user_id in enumerate(people):
            api.put(f"/api/v1/users/{user_id}", {"telegram_chat_id": str(number)}, format="json")
        events = [{"user_id": user_id, "name": "signup"} for user_id in people]
        assert api.post("/api/v1/events", events, format="json").status_code in (200, 202, 207)
        assert eventually(lambda: Message.objects.filter(status="sent").count() == len(people), 60)
        pass_time(1440)
        assert eventually(lambda: UserJourney.objects.filter(status="completed").count() == len(people), 60)
    assert sorted(int(message["chat_id"]) for message in world.bot.messages) == list(range(120))
