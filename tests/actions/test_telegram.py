import logging
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from journeys.actions import http
from journeys.actions.base import ConfigError, PermanentError, SkipStep, TemplateText
from journeys.actions.telegram import REFUSED_TOKEN_RETRY, SendTelegram
from journeys.logic.effects import Delivered, MarkChatDead, Undelivered
from tests.actions.contexts import deliver, make_context, prepared_send
from tests.sinks_http import BotApi, Fault, Hang, Reply, Reset

TOKEN = "12345:the-secret"
ACTION = SendTelegram()
HELLO = {"message": "Hi {{ user.first_name }}"}


@pytest.fixture
def bot(settings: Settings) -> Iterator[BotApi]:
    with BotApi(TOKEN) as bot:
        settings.TELEGRAM_API_URL = bot.url
        settings.TELEGRAM_BOT_TOKEN = TOKEN
        yield bot


def undelivered(bot: BotApi, *faults: Fault) -> Undelivered:
    bot.next(*faults)
    outcome = deliver(ACTION, HELLO)
    assert isinstance(outcome, Undelivered)
    return outcome


def test_the_message_reaches_the_chat(bot: BotApi) -> None:
    assert deliver(ACTION, HELLO) == Delivered({"status": "sent", "message_id": 1})
    assert bot.messages == [{"chat_id": "4711", "text": "Hi Ann"}]


def test_formatting_preview_and_button_are_passed_on(bot: BotApi) -> None:
    raw = {
        "message": "<b>Hi</b> {{ user.name }}",
        "parse_mode": "HTML",
        "disable_preview": True,
        "button_text": "Open, {{ user.name }}",
        "button_url": "https://example.com/{{ user.name }}",
    }
    deliver(ACTION, raw, make_context(attributes={"name": "<i>Bob"}))
    assert bot.messages == [
        {
            "chat_id": "4711",
            "text": "<b>Hi</b> &lt;i&gt;Bob",
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": True},
            "reply_markup": {
                "inline_keyboard": [[{"text": "Open, <i>Bob", "url": "https://example.com/%3Ci%3EBob"}]],
            },
        }
    ]


def test_a_template_gives_the_text(bot: BotApi) -> None:
    templates = {("telegram", "hello"): TemplateText("", "", "Hello {{ user.first_name }}!")}
    deliver(ACTION, {"template": "hello"}, make_context(templates=templates))
    assert bot.messages[0]["text"] == "Hello Ann!"


def test_a_missing_template_is_permanent() -> None:
    with pytest.raises(PermanentError, match="'hello'"):
        prepared_send(ACTION, {"template": "hello"})


@pytest.mark.parametrize(
    ("contact", "reason"),
    [({"telegram_chat_id": ""}, "no Telegram chat"), ({"telegram_dead": True}, "can't be reached")],
)
def test_a_contact_without_a_living_chat_is_skipped(contact: dict[str, Any], reason: str) -> None:
    with pytest.raises(SkipStep, match=reason):
        prepared_send(ACTION, HELLO, make_context(contact=contact))


@pytest.mark.parametrize("text", ["x" * 4096, "<b>" + "x" * 4096 + "</b>", "&amp;" * 4096])
def test_a_message_of_4096_characters_is_taken(text: str) -> None:
    prepared_send(ACTION, {"message": "{{ user.text }}"}, make_context(attributes={"text": "x" * 4096}))
    templates = {("telegram", "long"): TemplateText("", "", text)}
    prepared_send(ACTION, {"template": "long", "parse_mode": "HTML"}, make_context(templates=templates))


@pytest.mark.parametrize("text", ["x" * 4097, "🎉" * 2049])
def test_a_longer_message_is_permanent(text: str) -> None:
    with pytest.raises(PermanentError, match="4096"):
        prepared_send(ACTION, {"message": "{{ user.text }}"}, make_context(attributes={"text": text}))


def test_an_empty_message_is_permanent() -> None:
    with pytest.raises(PermanentError, match="empty"):
        prepared_send(ACTION, {"message": "{{ user.nothing }}"})


def test_a_blocked_bot_is_permanent_and_marks_the_chat(bot: BotApi) -> None:
    bot.blocked.add("4711")
    outcome = undelivered(bot)
    assert outcome == Undelivered(
        "127.0.0.1 answered 403: Forbidden: bot was blocked by the user",
        permanent=True,
        effects=(MarkChatDead("4711"),),
    )


@pytest.mark.parametrize(
    ("status", "description"),
    [
        (400, "Bad Request: chat not found"),
        (400, "Bad Request: user not found"),
        (403, "Forbidden: user is deactivated"),
        (403, "Forbidden: bot can't initiate conversation with a user"),
        (403, "Forbidden: bot was kicked from the group chat"),
    ],
)
def test_an_unreachable_chat_is_marked(bot: BotApi, status: int, description: str) -> None:
    outcome = undelivered(bot, bot.error(status, description))
    assert outcome.permanent
    assert outcome.effects == (MarkChatDead("4711"),)


@pytest.mark.parametrize(
    ("status", "description"),
    [
        (400, "Bad Request: can't parse entities: unsupported start tag"),
        (400, "Bad Request: not enough rights to send text messages to the chat"),
        (403, "Forbidden: not enough rights to send text messages to the chat"),
    ],
)
def test_a_refused_message_is_permanent_but_the_chat_lives(bot: BotApi, status: int, description: str) -> None:
    outcome = undelivered(bot, bot.error(status, description))
    assert outcome.permanent
    assert description in outcome.error
    assert outcome.effects == ()


def test_an_absurd_retry_after_of_the_bot_api_is_a_number_still(bot: BotApi) -> None:
    outcome = undelivered(bot, bot.error(429, "Too Many Requests", retry_after=10**400))
    assert (outcome.permanent, outcome.retry_after) == (False, 1e9)


def test_retry_after_of_the_bot_api_is_obeyed(bot: BotApi) -> None:
    outcome = undelivered(bot, bot.error(429, "Too Many Requests: retry after 17", retry_after=17))
    assert (outcome.permanent, outcome.retry_after) == (False, 17)


@pytest.mark.parametrize("fault", [Reply(500), Reply(502, {}, b"<html>"), Reset()])
def test_a_failing_api_is_transient(bot: BotApi, fault: Fault) -> None:
    assert not undelivered(bot, fault).permanent


def test_a_silent_api_is_transient(bot: BotApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TOTAL_SECONDS", 0.2)
    assert not undelivered(bot, Hang()).permanent


@pytest.mark.parametrize("body", [b"", b"<html>captive portal</html>", b"[]", b'{"ok": false}'])
def test_an_answer_that_is_not_the_bot_apis_is_no_success(bot: BotApi, body: bytes) -> None:
    outcome = undelivered(bot, Reply(200, {}, body))
    assert not outcome.permanent
    assert "TELEGRAM_API_URL" in outcome.error


@pytest.mark.parametrize("status", [401, 404])
def test_a_wrong_token_loses_nobodys_message(bot: BotApi, status: int) -> None:
    outcome = undelivered(bot, bot.error(status, "Unauthorized"))
    assert (outcome.permanent, outcome.retry_after) == (False, REFUSED_TOKEN_RETRY)
    assert "TELEGRAM_BOT_TOKEN" in outcome.error


def test_the_token_is_in_no_error_log_or_payload(bot: BotApi, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    faults = (
        Reset(),
        bot.error(400, f"no method bot{TOKEN}/sendMessage"),
        Reply(500, {}, f"upstream /bot{TOKEN}/ failed".encode()),
        Reply(401),
    )
    errors = [undelivered(bot, fault).error for fault in faults]
    assert TOKEN not in "".join(errors) + caplog.text + repr(prepared_send(ACTION, HELLO))


def test_without_a_token_the_setting_is_named(settings: Settings) -> None:
    settings.TELEGRAM_BOT_TOKEN = ""
    assert ACTION.missing_setting() == "TELEGRAM_BOT_TOKEN"


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({}, "message"),
        ({"message": " "}, "message"),
        ({"message": "a", "template": "b"}, "message"),
        ({"message": "{{ user"}, "message"),
        ({"message": "a\x00"}, "message"),
        ({"message": "x" * 10_001}, "message"),
        ({"message": "a", "parse_mode": "Markdown"}, "parse_mode"),
        ({"message": "a", "disable_preview": "yes"}, "disable_preview"),
        ({"message": "a", "button_text": "Go"}, "button_url"),
        ({"message": "a", "button_url": "https://example.com/"}, "button_url"),
        ({"message": "a", "button_text": "Go", "button_url": "javascript:alert(1)"}, "button_url"),
        ({"message": "a", "text": "b"}, "text"),
    ],
)
def test_a_wrong_config_names_its_field(raw: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ACTION.parse(raw)
    assert list(caught.value.errors) == [field]
