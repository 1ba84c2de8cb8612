"""Contacts as the engine holds them: locked, with their tags and devices, ready to be asked for facts."""

import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings

from journeys.actions.base import ContactView, DeviceView
from journeys.engine.sql import query, uuids
from journeys.logic.attributes import changed
from journeys.logic.caps import Sent
from journeys.logic.effects import ApplyTag, ChangeAttribute, InsideEffect, MarkChatDead, RemoveTag
from journeys.logic.facts import ContactFacts, Facts, Lazy
from journeys.models import Contact, Segment
from journeys.models.matching import matches

logger = logging.getLogger(__name__)

COLUMNS = (
    "id, user_id, email, telegram_chat_id, telegram_dead_at, timezone, locale, attributes::text, is_test, "
    "last_event_at, created_at"
)


State = tuple[ContactView, ContactFacts, frozenset[str], tuple[Sent, ...]]


@dataclass(slots=True)
class Person:
    """One contact. Tags and attributes change as steps do, for all runs of the batch that they are in."""

    view: ContactView
    user: ContactFacts
    tags: frozenset[str] = frozenset()
    sent: tuple[Sent, ...] = ()
    """The messages that count for frequency caps; read where there are caps."""
    segments: frozenset[str] = frozenset()
    devices: list[DeviceView] = field(default_factory=list)

    @property
    def state(self) -> State:
        """What steps change."""
        return self.view, self.user, self.tags, self.sent

    @state.setter
    def state(self, state: State) -> None:
        self.view, self.user, self.tags, self.sent = state

    @property
    def id(self) -> UUID:
        return self.view.id

    @property
    def zone(self) -> ZoneInfo:
        """The contact's time zone, else the project's."""
        try:
            return ZoneInfo(self.view.timezone or settings.TIME_ZONE)
        except (KeyError, ValueError, OSError):  # Zones are renamed, and not every machine knows them all.
            logger.warning("a time zone is unknown here", extra={"contact": str(self.id), "zone": self.view.timezone})
            return ZoneInfo(settings.TIME_ZONE)

    def see(self, effect: InsideEffect) -> None:
        """Let later steps see what one has caused. Raises NotCountable."""
        match effect:
            case ApplyTag(tag):
                self.tags |= {tag}
            case RemoveTag(tag):
                self.tags -= {tag}
            case ChangeAttribute():
                self.user = self.user.with_attributes(changed(self.user["attributes"], (effect,)))
            case MarkChatDead(chat_id) if chat_id == self.view.telegram_chat_id:  # By now they may have another.
                self.view = self.view._replace(telegram_dead=True)

    def uncount(self, message_id: UUID) -> None:
        """Count a message no more: it finally failed."""
        self.sent = tuple(one for one in self.sent if one.id != message_id)

    def facts(self, event: Mapping[str, Any], metadata: Mapping[str, Any], now: datetime) -> Facts:
        """What conditions and messages may look at. `event` is the run's own copy of what started it."""
        whole_event = Lazy(lambda: {**metadata, **event, "properties": metadata})
        return self.facts_of(whole_event, metadata, now)

    def facts_of(self, event: Mapping[str, Any], metadata: Mapping[str, Any], now: datetime) -> Facts:
        """The same, of an event as `event_mapping` makes it."""
        return Facts(user=self.user, event=event, metadata=metadata, tags=self.tags, now=now, segments=self.segments)


def lock_people(ids: Collection[UUID]) -> dict[UUID, Person]:
    """Lock contacts in the order of their ids, and read them as they are under the lock."""
    rows = query(f"SELECT {COLUMNS} FROM contacts WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [uuids(ids)])
    return {row[0]: person_of(row) for row in rows}


def person_of(row: Sequence[Any]) -> Person:
    """A Person from a row of COLUMNS."""
    key, user_id, email, chat_id, dead_at, timezone, locale, raw, is_test, last_event_at, created_at = row
    columns = {
        "user_id": user_id,
        "email": email,
        "telegram_chat_id": chat_id,
        "timezone": timezone,
        "locale": locale,
        "created_at": created_at,
        "last_event_at": last_event_at,
    }
    view = ContactView(key, user_id, email, chat_id, dead_at is not None, timezone, locale, is_test)
    return Person(view=view, user=ContactFacts(json.loads(raw), columns))


def add_tags(people: Mapping[UUID, Person]) -> None:
    """Read the tags of all of them, in one query."""
    rows = query(
        "SELECT contact_id, name FROM contact_tags JOIN tags ON tags.id = tag_id WHERE contact_id = ANY(%s)",
        [uuids(people)],
    )
    tags: dict[UUID, set[str]] = {}
    for contact_id, name in rows:
        tags.setdefault(contact_id, set()).add(name)
    for contact_id, names in tags.items():
        people[contact_id].tags = frozenset(names)


def add_segments(people: Mapping[UUID, Person], names: Collection[str], now: datetime) -> None:
    """Ask who of them is in these segments now, in one query a segment."""
    for segment in Segment.objects.filter(name__in=names):
        inside = Contact.objects.filter(matches(segment.condition, now, list(people)), id__in=list(people))
        for key in inside.values_list("id", flat=True):
            people[key].segments |= {segment.name}


def add_devices(people: Mapping[UUID, Person]) -> None:
    """Read the devices of all of them, in one query, oldest first."""
    rows = query(
        "SELECT contact_id, id, kind, token, p256dh, auth FROM devices WHERE contact_id = ANY(%s) ORDER BY id",
        [uuids(people)],
    )
    for contact_id, *device in rows:
        people[contact_id].devices.append(DeviceView(*device))


def by_user_id(people: Iterable[Person]) -> dict[str, Person]:
    return {person.view.user_id: person for person in people}
