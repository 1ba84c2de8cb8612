"""What the API answers, as types: the schema shows them, and every answer is one."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, RootModel

from journeys.engine.ingest import Answer as Ingested
from journeys.models import Breaker, FrequencyCap


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldError(Answer):
    field: str = Field(description="The path of the fault; empty for the whole request.")
    message: str


class Errors(Answer):
    errors: list[FieldError]


class DecidedOut(Answer):
    count: int = Field(description="How many it were, or would be.")
    done: bool


class CapOut(Answer):
    id: UUID
    channel: str | None = Field(description="null: all channels together.")
    at_most: int
    period_hours: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, cap: FrequencyCap) -> "CapOut":
        own = {name: getattr(cap, name) for name in cls.model_fields}
        return cls.model_validate({**own, "channel": cap.channel or None})


class CapList(RootModel[list[CapOut]]):
    """All of them: there are few."""


class BreakerOut(Answer):
    """What is known of a destination that failed lately."""

    destination: str
    channel: str
    state: Literal["open", "busy", "closed"] = Field(
        description="open: left alone but for probes; busy: it asked us to wait; closed: it is sent to."
    )
    failures: int = Field(description="In a row.")
    opened_at: datetime | None
    probe_at: datetime | None
    busy_until: datetime | None
    last_error: str
    updated_at: datetime

    @classmethod
    def of(cls, breaker: Breaker, now: datetime) -> "BreakerOut":
        own = {name: getattr(breaker, name) for name in cls.model_fields if name != "state"}
        return cls.model_validate({**own, "state": breaker.state(now).value})


class BreakerList(RootModel[list[BreakerOut]]):
    pass


class Triggered(Answer):
    trigger_type: str
    user_id: str
    started_journeys: list[UUID]


class EventAnswer(Answer):
    """What became of an event."""

    status: Literal["accepted", "duplicate", "refused", "invalid"]
    event_id: UUID | None = None
    message_id: str | None = None
    started_journeys: list[UUID] = Field(default_factory=list)
    errors: list[FieldError] = Field(default_factory=list)

    @classmethod
    def of(cls, ingested: Ingested) -> "EventAnswer":
        return cls.model_validate(
            {
                "status": ingested.status,
                "event_id": ingested.event_id,
                "message_id": ingested.message_id or None,
                "started_journeys": list(ingested.started),
                "errors": [FieldError(field="user_id", message=ingested.reason)] if ingested.reason else [],
            }
        )


class EventAnswers(RootModel[EventAnswer | list[EventAnswer]]):
    pass


class Tokens(Answer):
    access: str
    refresh: str


class Health(Answer):
    status: Literal["ok", "unavailable"]
