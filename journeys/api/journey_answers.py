"""What the API answers of journeys."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field, JsonValue, RootModel

from journeys.api.answers import Answer
from journeys.authoring.document import TOP, RowsByLane, draft_steps, rows_by_lane
from journeys.authoring.rules import rules_of
from journeys.models import Journey, JourneyStep


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
