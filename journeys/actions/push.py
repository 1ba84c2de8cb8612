"""send_push: one note to all of a contact's devices, by Web Push and Firebase. One device that takes it is enough."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from types import ModuleType
from typing import Any
from uuid import UUID

from django.conf import settings
from pydantic import Field, ValidationInfo, field_validator

from journeys.actions import fcm, http, webpush
from journeys.actions.base import (
    DeviceView,
    MessageConfig,
    Outgoing,
    OutsideAction,
    PermanentError,
    SkipStep,
    StepContext,
    TransientError,
)
from journeys.actions.devices import DeviceGone, Note, topic_of
from journeys.actions.links import LiquidText, LiquidUrl, render_link
from journeys.actions.render import render
from journeys.logic.effects import Delivered, DropDevice, Health, Outcome, Prepared, Send, Undelivered

MAX_PAYLOAD = 3000
"""Bytes. Push services take 4096 after encryption, and Firebase counts its own envelope."""

DEVICES_AT_ONCE = 8

SERVICES: Mapping[str, ModuleType] = {"web_push": webpush, "fcm": fcm}


class PushConfig(MessageConfig):
    template: str = Field(
        default="",
        title="Template",
        description="A push template, or write title and body below.",
        max_length=100,
        json_schema_extra={"widget": "template", "channel": "push"},
    )
    title: LiquidText = Field(
        default="", validate_default=True, title="Title", max_length=500, json_schema_extra={"widget": "liquid"}
    )
    body: LiquidText = Field(default="", title="Body", max_length=4000, json_schema_extra={"widget": "textarea"})
    url: LiquidUrl = Field(
        default="",
        title="Link",
        description="What a tap opens.",
        max_length=2000,
        json_schema_extra={"widget": "liquid"},
    )
    icon: LiquidUrl = Field(
        default="", title="Icon", description="An image's URL.", max_length=2000, json_schema_extra={"widget": "liquid"}
    )

    @field_validator("title")
    @classmethod
    def _title_or_template(cls, title: str, info: ValidationInfo) -> str:
        if bool(title.strip()) == bool(info.data.get("template")):
            raise ValueError("is required, unless a template is given in its place; not both")
        return title

    @field_validator("body")
    @classmethod
    def _body_or_template(cls, body: str, info: ValidationInfo) -> str:
        if body and info.data.get("template"):
            raise ValueError("comes from the template; leave it empty")
        return body


class SendPush(OutsideAction[PushConfig]):
    kind = "send_push"
    label = "Send a push notification"
    description = "To all of the contact's browsers and phones."
    config_class = PushConfig
    channel = "push"
    needs_devices = True

    def prepare(self, config: PushConfig, context: StepContext) -> Prepared:
        if not context.devices:
            raise SkipStep("the contact has no device")
        note = _note(config, context)
        if not note.title:
            raise PermanentError("the title is empty")
        if (size := len(webpush.payload(note))) > MAX_PAYLOAD:
            raise PermanentError(f"the notification has {size} bytes; push services take {MAX_PAYLOAD}")
        devices = [asdict(device) | {"id": str(device.id)} for device in context.devices]
        return Prepared(
            send=Send(
                channel=self.channel,
                to=f"{len(devices)} {'device' if len(devices) == 1 else 'devices'}",
                subject=note.title,
                text=note.body,
                payload={"url": note.url, "icon": note.icon, "devices": devices},
            )
        )

    def missing_setting(self) -> str | None:
        missing = [service.missing_setting() for service in SERVICES.values()]
        # One of the two is enough to send; a device of the other kind is then out of reach, and says why.
        return " or ".join(missing) if all(missing) else None

    def destination(self, message: Outgoing) -> str:
        """The one service that has all the devices. Of several, one that takes it is enough, so none speaks for it."""
        urls = {settings.FCM_API_URL if one["kind"] == "fcm" else one["token"] for one in message.payload["devices"]}
        hosts = {http.destination_of(url) for url in urls}
        return hosts.pop() if len(hosts) == 1 else ""

    def send(self, batch: Iterable[Outgoing]) -> Iterator[tuple[UUID, Outcome]]:
        return http.deliver_each(batch, _deliver)


def _note(config: PushConfig, context: StepContext) -> Note:
    title, body = config.title, config.body
    if config.template:
        template = context.templates.get("push", config.template)
        if template is None:
            raise PermanentError(f"there is no push template {config.template!r}")
        title, body = template.subject, template.text
    return Note(
        topic=topic_of(context.execution_id),
        title=" ".join(render(title, context.facts, "the title").split()),
        body=render(body, context.facts, "the body").strip(),
        url=render_link(config.url, context.facts),
        icon=render_link(config.icon, context.facts),
    )


def _deliver(outgoing: Outgoing) -> Outcome:
    payload: Mapping[str, Any] = outgoing.payload
    note = Note(topic_of(outgoing.id), outgoing.subject, outgoing.text, payload["url"], payload["icon"])
    devices = [DeviceView(**{**device, "id": UUID(device["id"])}) for device in payload["devices"]]
    # At once, because a person's ten dead browsers must not outlast the lease.
    with ThreadPoolExecutor(max_workers=min(DEVICES_AT_ONCE, len(devices))) as pool:
        faults = list(pool.map(partial(_try, note), devices))
    return _outcome(devices, faults)


def _try(note: Note, device: DeviceView) -> TransientError | PermanentError | None:
    """What kept this device from taking the note, or None when it did."""
    service = SERVICES.get(device.kind)
    if service is None:
        return PermanentError(f"there is no push service {device.kind!r}")
    if missing := service.missing_setting():
        return PermanentError(f"{missing} is not set")
    try:
        service.push(note, device)
    except (TransientError, PermanentError) as error:
        return error
    return None


def _outcome(devices: Sequence[DeviceView], faults: Sequence[TransientError | PermanentError | None]) -> Outcome:
    dropped = tuple(
        DropDevice(device.id) for device, fault in zip(devices, faults, strict=True) if isinstance(fault, DeviceGone)
    )
    taken = sum(fault is None for fault in faults)
    if taken:
        return Delivered({"status": "sent", "devices": taken, "gone": len(dropped)}, effects=dropped)
    passing = [fault for fault in faults if isinstance(fault, TransientError)]
    if passing:
        waits = [fault.retry_after for fault in passing if fault.retry_after is not None]
        return Undelivered(_reasons(passing), False, max(waits, default=None), dropped, _health(passing))
    final = [fault for fault in faults if fault is not None and not isinstance(fault, DeviceGone)]
    return Undelivered(_reasons(final) or "no device left: all are gone", True, effects=dropped)


def _health(faults: Sequence[TransientError]) -> Health:
    """Of the service behind all the devices: down only if none of them says otherwise."""
    said = {fault.destination for fault in faults}
    return "well" if "well" in said else "busy" if "busy" in said else "down"


def _reasons(faults: Sequence[Exception]) -> str:
    return "; ".join(dict.fromkeys(map(str, faults)))
