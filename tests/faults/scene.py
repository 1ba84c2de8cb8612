"""What the attacks are made on: a journey over the channels, contacts inside it, and a ledger of what came out."""

import os
import threading
import time
from collections import Counter
from contextlib import ExitStack
from typing import Any, Self

from django.utils import timezone

from journeys.engine.ingest import Incoming, ingest
from journeys.models import ContactTag, Reward, RunStatus, StepExecution, UserJourney
from tests.factories import make_contact, make_journey
from tests.sinks import SmtpSink
from tests.sinks_http import BotApi, Reply, Request, WebhookReceiver
from tests.workers import eventually

SECRET, TOKEN = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "1:a"
LENGTHEN = int(os.environ.get("TORTURE", "1"))
"""How many times as much is done as in CI."""

TAG = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "met"}}
GIFT = {"name": "Gift", "action_type": "grant_reward", "action_config": {"reward_type": "points", "value": 1}}
CHAT = {"name": "Chat", "action_type": "send_telegram", "action_config": {"message": "Hi {{ user.user_id }}"}}
MAIL = {
    "name": "Mail",
    "action_type": "send_email",
    "action_config": {"subject": "Hi", "text": "Hello {{ user.user_id }}"},
}


class HoldingBotApi(BotApi):
    """Keeps whoever sends waiting until it is told to answer."""

    def __init__(self) -> None:
        super().__init__(TOKEN)
        self.answers = threading.Event()
        self.pause = 0.0

    def reply(self, request: Request) -> Reply:
        self.answers.wait(20)
        time.sleep(self.pause)
        return super().reply(request)


class Scene:
    """Sinks for three channels; `environment` sends a worker to them."""

    def __init__(self, bot: BotApi | None = None, **limits: str) -> None:
        self.bot, self.hooks, self.smtp = bot or BotApi(TOKEN), WebhookReceiver(SECRET), SmtpSink()
        self.limits = limits
        self._open = ExitStack()

    def __enter__(self) -> Self:
        for sink in (self.bot, self.hooks, self.smtp):
            self._open.enter_context(sink)
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "TELEGRAM_API_URL": self.bot.url,
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "WEBHOOK_SECRETS": SECRET,
            "WEBHOOK_ALLOWED_HOSTS": self.hooks.host,
            "EMAIL_URL": f"smtp://{self.smtp.host}:{self.smtp.port}",
            "LEASE_SECONDS": "5",
            "BATCH": "20",
            "LOG_LEVEL": "ERROR",
            **self.limits,
        }

    @property
    def hook(self) -> dict[str, Any]:
        return {"name": "Hook", "action_type": "trigger_webhook", "action_config": {"url": self.hooks.url}}

    @property
    def steps(self) -> list[dict[str, Any]]:
        return [TAG, CHAT, self.hook, GIFT, MAIL]

    def begin(self, count: int, steps: list[dict[str, Any]] | None = None) -> None:
        """So many people begin a journey of every kind of step."""
        now = timezone.now()
        for number in range(count):
            make_contact(f"u{number}", now, telegram_chat_id=f"u{number}", email=f"u{number}@example.com")
        make_journey("Attacked", steps or self.steps, now=now)
        ingest([Incoming(f"u{number}", "signup") for number in range(count)], now)

    def has_ended(self, seconds: float = 60) -> bool:
        """Whether all runs come to their end in time."""
        return eventually(lambda: not UserJourney.objects.filter(status=RunStatus.ACTIVE).exists(), seconds)

    def sent(self) -> Counter[str]:
        """What left the house, by channel and key, however often it came."""
        return Counter(
            [f"chat {message['chat_id']} {message['text']}" for message in self.bot.messages]
            + [f"hook {request.headers['webhook-id']} {request.body!r}" for request in self.hooks.requests]
            + [f"mail {mail.mime['Message-ID']} {mail.content!r}" for mail in self.smtp.messages]
        )

    def repeats(self) -> int:
        counts = self.sent()
        return sum(counts.values()) - len(counts)


def assert_each_step_was_done_once(scene: Scene, count: int) -> None:
    """Every run is completed, each of its steps a success, each inside effect there once, each message sent once."""
    assert Counter(UserJourney.objects.values_list("status", flat=True)) == {RunStatus.COMPLETED: count}
    done = Counter(StepExecution.objects.values_list("status", flat=True))
    assert done == {"success": count * len(scene.steps)}
    assert (ContactTag.objects.count(), Reward.objects.count()) == (count, count)
    sent = scene.sent()
    assert len(sent) == 3 * count
    assert [key for key, times in sent.items() if times > 1] == []
