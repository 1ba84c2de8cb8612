"""What the API answers, as types: the schema shows them, and every answer is one."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel

from journeys.authoring.document import TOP, RowsByLane, draft_steps, rows_by_lane
from journeys.authoring.rules import rules_of
from journeys.engine.ingest import Answer as Ingested
from journeys.models import (
    Breaker,
    Contact,
    ContactTag,
    DeadLetter,
    Device,
    FrequencyCap,
    Journey,
    JourneyStep,
    Segment,
    StepExecution,
    UserJourney,
)


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldError(Answer):
    field: str = Field(description="The path of the fault; empty for the whole request.")
    message: str


class Errors(Answer):
    errors: list[FieldError]


class StepOut(Answer):
    id: UUID
    key: str
    name: str
    order: int
    action_type: str
    action_config: dict[str, JsonValue]
    delay_minutes: int
    condition: dict[str, JsonValue] | None
    on_failure: str
    expires_after_minutes: int | None
    is_active: bool
    delay_from: str
    window: dict[str, JsonValue] | None
    lanes: "list[LaneOut]" = Field(description="Of a flow step: the lists of steps inside it.")

    @classmethod
    def of(cls, step: JourneyStep, rows: RowsByLane) -> "StepOut":
        """`rows` has the steps of its lanes."""
        own = {name: getattr(step, name) for name in cls.model_fields if name != "lanes"}
        lanes = [LaneOut.of(lane, rows.get((step.id, lane["name"]), ()), rows) for lane in step.lanes]
        return cls.model_validate({**own, "lanes": lanes})


class LaneOut(Answer):
    name: str
    condition: dict[str, JsonValue] | None = Field(description="Of a branch's lane.")
    weight: int | None = Field(description="Of an A/B split's lane.")
    steps: list[StepOut]

    @classmethod
    def of(cls, lane: Mapping[str, Any], steps: Iterable[JourneyStep], rows: RowsByLane) -> "LaneOut":
        return cls(
            name=lane["name"],
            condition=lane.get("condition"),
            weight=lane.get("weight"),
            steps=[StepOut.of(step, rows) for step in steps],
        )


class JourneyOut(Answer):
    id: UUID
    name: str
    description: str
    trigger_type: str
    trigger_config: dict[str, JsonValue]
    is_active: bool
    priority: int
    quiet_hours: dict[str, JsonValue] | None
    reentry: str
    reentry_days: int | None
    exit_condition: dict[str, JsonValue] | None
    exit_on: list[dict[str, JsonValue]]
    goal: dict[str, JsonValue] | None
    holdout_percent: int
    step_count: int
    steps: list[StepOut]
    version: int = Field(description="The number of the version that runs.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, journey: Journey) -> "JourneyOut":
        """Reads the steps and the live version: fetch them before."""
        steps = draft_steps(journey)
        rows = rows_by_lane(steps)
        version = journey.live_version
        return cls(
            id=journey.id,
            name=journey.name,
            description=journey.description,
            trigger_type=journey.trigger_type,
            trigger_config=journey.trigger_config,
            is_active=journey.is_active,
            priority=journey.priority,
            quiet_hours=journey.quiet_hours,
            **rules_of(journey),
            step_count=len(steps),
            steps=[StepOut.of(step, rows) for step in rows.get(TOP, ())],
            version=version.number if version is not None else 0,
            created_at=journey.created_at,
            updated_at=journey.updated_at,
        )


class JourneyList(RootModel[list[JourneyOut]]):
    pass


class RunOut(Answer):
    """One person's way through one journey."""

    id: UUID
    user_id: str
    journey_id: UUID
    journey_name: str
    status: str
    current_step_id: UUID | None
    started_at: datetime
    completed_at: datetime | None
    metadata: dict[str, JsonValue]

    @classmethod
    def fields_of(cls, run: UserJourney) -> dict[str, Any]:
        """Reads the journey and the contact: fetch them before."""
        return {
            "id": run.id,
            "user_id": run.contact.user_id,
            "journey_id": run.journey_id,
            "journey_name": run.journey.name,
            "status": run.status,
            "current_step_id": run.current_step_id,
            "started_at": run.started_at,
            "completed_at": run.completed_at,
            "metadata": run.metadata,
        }


class RunList(RootModel[list[RunOut]]):
    @classmethod
    def of(cls, runs: Iterable[UserJourney]) -> "RunList":
        return cls([RunOut.model_validate(RunOut.fields_of(run)) for run in runs])


class ExecutionOut(Answer):
    id: UUID
    step_id: UUID
    step_key: str
    step_name: str
    status: str
    executed_at: datetime
    completed_at: datetime | None
    result: dict[str, JsonValue]
    error_message: str
    retry_count: int

    @classmethod
    def of(cls, execution: StepExecution) -> "ExecutionOut":
        own = {name: getattr(execution, name) for name in cls.model_fields if not name.startswith("step_")}
        step = execution.step
        return cls.model_validate({**own, "step_id": step.id, "step_key": step.key, "step_name": step.name})


_OF_DETAIL = ("failed_at", "failure_reason", "exit_reason", "goal_at", "due_at", "awaits_event")


class RunDetail(RunOut):
    failed_at: datetime | None
    failure_reason: str
    exit_reason: str
    goal_at: datetime | None = Field(description="When the journey's goal was reached.")
    due_at: datetime | None = Field(description="When it needs attention next.")
    awaits_event: str | None = Field(description="The event that it waits for, if it does; until `due_at`.")
    executions: list[ExecutionOut]

    @classmethod
    def of(cls, run: UserJourney, executions: Iterable[StepExecution]) -> "RunDetail":
        own = {name: getattr(run, name) for name in cls.model_fields if name in _OF_DETAIL}
        listed = [ExecutionOut.of(execution) for execution in executions]
        return cls.model_validate({**RunOut.fields_of(run), **own, "executions": listed})


class DeadLetterOut(Answer):
    """A step that failed for good."""

    id: UUID = Field(description="The execution's, and the key of all its tries.")
    run_id: UUID
    user_id: str
    journey_id: UUID
    journey_name: str
    step_id: UUID
    step_key: str
    step_name: str
    action_type: str
    error_message: str
    retry_count: int
    dead_at: datetime

    @classmethod
    def of(cls, letter: DeadLetter) -> "DeadLetterOut":
        """Reads step, journey, run and contact: fetch them before."""
        own = {name: getattr(letter, name) for name in ("id", "error_message", "retry_count", "dead_at")}
        step, run = letter.step, letter.user_journey
        return cls.model_validate(
            {
                **own,
                "run_id": run.id,
                "user_id": run.contact.user_id,
                "journey_id": step.journey_id,
                "journey_name": step.journey.name,
                "step_id": step.id,
                "step_key": step.key,
                "step_name": step.name,
                "action_type": step.action_type,
            }
        )


class DeadLetterList(RootModel[list[DeadLetterOut]]):
    @classmethod
    def of(cls, letters: Iterable[DeadLetter]) -> "DeadLetterList":
        return cls([DeadLetterOut.of(letter) for letter in letters])


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


class Executed(Answer):
    """What that call did."""

    status: Literal["executed"] = "executed"
    executed: int
    skipped: int
    failed: int
    total_steps: int


class NotExecuted(Answer):
    status: Literal["skipped"] = "skipped"
    reason: Literal["journey not active", "being executed"]


class ExecuteAnswer(RootModel[Executed | NotExecuted]):
    pass


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


class Tokens(Answer):
    access: str
    refresh: str


class Health(Answer):
    status: Literal["ok", "unavailable"]
