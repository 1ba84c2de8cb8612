"""A journey as written: the shapes of the API's body and the export file, before anybody asks what they mean."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from journeys.logic.timing import MAX_DELAY_MINUTES

MAX_STEPS = 200
MAX_LANES = 20
MAX_WEIGHT = 1_000
INT32 = 2**31 - 1
PRINTABLE = r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$"


def whole(value: Any) -> Any:
    """5.0 is an integer in JSON, as 5 is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(whole)]
# Limits come first: put around the validator of something optional, they would be missing in the schema.
Natural = Annotated[int, Field(ge=0, le=INT32), BeforeValidator(whole)]
Minutes = Annotated[int, Field(ge=1, le=MAX_DELAY_MINUTES), BeforeValidator(whole)]
Weight = Annotated[int, Field(ge=0, le=MAX_WEIGHT), BeforeValidator(whole)]
Name = Annotated[str, Field(min_length=1, max_length=255, pattern=PRINTABLE)]


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
        default=0, ge=0, le=MAX_DELAY_MINUTES, description="Counts from the end of the previous step."
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
    steps: list[StepBody] = Field(default_factory=list, max_length=MAX_STEPS)
