"""A step as an action sees it, without a database."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from journeys.actions.base import ContactView, DeviceView, Outgoing, OutsideAction, StepContext, TemplateText
from journeys.logic.effects import Outcome, Send
from journeys.logic.facts import ContactFacts, Facts, event_mapping

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EXECUTION = UUID("019d0000-0000-8000-8000-00000000e8ec")

CONTACT = ContactView(
    id=UUID(int=1),
    user_id="ann",
    email="ann@example.com",
    telegram_chat_id="4711",
    telegram_dead=False,
    timezone="Europe/Berlin",
    locale="de",
    is_test=False,
)


class Templates:
    """Message templates by channel and name."""

    def __init__(self, texts: Mapping[tuple[str, str], TemplateText] | None = None) -> None:
        self.texts = dict(texts or {})

    def get(self, channel: str, name: str) -> TemplateText | None:
        return self.texts.get((channel, name))


def make_context(
    *,
    contact: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    devices: tuple[DeviceView, ...] = (),
    templates: Mapping[tuple[str, str], TemplateText] | None = None,
) -> StepContext:
    view = CONTACT._replace(**(contact or {}))
    columns = {"user_id": view.user_id, "email": view.email, "timezone": view.timezone, "locale": view.locale}
    properties = dict(metadata or {"plan": "premium"})
    facts = Facts(
        user=ContactFacts(dict(attributes or {"first_name": "Ann"}), columns),
        event=event_mapping("signup", "m-1", NOW, properties),
        metadata=properties,
        tags=frozenset({"vip"}),
        now=NOW,
    )
    return StepContext(
        execution_id=EXECUTION,
        facts=facts,
        contact=view,
        devices=devices,
        journey_id=UUID(int=2),
        journey_name="Onboarding Flow",
        run_id=UUID(int=3),
        step_key="hello",
        step_name="Hello",
        templates=Templates(templates),
        now=NOW,
    )


def prepared_send(action: OutsideAction[Any], raw: Mapping[str, Any], context: StepContext | None = None) -> Send:
    send = action.prepare(action.parse(raw), context or make_context()).send
    assert send is not None
    return send


def outgoing(send: Send, execution: UUID = EXECUTION) -> Outgoing:
    return Outgoing(
        id=execution,
        channel=send.channel,
        to=send.to,
        subject=send.subject,
        html=send.html,
        text=send.text,
        payload=send.payload,
        created_at=NOW,
    )


def deliver(action: OutsideAction[Any], raw: Mapping[str, Any], context: StepContext | None = None) -> Outcome:
    """Prepare a step and send what it made, once."""
    ((_, outcome),) = action.send([outgoing(prepared_send(action, raw, context))])
    return outcome
