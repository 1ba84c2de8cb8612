"""What the API answers of contacts, their devices and tags, and segments."""

from datetime import datetime
from uuid import UUID

from pydantic import Field, JsonValue, RootModel

from journeys.api.answers import Answer
from journeys.models import Contact, ContactTag, Device, Segment


class DeviceOut(Answer):
    id: UUID
    kind: str
    token: str
    created_at: datetime

    @classmethod
    def of(cls, device: Device) -> "DeviceOut":
        return cls.model_validate({name: getattr(device, name) for name in cls.model_fields})


class DeviceList(RootModel[list[DeviceOut]]):
    pass


class TagOut(Answer):
    name: str
    applied_at: datetime
    execution_id: UUID | None = Field(description="The step that applied it; null if the API did.")

    @classmethod
    def of(cls, link: ContactTag) -> "TagOut":
        return cls(name=link.tag.name, applied_at=link.applied_at, execution_id=link.execution_id)


class TagList(RootModel[list[TagOut]]):
    pass


class ContactOut(Answer):
    user_id: str
    email: str | None
    telegram_chat_id: str | None
    telegram_reachable: bool = Field(description="False once Telegram said that this chat can't be reached.")
    timezone: str | None
    locale: str | None
    attributes: dict[str, JsonValue]
    tags: list[str]
    last_event_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, contact: Contact) -> "ContactOut":
        """Reads the tags: fetch them before, or pay a query."""
        tags = contact.contact_tags.select_related("tag").order_by("tag__name")
        return cls(
            user_id=contact.user_id,
            email=contact.email or None,
            telegram_chat_id=contact.telegram_chat_id or None,
            telegram_reachable=bool(contact.telegram_chat_id) and contact.telegram_dead_at is None,
            timezone=contact.timezone or None,
            locale=contact.locale or None,
            attributes=contact.attributes,
            tags=[link.tag.name for link in tags],
            last_event_at=contact.last_event_at,
            created_at=contact.created_at,
            updated_at=contact.updated_at,
        )


class SegmentOut(Answer):
    id: UUID
    name: str
    description: str
    condition: dict[str, JsonValue] | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, segment: Segment) -> "SegmentOut":
        return cls.model_validate({name: getattr(segment, name) for name in cls.model_fields})


class SegmentList(RootModel[list[SegmentOut]]):
    pass


class SizeOut(Answer):
    size: int


class MemberOut(Answer):
    user_id: str
    email: str | None
    created_at: datetime

    @classmethod
    def of(cls, contact: Contact) -> "MemberOut":
        return cls(user_id=contact.user_id, email=contact.email or None, created_at=contact.created_at)


class MemberList(RootModel[list[MemberOut]]):
    pass
