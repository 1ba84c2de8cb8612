"""Changes of contacts that come from outside. The contact's row is the mutex: lock, then look."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from journeys.engine.tally import append
from journeys.models import Contact, ContactTag, ContactTombstone, Device, RunStatus, Tag, UserJourney, What
from journeys.models.audience import hash_user_id
from journeys.models.ids import new_id

logger = logging.getLogger(__name__)

COLUMNS = ("email", "telegram_chat_id", "timezone", "locale")


@dataclass(frozen=True, slots=True)
class NewDevice:
    """Where pushes go: `kind` is `web_push` (with both keys) or `fcm`."""

    kind: str
    token: str
    p256dh: str = ""
    auth: str = ""


@transaction.atomic
def upsert_contact(user_id: str, changes: Mapping[str, Any], now: datetime) -> tuple[Contact, bool]:
    """Make or change a contact; whether it was made. Values must be valid: the interfaces see to it.

    `changes` holds some of COLUMNS, and `attributes`, which are merged: null removes one. Somebody who was deleted
    is welcome again, since this is explicit.
    """
    contact, created = _made_or_locked(user_id, now)
    ContactTombstone.objects.filter(user_id_hash=hash_user_id(user_id)).delete()
    before = _state(contact)
    for column in COLUMNS:
        if column in changes:
            setattr(contact, column, changes[column])
    contact.attributes = merged(contact.attributes, changes.get("attributes", {}))
    if contact.telegram_chat_id != before["telegram_chat_id"]:
        contact.telegram_dead_at = None  # Another chat deserves another try.
    if _state(contact) != before:
        contact.updated_at = now
        contact.save(update_fields=[*COLUMNS, "attributes", "telegram_dead_at", "updated_at"])
    return contact, created


def merged(attributes: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes with the changes over them; null removes."""
    return {name: value for name, value in {**attributes, **changes}.items() if value is not None}


@transaction.atomic
def delete_contact(user_id: str, now: datetime) -> bool:
    """Delete a contact with all that is known of them; False where there is none.

    A tombstone, a hash, keeps late events from bringing them back. Runs that they were in count as exited.
    """
    contact = Contact.objects.select_for_update().filter(user_id=user_id).first()
    if contact is None:
        return False
    runs = UserJourney.objects.select_for_update().filter(contact=contact).order_by("id")
    inside = [run.journey_id for run in runs if run.status in (RunStatus.ACTIVE, RunStatus.PAUSED)]
    append({(journey_id, None, What.EXITED): count for journey_id, count in sorted(Counter(inside).items())}, now)
    ContactTombstone.objects.update_or_create(
        user_id_hash=hash_user_id(user_id), defaults={"deleted_at": now}, create_defaults={"deleted_at": now}
    )
    logger.info("contact deleted", extra={"contact": str(contact.id), "runs": len(runs)})
    contact.delete()
    return True


@transaction.atomic
def add_device(user_id: str, device: NewDevice, now: datetime) -> tuple[Device, bool]:
    """Give a contact a device; whether it is new. One that was somebody else's is theirs now.

    Raises Contact.DoesNotExist.
    """
    contact = _locked(user_id)
    fields = {"contact": contact, "kind": device.kind, "p256dh": device.p256dh, "auth": device.auth}
    return Device.objects.update_or_create(
        token=device.token, defaults=fields, create_defaults={**fields, "id": new_id(now), "created_at": now}
    )


@transaction.atomic
def remove_device(user_id: str, device_id: UUID) -> bool:
    """Take a device from a contact; False if they don't have it. Raises Contact.DoesNotExist."""
    deleted, _ = Device.objects.filter(id=device_id, contact=_locked(user_id)).delete()
    return bool(deleted)


@transaction.atomic
def add_tag(user_id: str, name: str, now: datetime) -> tuple[ContactTag, bool]:
    """Tag a contact; whether the tag is new to them. Raises Contact.DoesNotExist."""
    contact = _locked(user_id)
    tag, _ = Tag.objects.get_or_create(name=name, defaults={"id": new_id(now), "created_at": now})
    return ContactTag.objects.select_related("tag").get_or_create(
        contact=contact, tag=tag, defaults={"applied_at": now}
    )


@transaction.atomic
def remove_tag(user_id: str, name: str) -> bool:
    """Take a tag from a contact; False if they don't have it. Raises Contact.DoesNotExist."""
    deleted, _ = ContactTag.objects.filter(contact=_locked(user_id), tag__name=name).delete()
    return bool(deleted)


def _locked(user_id: str) -> Contact:
    return Contact.objects.select_for_update(no_key=True).get(user_id=user_id)


def _made_or_locked(user_id: str, now: datetime) -> tuple[Contact, bool]:
    """The contact under its lock. The insert waits for a deletion under way, and then makes it anew."""
    fresh = Contact(id=new_id(now), user_id=user_id, created_at=now, updated_at=now)
    Contact.objects.bulk_create([fresh], ignore_conflicts=True)
    contact = _locked(user_id)
    return contact, contact.id == fresh.id


def _state(contact: Contact) -> dict[str, Any]:
    return {column: getattr(contact, column) for column in (*COLUMNS, "attributes")}
