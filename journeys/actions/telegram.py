"""send_telegram: the Bot API's sendMessage. The bot's token is part of the URL, so no URL is ever shown or kept."""

import json
import re
from collections.abc import Iterable, Iterator
from html import unescape
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from pydantic import Field, ValidationInfo, field_validator

from journeys.actions import http
from journeys.actions.base import (
    MessageConfig,
    Outgoing,
    OutsideAction,
    PermanentError,
    SkipStep,
    StepContext,
    TransientError,
)
from journeys.actions.links import LiquidText, LiquidUrl, render_link
from journeys.actions.render import render, render_html
from journeys.logic.effects import Delivered, MarkChatDead, Outcome, Prepared, Send, Undelivered

MAX_MESSAGE = 4096
"""Of the Bot API, in UTF-16 units after entities are parsed."""

REFUSED_TOKEN_RETRY = 300.0
MAX_RETRY_AFTER = 10**9
"""Seconds; a larger number need not fit a float. The engine clamps to its own limit."""

_TAG = re.compile(r"<[^>]*>")
_DEAD_CHAT = ("chat not found", "user not found", "user is deactivated", "peer_id_invalid", "chat was deactivated")
_LIVING_CHAT = ("not enough rights", "have no rights", "need administrator rights")


class TelegramConfig(MessageConfig):
    template: str = Field(
        default="",
        title="Template",
        description="A Telegram template, or write the message below.",
        max_length=100,
        json_schema_extra={"widget": "template", "channel": "telegram"},
    )
    message: LiquidText = Field(
        default="",
        validate_default=True,
        title="Message",
        description="What the bot says. Variables: {{ user.first_name }}.",
        max_length=10_000,
        json_schema_extra={"widget": "textarea"},
    )
    parse_mode: Literal["none", "HTML"] = Field(
        default="none", title="Formatting", description="With HTML, <b>, <i>, <a> and the like are formatting."
    )
    disable_preview: bool = Field(default=False, title="No link preview")
    button_text: LiquidText = Field(default="", title="Button", description="A button below.", max_length=200)
    button_url: LiquidUrl = Field(
        default="",
        validate_default=True,
        title="Button's link",
        max_length=2000,
        json_schema_extra={"widget": "liquid"},
    )

    @field_validator("message")
    @classmethod
    def _message_or_template(cls, message: str, info: ValidationInfo) -> str:
        if bool(message.strip()) == bool(info.data.get("template")):
            raise ValueError("is required, unless a template is given in its place; not both")
        return message

    @field_validator("button_url")
    @classmethod
    def _whole_button(cls, url: str, info: ValidationInfo) -> str:
        if bool(url) != bool(info.data.get("button_text")):
            raise ValueError("a button needs both its text and its link")
        return url


class SendTelegram(OutsideAction[TelegramConfig]):
    kind = "send_telegram"
    label = "Send a Telegram message"
    description = "The bot writes to the contact."
    config_class = TelegramConfig
    channel = "telegram"
    per = ("destination", "chat")

    def prepare(self, config: TelegramConfig, context: StepContext) -> Prepared:
        chat = context.contact.telegram_chat_id
        if not chat:
            raise SkipStep("the contact has no Telegram chat")
        if context.contact.telegram_dead:
            raise SkipStep("the contact's Telegram chat can't be reached: the bot is blocked or the chat unknown")
        is_html = config.parse_mode == "HTML"
        source = _source(config, context)
        text = (render_html if is_html else render)(source, context.facts, "the message").strip()
        _check_length(unescape(_TAG.sub("", text)) if is_html else text)
        payload: dict[str, Any] = {"parse_mode": config.parse_mode, "disable_preview": config.disable_preview}
        if config.button_text:
            payload["button"] = {
                "text": render(config.button_text, context.facts, "the button"),
                "url": render_link(config.button_url, context.facts),
            }
        return Prepared(send=Send(channel=self.channel, to=chat, text=text, payload=payload))

    def missing_setting(self) -> str | None:
        return None if settings.TELEGRAM_BOT_TOKEN else "TELEGRAM_BOT_TOKEN"

    def destination(self, message: Outgoing) -> str:
        return http.destination_of(settings.TELEGRAM_API_URL)

    def owner(self, per: str, message: Outgoing) -> str:
        return message.to if per == "chat" else super().owner(per, message)

    def send(self, batch: Iterable[Outgoing]) -> Iterator[tuple[UUID, Outcome]]:
        return http.deliver_each(batch, _deliver)


def _source(config: TelegramConfig, context: StepContext) -> str:
    if not config.template:
        return config.message
    template = context.templates.get("telegram", config.template)
    if template is None:
        raise PermanentError(f"there is no Telegram template {config.template!r}")
    return template.text


def _check_length(shown: str) -> None:
    if not shown.strip():
        raise PermanentError("the message is empty")
    length = len(shown.encode("utf-16-le")) // 2
    if length > MAX_MESSAGE:
        raise PermanentError(f"the message has {length} characters; Telegram takes {MAX_MESSAGE}")


def _deliver(outgoing: Outgoing) -> Outcome:
    token = settings.TELEGRAM_BOT_TOKEN
    if not token:
        raise PermanentError("TELEGRAM_BOT_TOKEN is not set")
    answer = http.post(
        f"{settings.TELEGRAM_API_URL}/bot{token}/sendMessage",
        json.dumps(_request(outgoing)).encode(),
        {"content-type": "application/json"},
        guarded=False,
    )
    body = answer.json()
    if answer.ok and body.get("ok") is True:
        result = body.get("result")
        return Delivered(
            {"status": "sent", "message_id": result.get("message_id") if isinstance(result, dict) else None}
        )
    if answer.ok:
        fault = f"{answer.host} does not answer like the Bot API: check TELEGRAM_API_URL"
        raise TransientError(fault, destination="down")
    return _refused(outgoing.to, answer, body, token)


def _request(outgoing: Outgoing) -> dict[str, Any]:
    request: dict[str, Any] = {"chat_id": outgoing.to, "text": outgoing.text}
    if outgoing.payload.get("parse_mode") == "HTML":
        request["parse_mode"] = "HTML"
    if outgoing.payload.get("disable_preview"):
        request["link_preview_options"] = {"is_disabled": True}
    if button := outgoing.payload.get("button"):
        request["reply_markup"] = {"inline_keyboard": [[button]]}
    return request


def _refused(chat: str, answer: http.Answer, body: dict[str, Any], token: str) -> Outcome:
    # The token is the operator's to mend, and nobody's message should be lost until then: so this passes, and the
    # long wait spreads the attempts that are left over the time it takes to be noticed.
    if answer.status in (401, 404):
        fault = f"{answer.host} refused TELEGRAM_BOT_TOKEN ({answer.status})"
        raise TransientError(fault, REFUSED_TOKEN_RETRY, "down")
    description = str(body.get("description", "")).replace(token, "…")
    error = http.failure(answer, description)
    if isinstance(error, TransientError):
        parameters = body.get("parameters")
        asked = parameters.get("retry_after") if isinstance(parameters, dict) else None
        raise TransientError(str(error), _seconds(asked) or error.retry_after, error.destination)
    dead = (MarkChatDead(chat),) if _is_dead(answer.status, description.lower()) else ()
    return Undelivered(str(error), permanent=True, effects=dead)


def _seconds(asked: Any) -> float | None:
    return float(min(asked, MAX_RETRY_AFTER)) if isinstance(asked, int) and asked > 0 else None


def _is_dead(status: int, description: str) -> bool:
    if any(phrase in description for phrase in _DEAD_CHAT):
        return True
    # 403: blocked, kicked, never started, deactivated.
    return status == 403 and not any(phrase in description for phrase in _LIVING_CHAT)
