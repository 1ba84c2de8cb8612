"""trigger_webhook: a POST of JSON, signed after the Standard Webhooks specification (standardwebhooks.com).

`webhook-id` and the body are the same bytes on each repeat; `webhook-timestamp` and the signature are the attempt's.
docs/webhooks.md describes both for those who receive it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from django.conf import settings
from pydantic import Field, field_validator
from standardwebhooks import Webhook

from journeys.actions import http
from journeys.actions.base import Config, Outgoing, OutsideAction, StepContext
from journeys.actions.links import LiquidText, LiquidUrl, render_link
from journeys.actions.render import render
from journeys.logic.effects import Delivered, Outcome, Prepared, Send
from journeys.logic.facts import Facts
from journeys.logic.instants import iso

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_OURS = frozenset(
    {"host", "content-length", "content-type", "content-encoding", "transfer-encoding", "accept-encoding"}
    | {"connection", "keep-alive", "te", "trailer", "upgrade", "expect"}
)

HeaderName = Annotated[str, Field(max_length=100)]
Value = Annotated[LiquidText, Field(max_length=4000)]


class WebhookConfig(Config):
    url: LiquidUrl = Field(
        title="URL",
        description="Path and query may hold variables: https://example.com/users/{{ user.user_id }}",
        min_length=1,
        max_length=2000,
        json_schema_extra={"widget": "liquid"},
    )
    headers: dict[HeaderName, Value] = Field(
        default_factory=dict,
        title="Headers",
        description="Sent along, for example an API key. Values may hold variables.",
        max_length=20,
        json_schema_extra={"widget": "pairs"},
    )
    data: dict[Annotated[str, Field(min_length=1, max_length=100)], Value] = Field(
        default_factory=dict,
        title="Extra data",
        description="Names and values put into the body beside what is always sent. Values may hold variables.",
        max_length=50,
        json_schema_extra={"widget": "pairs"},
    )

    @field_validator("headers")
    @classmethod
    def _headers(cls, headers: dict[str, str]) -> dict[str, str]:
        seen: set[str] = set()
        for name, value in headers.items():
            lower = name.lower()
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"{name!r} is no header name")
            if lower in _OURS or lower.startswith(("webhook-", "proxy-")):
                raise ValueError(f"{name} is set by the service itself")
            if lower in seen:
                raise ValueError(f"{name} is there twice")
            if _CONTROL.search(value):
                raise ValueError(f"{name}: the value must be one line")
            seen.add(lower)
        return headers


class TriggerWebhook(OutsideAction[WebhookConfig]):
    kind = "trigger_webhook"
    label = "Call a webhook"
    description = "POSTs the contact and this step, signed, to a URL of yours."
    config_class = WebhookConfig
    channel = "webhook"
    is_message = False  # It talks to a service.

    def prepare(self, config: WebhookConfig, context: StepContext) -> Prepared:
        # A line break that a value brings along must not begin a header of its own.
        headers = {
            name: _CONTROL.sub(" ", render(value, context.facts, f"header {name}")).strip()
            for name, value in config.headers.items()
        }
        data = {name: render(value, context.facts, f"extra data {name}") for name, value in config.data.items()}
        body = json.dumps(body_of(context, data), ensure_ascii=False, separators=(",", ":"))
        url = render_link(config.url, context.facts)
        return Prepared(send=Send(channel=self.channel, to=url, payload={"headers": headers, "body": body}))

    def missing_setting(self) -> str | None:
        return None if settings.WEBHOOK_SECRETS else "WEBHOOK_SECRETS"

    def destination(self, message: Outgoing) -> str:
        return http.destination_of(message.to)

    def send(self, batch: Iterable[Outgoing]) -> Iterator[tuple[UUID, Outcome]]:
        return http.deliver_each(batch, _post)


def body_of(context: StepContext, data: Mapping[str, str]) -> dict[str, Any]:
    """The documented body. Receivers rely on it: add to it, never rename."""
    return {
        "type": "journey.step",
        "timestamp": iso(context.now),
        "data": {
            "user_id": context.contact.user_id,
            "journey": {"id": str(context.journey_id), "name": context.journey_name},
            "run_id": str(context.run_id),
            "execution_id": str(context.execution_id),
            "step": {"key": context.step_key, "name": context.step_name},
            "contact": _contact(context),
            "event": _event(context.facts),
            "metadata": context.facts.metadata,
            "extra": data,
        },
    }


def _contact(context: StepContext) -> dict[str, Any]:
    contact = context.contact
    return {
        "email": contact.email or None,
        "telegram_chat_id": contact.telegram_chat_id or None,
        "timezone": contact.timezone or None,
        "locale": contact.locale or None,
        "attributes": context.facts.user.get("attributes", {}),
        "tags": sorted(context.facts.tags),
    }


def _event(facts: Facts) -> dict[str, Any]:
    return {name: facts.event.get(name) for name in ("name", "message_id", "occurred_at")}


def _post(outgoing: Outgoing) -> Outcome:
    body: str = outgoing.payload["body"]
    headers = {**outgoing.payload["headers"], "content-type": "application/json"}
    answer = http.post(
        outgoing.to, body.encode(), headers | signature(outgoing.id, body, datetime.now(UTC)), guarded=True
    )
    if not answer.ok:
        raise http.failure(answer)
    return Delivered({"status": "triggered", "status_code": answer.status})


def signature(message_id: UUID, body: str, at: datetime) -> dict[str, str]:
    """The specification's headers, signed with every secret, so that receivers can move from one to the next."""
    signatures = (Webhook(secret).sign(str(message_id), at, body) for secret in settings.WEBHOOK_SECRETS)
    return {
        "webhook-id": str(message_id),
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
