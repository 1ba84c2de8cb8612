"""Message templates: stored, and not taken away under a step that uses them."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from journeys.actions.files import read_template
from journeys.models import JourneyStep, MessageTemplate
from journeys.models.ids import new_id


def save_template(template: MessageTemplate, now: datetime) -> MessageTemplate:
    """Store a validated template, new or old. Raises IntegrityError where its name is taken in its channel."""
    if template._state.adding:
        template.pk, template.created_at = new_id(now), now
    template.updated_at = now
    with transaction.atomic():
        template.save()
    return template


def delete_template(template_id: UUID) -> None:
    MessageTemplate.objects.filter(pk=template_id).delete()


def missing_templates(named: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those (channel, name) that lead to no template: neither a stored one nor, for e-mail, a file."""
    wanted = {(channel, name) for channel, name in named if channel != "email" or read_template(name) is None}
    if not wanted:
        return set()
    stored = MessageTemplate.objects.filter(name__in=[name for _, name in wanted]).values_list("channel", "name")
    return wanted - set(stored)


def steps_using(channel: str, name: str) -> QuerySet[JourneyStep]:
    """The draft steps that name this template: renamed or deleted under them, they would fail."""
    return JourneyStep.objects.filter(
        archived_at=None, action_type=f"send_{channel}", action_config__template=name
    ).select_related("journey")
