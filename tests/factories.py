"""What tests are about, made the way the product makes it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import Permission, User

from journeys.authoring.document import parse
from journeys.authoring.publish import create_journey
from journeys.engine.contacts import upsert_contact
from journeys.models import Contact, Journey

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""A Monday."""


def make_contact(user_id: str = "u1", now: datetime = NOON, **fields: Any) -> Contact:
    """A contact. `fields` are its columns and `attributes`."""
    own = {"email", "telegram_chat_id", "timezone", "locale", "attributes"}
    contact, _ = upsert_contact(user_id, {name: fields.pop(name) for name in own & fields.keys()}, now)
    if fields:
        Contact.objects.filter(id=contact.id).update(**fields)
        contact.refresh_from_db()
    return contact


def make_journey(
    name: str = "Onboarding",
    steps: Sequence[Mapping[str, Any]] = (),
    trigger_type: str = "signup",
    trigger_config: Mapping[str, Any] | None = None,
    is_active: bool = True,
    priority: int = 0,
    now: datetime = NOON,
    **settings: Any,
) -> Journey:
    """A published journey; `steps` and further `settings` as in the API's body."""
    document = document_of(
        name=name, steps=[dict(step) for step in steps], trigger_type=trigger_type, is_active=is_active,
        trigger_config=dict(trigger_config or {}), priority=priority, **settings,
    )  # fmt: skip
    return create_journey(parse(document), by=None, now=now)


def document_of(**settings: Any) -> dict[str, Any]:
    """A journey's document."""
    return {"name": "Onboarding", "trigger_type": "signup", "steps": []} | settings


def operator(*permissions: str, username: str = "operator", superuser: bool = False) -> User:
    """A user who may do what `permissions` say (`journeys.add_journey`), or everything."""
    if superuser:
        return User.objects.create_superuser(username, f"{username}@example.com", "a long password")
    user = User.objects.create_user(username, f"{username}@example.com", "a long password", is_staff=True)
    for permission in permissions:
        app, codename = permission.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return user
