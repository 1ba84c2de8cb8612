"""What the API takes, as types. They are the schema too: what it shows is what is checked."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID
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
    WithJsonSchema,
    field_validator,
    model_validator,
)

from journeys.actions.registry import ACTIONS
from journeys.authoring.bodies import JourneyBody, Natural, Whole
from journeys.authoring.caps import CapDocument
from journeys.authoring.segments import SegmentBody
from journeys.engine.letters import Letters
from journeys.engine.triggers import REPORTED
from journeys.logic import json_values
from journeys.logic.instants import parse_instant
from journeys.models.caps import MAX_HOURS, MAX_MESSAGES

UserId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=190,
        pattern=r"^[^/\x00-\x1f\x7f]*$",
        description="The calling system's own id for the person: no slash, no control character.",
        examples=["user-42"],
    ),
]
MessageId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="The producer's key: a repetition changes nothing and gets the first answer again.",
        examples=["signup-42"],
    ),
]
EventName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["signup"])]
AttributeName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
Secret = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")]


JSON_VALUE = {"x-ref": "Json"}  # pydantic knows no references but its own: the schema's maker puts this one in
ATTRIBUTES = {
    "type": "object",
    "additionalProperties": JSON_VALUE,
    "propertyNames": {"minLength": 1, "maxLength": 100, "pattern": r"^[^\x00-\x1f\x7f]*$"},
}
FREE = {"type": "object", "additionalProperties": JSON_VALUE, "propertyNames": {"pattern": r"^[^\x00]*$"}}


def _shallow(value: dict[str, Any]) -> dict[str, Any]:
    for path, fault in json_values.faults(value):
        raise ValueError(f"{path or 'it'} {fault}")
    return value


FreeObject = Annotated[dict[str, JsonValue], AfterValidator(_shallow), WithJsonSchema(FREE)]
"""JSON as a producer likes it, nested at most ten deep."""


_DAY = r"((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-9]))"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?(Z|[+-](0[0-9]|1[0-4]):?[0-5][0-9])?"
INSTANT = rf"^(19[7-9][0-9]|[2-9][0-9]{{3}})-{_DAY}([T ]{_TIME})?$"


def _instant(text: str) -> datetime:
    instant = parse_instant(text)
    if instant is None:
        raise ValueError("must be an ISO 8601 instant such as 2026-03-01T09:00:00Z")
    return instant


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Occurrence(Body):
    message_id: MessageId | None = None
    occurred_at: Annotated[str, Field(json_schema_extra={"pattern": INSTANT})] | None = Field(
        default=None,
        description="ISO 8601, UTC where no zone is named, not before 1970. What lies in the future counts as now.",
    )

    @field_validator("occurred_at")
    @classmethod
    def _in_time(cls, value: str | None) -> str | None:
        if value is not None and _instant(value).year < 1970:
            raise ValueError("must not be before 1970")
        return value

    def happened(self, now: datetime) -> datetime | None:
        """When it happened; clocks differ, and nothing happens in the future."""
        return min(_instant(self.occurred_at), now) if self.occurred_at is not None else None


class EventBody(_Occurrence):
    """Something that a person did."""

    user_id: UserId
    name: EventName = Field(
        description="One that is a trigger type, or the event of a journey's trigger, starts those journeys."
    )
    properties: FreeObject = Field(default_factory=dict)


ANY_EVENTS = {"items": {"anyOf": [{"x-ref": "EventBody"}, {}]}, "maxItems": 1_000}


class EventBodies(RootModel[EventBody | list[EventBody]]):
    """One event, or up to 1,000: each is checked by itself, and a bad one is answered as `invalid`."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema["anyOf"][1].update(ANY_EVENTS))


class TriggerBody(_Occurrence):
    """Starts the journeys of a trigger type for one person."""

    trigger_type: str = Field(max_length=50, json_schema_extra={"enum": list(REPORTED)})
    user_id: UserId
    context: FreeObject = Field(default_factory=dict, description="What conditions and messages may refer to.")


def _or_empty(schema: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [schema, {"type": "string", "const": ""}]})


Email = Annotated[str, Field(max_length=254), _or_empty({"type": "string", "format": "email", "maxLength": 254})]
Zone = Annotated[str, Field(max_length=64), _or_empty({"type": "string", "enum": sorted(available_timezones())})]
ChatId = Annotated[str, Field(pattern=r"^(-?[0-9]{1,20}|@[A-Za-z0-9_]{4,32})?$")]
ChatNumber = Annotated[Whole, Field(ge=-(2**63), le=2**63 - 1)]


class ContactBody(Body):
    """What to change of a contact. What is absent stays; null, or an empty text, empties."""

    email: Email | None = None
    telegram_chat_id: ChatId | ChatNumber | None = None
    timezone: Zone | None = Field(default=None, description="An IANA name such as Europe/Berlin.")
    locale: str | None = Field(default=None, max_length=35, pattern=r"^([A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*)?$")
    attributes: Annotated[dict[AttributeName, JsonValue], WithJsonSchema(ATTRIBUTES)] = Field(
        default_factory=dict, description="Merged over those that there are; null removes one."
    )

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
        texts = {name: "" if value is None else str(value) for name, value in named.items() if name != "attributes"}
        return texts | {name: value for name, value in named.items() if name == "attributes"}


def _nothing_required(schema: dict[str, Any]) -> None:
    schema.pop("required", None)


class JourneyPatch(JourneyBody):
    """What to change of a journey: any of its fields, the steps as a whole. For the schema; the whole is checked."""

    model_config = ConfigDict(title="JourneyPatch", json_schema_extra=_nothing_required)


class SegmentPatch(SegmentBody):
    """What to change of a segment: any of its fields. For the schema; the whole is checked."""

    model_config = ConfigDict(title="SegmentPatch", json_schema_extra=_nothing_required)


class CapBody(Body):
    """A frequency cap: at most so many messages to a person in the period, over all journeys."""

    channel: Literal["email", "telegram", "push"] | None = Field(
        default=None, description="Whose messages it is about; null: those of all channels together."
    )
    at_most: Whole = Field(ge=1, le=MAX_MESSAGES)
    period_hours: Whole = Field(ge=1, le=MAX_HOURS)

    def document(self) -> CapDocument:
        return CapDocument(self.channel or "", self.at_most, self.period_hours)


Moment = Annotated[str, Field(json_schema_extra={"pattern": INSTANT})]


class LettersFilter(Body):
    """Which dead letters are meant: those to which all of it applies."""

    journey_id: UUID | None = Field(default=None, strict=False)
    step_id: UUID | None = Field(default=None, strict=False)
    action_type: str | None = Field(default=None, json_schema_extra={"enum": [*ACTIONS, None]})
    error: str | None = Field(
        default=None, max_length=500, pattern=r"^[^\x00]*$", description="Part of the error, in any case."
    )
    since: Moment | None = Field(default=None, description="When they died, ISO 8601.")
    until: Moment | None = None

    @field_validator("action_type")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in ACTIONS:
            raise ValueError(f"must be one of {', '.join(ACTIONS)}")
        return value

    @field_validator("since", "until")
    @classmethod
    def _moment(cls, value: str | None) -> str | None:
        if value is not None:
            _instant(value)
        return value

    def letters(self) -> Letters:
        return Letters(
            journey_id=self.journey_id,
            step_id=self.step_id,
            action_type=self.action_type or "",
            error=self.error or "",
            since=_instant(self.since) if self.since else None,
            until=_instant(self.until) if self.until else None,
        )


class LettersBody(LettersFilter):
    """Which dead letters are meant, and that there are so many of them."""

    count: Natural | None = Field(
        default=None, description="As the same request without it answered; only then is anything done."
    )


def _exactly_one(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [
        {"required": ["user_ids"], "properties": {"segment": {"type": "null"}, "user_ids": {"type": "array"}}},
        {"required": ["segment"], "properties": {"user_ids": {"type": "null"}, "segment": {"type": "string"}}},
    ]


class StartBody(Body):
    """Who is to start, and that there are so many of them."""

    model_config = ConfigDict(json_schema_extra=_exactly_one)

    user_ids: Annotated[list[UserId], Field(min_length=1, max_length=10_000)] | None = None
    segment: str | None = Field(
        default=None, min_length=1, max_length=100, pattern=r"^[^\x00]*$", description="Its name."
    )
    properties: FreeObject = Field(default_factory=dict, description="What conditions and messages may refer to.")
    key: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = Field(
        default=None, description="A repetition of the request with the same key, within a month, changes nothing."
    )
    count: Natural | None = Field(
        default=None, description="As the same request without it answered; only then is anything done."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "StartBody":
        if (self.user_ids is None) == (self.segment is None):
            raise ValueError("name either user_ids or a segment")
        return self


class WebPushDevice(Body):
    """A browser's push subscription."""

    kind: Literal["web_push"]
    token: str = Field(max_length=2048, pattern=r"^https://[\x21-\x7e]+$", description="Its endpoint.")
    p256dh: str = Field(max_length=120, pattern=r"^[A-Za-z0-9_-]+=*$")
    auth: str = Field(max_length=60, pattern=r"^[A-Za-z0-9_-]+=*$")


class FirebaseDevice(Body):
    """A registration with Firebase Cloud Messaging."""

    kind: Literal["fcm"]
    token: str = Field(max_length=2048, pattern=r"^[\x21-\x7e]+$")


class DeviceBody(RootModel[Annotated[WebPushDevice | FirebaseDevice, Field(discriminator="kind")]]):
    """Where pushes go."""


class TokenBody(Body):
    username: str = Field(min_length=1, max_length=150, pattern=r"^[^\x00]*$")
    password: Secret


class RefreshBody(Body):
    refresh: Secret
