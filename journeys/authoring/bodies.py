"""A journey as written: the shapes of the API's body and the export file, before anybody asks what they mean."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from journeys.actions.base import PRINTABLE, EventName
from journeys.actions.scheduling import TimeOfDay, Weekday
from journeys.logic.timing import MAX_DELAY_MINUTES

MAX_STEPS = 200
MAX_LANES = 20
MAX_WEIGHT = 1_000
MAX_DAYS = 3_650
MAX_EXITS = 20
MAX_HOLDOUT = 50
INT32 = 2**31 - 1


def whole(value: Any) -> Any:
    """5.0 is an integer in JSON, as 5 is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(whole)]
# Limits come first: put around the validator of something optional, they would be missing in the schema.
Natural = Annotated[int, Field(ge=0, le=INT32), BeforeValidator(whole)]
Minutes = Annotated[int, Field(ge=1, le=MAX_DELAY_MINUTES), BeforeValidator(whole)]
Percent = Annotated[int, Field(ge=0, le=MAX_HOLDOUT), BeforeValidator(whole)]
Days = Annotated[int, Field(ge=1, le=MAX_DAYS), BeforeValidator(whole)]
Weight = Annotated[int, Field(ge=0, le=MAX_WEIGHT), BeforeValidator(whole)]
Name = Annotated[str, Field(min_length=1, max_length=255, pattern=PRINTABLE)]


class _HoursBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="after")
    def _are_hours(self) -> Self:
        """From and to go together, and are not the same: that would be all day, or never."""
        start, end = getattr(self, "start", None), getattr(self, "end", None)
        if (start is None) != (end is None):
            raise ValueError("must have both from and to, or neither")
        if start is not None and start == end:
            raise ValueError("must have a from that differs from its to")
        return self


class WindowBody(_HoursBody):
    """The hours in which a step is taken, by the contact's clock."""

    model_config = ConfigDict(title="Window")

    days: list[Weekday] = Field(default_factory=list, max_length=7, description="None means any day.")
    start: TimeOfDay | None = Field(default=None, alias="from", description="With `to`; neither means the whole day.")
    end: TimeOfDay | None = Field(
        default=None, alias="to", description="Not included. Earlier than `from`, it is on the next day."
    )

    @field_validator("days")
    @classmethod
    def _each_once(cls, days: list[str]) -> list[str]:
        if len(set(days)) < len(days):
            raise ValueError("names a day twice")
        return days

    def document(self) -> dict[str, Any] | None:
        """As a draft holds it; None where it limits nothing."""
        return self.model_dump(by_alias=True, exclude_defaults=True) or None


class QuietHoursBody(_HoursBody):
    """The hours in which a journey's messages wait, by the contact's clock."""

    model_config = ConfigDict(title="QuietHours")

    start: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="to", description="Not included. Earlier than `from`, it is on the next day.")


class LaneBody(BaseModel):
    """One lane of a flow step as written."""

    model_config = ConfigDict(extra="forbid", strict=True, title="Lane")

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=PRINTABLE)] = Field(
        description="Unique in its step."
    )
    condition: dict[str, Any] | None = Field(
        default=None, description="Of a branch's lane: who goes into it. Only the last may have none."
    )
    weight: Weight | None = Field(
        default=None, description="Of an A/B split's lane: its share, beside the other lanes' weights. 1 when absent."
    )
    steps: "list[StepBody]" = Field(default_factory=list, max_length=MAX_STEPS)


class StepBody(BaseModel):
    """One step as written."""

    model_config = ConfigDict(extra="forbid", strict=True, title="Step")

    name: Name = Field(description="Unique in the journey.")
    key: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$",
        description="What stays the same when the name changes; made from the name when absent.",
    )
    order: Natural | None = Field(default=None, description="Else the list's order counts.")
    action_type: str = Field(max_length=50)
    action_config: dict[str, Any] = Field(default_factory=dict)
    delay_minutes: Whole = Field(
        default=0,
        ge=0,
        le=MAX_DELAY_MINUTES,
        description="Counts from the previous step's end, or as `delay_from` says.",
    )
    delay_from: Literal["previous_step", "journey_start"] = Field(
        default="previous_step",
        description="With `journey_start` the delay counts from the run's start; the previous step has to end first.",
    )
    window: WindowBody | None = Field(
        default=None,
        description="Outside of these hours, by the contact's clock, the step waits.",
    )
    condition: dict[str, Any] | None = Field(
        default=None, description="Looked at when the delay is over; a step whose condition does not hold is skipped."
    )
    on_failure: Literal["continue", "stop"] = Field(
        default="continue", description="What the journey does when this step has finally failed."
    )
    expires_after_minutes: Minutes | None = Field(
        default=None, description="So much later than it was due, after an outage or a pause, it is skipped as stale."
    )
    is_active: bool = True
    lanes: list[LaneBody] = Field(
        default_factory=list, max_length=MAX_LANES, description="Of a flow step: the lists of steps inside it."
    )
    id: UUID | None = Field(
        default=None,
        strict=False,
        description="As the API answers it, so that steps can be sent back as they came. The key is what counts.",
    )


class SignalBody(BaseModel):
    """An event that concerns those inside a journey."""

    model_config = ConfigDict(extra="forbid", strict=True, title="Signal")

    event: EventName = Field(description="Its name, as services report it: order_placed.")
    condition: dict[str, Any] | None = Field(
        default=None, description="Only an event for which it holds; `event.…` is what the event brought."
    )


class GoalBody(SignalBody):
    """An event that is to come in time."""

    model_config = ConfigDict(title="Goal")

    within_days: Days = Field(description="Counted from the run's start, also after its end.")
    exit_on_goal: bool = Field(default=True, description="Whether those who reach it leave the journey.")


class JourneyBody(BaseModel):
    """A journey as written."""

    model_config = ConfigDict(extra="forbid", strict=True, title="JourneyDocument")

    name: Name = Field(description="Unique.")
    description: str = Field(default="", max_length=10_000)
    trigger_type: str = Field(max_length=50)
    trigger_config: dict[str, Any] = Field(
        default_factory=dict, description="The trigger's settings and its `condition`; a bare condition will do."
    )
    is_active: bool = True
    priority: Whole = Field(default=0, ge=-INT32 - 1, le=INT32, description="Higher starts first.")
    quiet_hours: QuietHoursBody | None = Field(
        default=None, description="Hours in which e-mails, Telegram messages and pushes wait, by the contact's clock."
    )
    reentry: Literal["once", "after_finish", "after_days"] = Field(
        default="once",
        description="Whether somebody who was in it may enter again: never; when they are out; some days after they "
        "last entered. Nobody is in it twice at a time.",
    )
    reentry_days: Days | None = Field(default=None, description="Of `after_days`: how many.")
    exit_condition: dict[str, Any] | None = Field(
        default=None, description="Looked at before each step, and each try: for whom it holds, the run exits."
    )
    exit_on: list[SignalBody] = Field(
        default_factory=list, max_length=MAX_EXITS, description="Events by which those inside leave, wherever they are."
    )
    goal: GoalBody | None = Field(default=None, description="What the journey is for; counted once a run.")
    holdout_percent: Percent = Field(
        default=0, description="So many of those who would enter don't, always the same; their goal is measured too."
    )
    steps: list[StepBody] = Field(default_factory=list, max_length=MAX_STEPS)
