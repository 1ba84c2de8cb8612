"""schedule_next: says when the step behind it is due, in place of that step's own delay."""

import re
from datetime import time
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from journeys.actions.base import Action, Config, StepContext
from journeys.logic.effects import Prepared, ScheduleNext
from journeys.logic.timing import MAX_DELAY_MINUTES, WEEKDAYS

_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)


def _time_of_day(value: str) -> str:
    if not _TIME.fullmatch(value):
        raise ValueError("must be a time of day such as 09:00")
    return value


TimeOfDay = Annotated[
    str,
    AfterValidator(_time_of_day),
    WithJsonSchema({"type": "string", "pattern": f"^{_TIME.pattern}$", "examples": ["09:00"]}),
]
"""HH:MM, from 00:00 to 23:59."""
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class ScheduleConfig(Config):
    delay_minutes: Annotated[int, Field(ge=0, le=MAX_DELAY_MINUTES)] | None = Field(
        default=None, title="Minutes from now", description="How long the next step waits."
    )
    at: TimeOfDay | None = Field(
        default=None,
        title="Time of day",
        description="Or the next time it is this late where the contact is, such as 09:00.",
        json_schema_extra={"widget": "time"},
    )
    days: list[Weekday] = Field(
        default_factory=list,
        validate_default=True,
        title="On these days",
        description="With a time of day; none means any day.",
        json_schema_extra={"widget": "weekdays"},
    )

    @field_validator("at")
    @classmethod
    def _instead_of_minutes(cls, at: str | None, info: ValidationInfo) -> str | None:
        if at is not None and info.data.get("delay_minutes") is not None:
            raise ValueError("give either minutes from now or a time of day, not both")
        return at

    @field_validator("days")
    @classmethod
    def _days_need_a_time(cls, days: list[Weekday], info: ValidationInfo) -> list[Weekday]:
        if days and "at" in info.data and info.data["at"] is None:
            raise ValueError("days need a time of day")
        if len(set(days)) < len(days):
            raise ValueError("names a day twice")
        return days

    @property
    def effect(self) -> ScheduleNext | None:
        """None where nothing is said: the next step then keeps its own delay."""
        if self.at is not None:
            days = frozenset(WEEKDAYS.index(day) for day in self.days)
            return ScheduleNext(at=time.fromisoformat(self.at), days=days)
        if self.delay_minutes is not None:
            return ScheduleNext(delay_minutes=self.delay_minutes)
        return None


class ScheduleNextStep(Action[ScheduleConfig]):
    kind = "schedule_next"
    label = "Schedule the next step"
    description = "Says when the next step is due; left empty, the next step's own delay counts."
    config_class = ScheduleConfig

    def prepare(self, config: ScheduleConfig, context: StepContext) -> Prepared:
        effect = config.effect
        return Prepared((effect,) if effect else (), result={"status": "scheduled"})
