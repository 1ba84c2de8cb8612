"""What the API takes, as types. They are the schema too: what it shows is what is checked."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    RootModel,
    field_validator,
    model_validator,
)

from journeys.authoring.document import JourneyBody
from journeys.logic import json_values
from journeys.logic.instants import parse_instant

UserId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=190,
        pattern=r"^[^/\x00-\x1f\x7f]*$",
        description="The calling system's own id for the person: no slash, no control character.",
    ),
]
MessageId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="The producer's key: a repetition changes nothing and gets the first answer again.",
    ),
]
EventName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
AttributeName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
Secret = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")]


def _shallow(value: dict[str, Any]) -> dict[str, Any]:
    for path, fault in json_values.faults(value):
        raise ValueError(f"{path or 'it'} {fault}")
    return value


FreeObject = Annotated[dict[str, JsonValue], AfterValidator(_shallow)]
"""JSON as a producer likes it, nested at most ten deep."""


def _instant(text: str) -> datetime:
    instant = parse_instant(text)
    if instant is None:
        raise ValueError("must be an ISO 8601 instant such as 2026-03-01T09:00:00Z")
    return instant


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Occurrence(Body):
    message_id: MessageId | None = None
    occurred_at: str | None = Field(
        default=None,
        json_schema_extra={"format": "date-time"},
        description="When it happened; now, if absent. Not before 1970 and not in the future.",
    )

    @field_validator("occurred_at")
    @classmethod
    def _past(cls, value: str | None) -> str | None:
        if value is not None and _instant(value).year < 1970:
            raise ValueError("must not be before 1970")
        return value

    def happened(self, now: datetime) -> datetime | None:
        """When it happened. Raises ValueError for the future, beyond what clocks differ by."""
        instant = _instant(self.occurred_at) if self.occurred_at is not None else None
        if instant is not None and instant > now + timedelta(minutes=5):
            raise ValueError("must not be in the future")
        return min(instant, now) if instant is not None else None


class EventBody(_Occurrence):
    """Something that a person did."""

    user_id: UserId
    name: EventName = Field(description="One that is a trigger type starts that trigger's journeys.")
    properties: FreeObject = Field(default_factory=dict)


class EventBodies(RootModel[EventBody | Annotated[list[EventBody], Field(max_length=1_000)]]):
    """One event or many. For the schema; each event is checked by itself."""


class TriggerBody(_Occurrence):
    """Starts the journeys of a trigger type for one person."""

    trigger_type: str = Field(max_length=50)
    user_id: UserId
    context: FreeObject = Field(default_factory=dict, description="What conditions and messages may refer to.")


class ContactBody(Body):
    """What to change of a contact. What is absent stays; null empties."""

    email: str | None = Field(default=None, max_length=254)
    telegram_chat_id: str | None = Field(default=None, pattern=r"^(-?[0-9]{1,20}|@[A-Za-z0-9_]{4,32})?$")
    timezone: str | None = Field(default=None, max_length=64, description="An IANA name such as Europe/Berlin.")
    locale: str | None = Field(default=None, max_length=35, pattern=r"^([A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*)?$")
    attributes: dict[AttributeName, JsonValue] = Field(
        default_factory=dict, description="Merged over those that there are; null removes one."
    )

    @field_validator("telegram_chat_id", mode="before")
    @classmethod
    def _number_as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("email")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value:
            try:
                validate_email(value)
            except ValidationError as error:
                raise ValueError("must be an e-mail address") from error
        return value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        if value and value not in available_timezones():
            raise ValueError("must be an IANA time zone such as Europe/Berlin")
        return value

    @field_validator("attributes")
    @classmethod
    def _plain(cls, value: dict[str, Any]) -> dict[str, Any]:
        return _shallow(value)

    def changes(self) -> dict[str, Any]:
        """What was named; an emptied text is empty."""
        named = self.model_dump(exclude_unset=True)
        return {name: "" if value is None else value for name, value in named.items()}


def _nothing_required(schema: dict[str, Any]) -> None:
    schema.pop("required", None)


class JourneyPatch(JourneyBody):
    """What to change of a journey: any of its fields, the steps as a whole. For the schema; the whole is checked."""

    model_config = ConfigDict(title="JourneyPatch", json_schema_extra=_nothing_required)


class DeviceBody(Body):
    """A browser's push subscription, or a Firebase registration."""

    kind: Literal["web_push", "fcm"]
    token: str = Field(
        min_length=1, max_length=2048, pattern=r"^[\x21-\x7e]+$", description="The endpoint, or FCM's token."
    )
    p256dh: str = Field(default="", max_length=120, pattern=r"^[A-Za-z0-9_-]*=*$")
    auth: str = Field(default="", max_length=60, pattern=r"^[A-Za-z0-9_-]*=*$")

    @model_validator(mode="after")
    def _complete(self) -> "DeviceBody":
        if self.kind == "web_push" and not (self.p256dh and self.auth):
            raise ValueError("web_push needs p256dh and auth")
        if self.kind == "web_push" and not self.token.startswith("https://"):
            raise ValueError("the token of web_push is its endpoint, an https:// address")
        return self


class TokenBody(Body):
    username: str = Field(min_length=1, max_length=150, pattern=r"^[^\x00]*$")
    password: Secret


class RefreshBody(Body):
    refresh: Secret
