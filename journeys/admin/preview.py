"""A template as a sample contact would get it, from what is in the form and not yet saved."""

from collections.abc import Mapping
from datetime import datetime

from django.http import HttpResponse
from django.template.loader import render_to_string

from journeys.actions.base import PermanentError
from journeys.actions.render import render, render_html
from journeys.admin.sent import framed
from journeys.admin.vocabulary import known_attributes, known_events
from journeys.logic.facts import CONTACT_COLUMNS, ContactFacts, Facts, event_mapping
from journeys.models import Channel, Contact


def known_names() -> frozenset[str]:
    """The dotted names, beside the contact's columns, that templates may use: those of the newest people."""
    user = {f"user.{name}" for name in known_attributes()}
    return frozenset(user | {f"event.{name}" for name in known_events()[1]})


def preview(channel: str, sources: Mapping[str, str], user_id: str, now: datetime) -> HttpResponse:
    """The page for the preview's frame. `user_id` names the sample; without one the newest contact is it."""
    people = Contact.objects.all()
    contact = people.filter(user_id=user_id).first() if user_id else people.order_by("-id").first()
    if user_id and contact is None:
        return _page(channel, fault=f"There is no contact “{user_id}”.")
    facts = sample_facts(contact, now)
    try:
        parts = {
            part: (render_html if part == "html" else render)(source, facts)
            for part, source in sources.items()
            if source
        }
    except PermanentError as error:
        return _page(channel, fault=str(error))
    if channel == Channel.EMAIL and parts.get("html"):
        return framed(parts["html"])
    return _page(channel, parts=parts)


def sample_facts(contact: Contact | None, now: datetime) -> Facts:
    """What the contact's newest event would have given a run."""
    if contact is None:
        return Facts(user=ContactFacts({}, {}), event={}, metadata={}, tags=frozenset(), now=now)
    columns = {name: getattr(contact, name) or None for name in CONTACT_COLUMNS}
    event = contact.events.order_by("-received_at").first()
    about = event_mapping(event.name, event.message_id, event.occurred_at, event.properties) if event else {}
    return Facts(
        user=ContactFacts(contact.attributes, columns),
        event=about,
        metadata=event.properties if event else {},
        tags=frozenset(contact.contact_tags.values_list("tag__name", flat=True)),
        now=now,
    )


def _page(channel: str, parts: Mapping[str, str] | None = None, fault: str = "") -> HttpResponse:
    context = {"channel": channel, "parts": parts or {}, "fault": fault}
    return framed(render_to_string("journeys/admin/preview.html", context))
