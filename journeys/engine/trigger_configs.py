"""What each trigger can be told, as types: the settings of its detector, and whom it is for."""

import re
import zoneinfo
from datetime import time
from typing import Annotated, Any, Literal

from croniter import croniter
from pydantic import Field, JsonValue, ValidationInfo, field_validator

from journeys.actions.base import Condition, Config, EventName
from journeys.actions.contact import AttributeName as PlainName
from journeys.actions.scheduling import TimeOfDay, Weekday
from journeys.logic.conditions import fields
from journeys.logic.timing import WEEKDAYS

# What croniter would draw anew at each look; months and days have these letters too, but neither alone.
_CHANCE = re.compile(r"\b[hr]\b", re.IGNORECASE)
AttributeName = Annotated[PlainName, Field(json_schema_extra={"widget": "attribute"})]


class TriggerConfig(Config):
    """What every trigger has: an optional condition on the contact and the event."""

    condition: Condition = Field(default=None, title="Only if")


class IdleConfig(TriggerConfig):
    idle_days: int = Field(default=30, ge=1, le=3650, title="Idle for", description="Days without any event.")


class ExpiringConfig(TriggerConfig):
    days_before: int = Field(default=7, ge=0, le=3650, title="Days before", description="How long before the date.")
    date_attribute: AttributeName = Field(
        default="subscription_expires_at",
        title="Date attribute",
        description="The contact's attribute with the date.",
    )


class ChurnConfig(TriggerConfig):
    score_attribute: AttributeName = Field(
        default="churn_score", title="Score attribute", description="The contact's attribute with the score."
    )
    threshold: float = Field(
        default=0.8,
        allow_inf_nan=False,
        strict=False,
        title="Threshold",
        description="Found at this score or over it.",
    )


class EventConfig(TriggerConfig):
    event: EventName = Field(
        title="Event",
        description="Its name, as services report it: order_placed.",
        json_schema_extra={"widget": "event"},
    )


SegmentName = Annotated[str, Field(max_length=100, title="Segment", json_schema_extra={"widget": "segment"})]


def _when(every: str, **more: JsonValue) -> dict[str, JsonValue]:
    """A field that the builder shows only for these."""
    return {"only_when": f"every={every}", **more}


class SegmentConfig(TriggerConfig):
    segment: SegmentName = Field(min_length=1, description="Whoever enters it starts.")
    include_existing: bool = Field(
        default=False,
        title="Also those who are in it already",
        description="When the journey is switched on, or gets this segment.",
    )


class ScheduleConfig(TriggerConfig):
    """`timing` is what says when."""

    every: Literal["day", "week", "month", "cron"] = Field(
        default="day", title="Every", description="Cron is for experts."
    )
    at: TimeOfDay = Field(default="09:00", title="At", json_schema_extra=_when("day week month", widget="time"))
    weekdays: list[Weekday] = Field(
        default_factory=list, title="On", description="None means Monday.", json_schema_extra=_when("week")
    )
    day: int = Field(
        default=1,
        ge=1,
        le=31,
        title="On day",
        description="In a month that is shorter, its last day.",
        json_schema_extra=_when("month"),
    )
    cron: str = Field(
        default="",
        validate_default=True,
        max_length=100,
        title="Cron",
        description="Minute, hour, day, month, weekday: 0 9 * * 1-5.",
        json_schema_extra=_when("cron"),
    )
    timezone: str = Field(default="", max_length=64, title="Time zone", description="Empty: the project's.")
    segment: SegmentName = Field(
        default="",
        description="Whom it starts: for each time to start them, the journey must let people enter again.",
    )

    @field_validator("weekdays")
    @classmethod
    def _each_once(cls, days: list[Weekday], info: ValidationInfo) -> list[Weekday]:
        if days and info.data.get("every", "week") != "week":
            raise ValueError("must be absent: they go with every week")
        if len(set(days)) < len(days):
            raise ValueError("names a day twice")
        return days

    @field_validator("cron")
    @classmethod
    def _readable(cls, cron: str, info: ValidationInfo) -> str:
        every = info.data.get("every")
        if every == "cron" and not cron:
            raise ValueError("is missing: every is cron")
        if every not in (None, "cron") and cron:
            raise ValueError("must be absent: it goes with every: cron")
        if cron and (len(cron.split()) != 5 or _CHANCE.search(cron) or not croniter.is_valid(cron)):
            raise ValueError("must be five fields of cron, such as 0 9 * * 1-5")
        return cron

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name and name not in zoneinfo.available_timezones():
            raise ValueError("must be an IANA time zone such as Europe/Berlin")
        return name

    @field_validator("condition")
    @classmethod
    def _about_contacts(cls, condition: dict[str, Any] | None) -> dict[str, Any] | None:
        if any(field.startswith("event.") for field in fields(condition)):
            raise ValueError("looks at an event, and a schedule has none")
        if "segments" in fields(condition):
            raise ValueError("names a segment: choose it beside the condition")
        return condition

    @property
    def time(self) -> time:
        return time.fromisoformat(self.at)

    @property
    def weekday_numbers(self) -> frozenset[int]:
        """0 is Monday."""
        return frozenset(WEEKDAYS.index(day) for day in self.weekdays or ["mon"])

    @property
    def timing(self) -> str:
        """Two configs are due at the same times if theirs are equal."""
        of = {"day": (), "week": sorted(self.weekday_numbers), "month": self.day, "cron": self.cron}
        return f"{self.every} {of[self.every]} {self.at if self.every != 'cron' else ''} {self.timezone}"


class DateConfig(TriggerConfig):
    attribute: AttributeName = Field(
        title="Date attribute", description="The contact's attribute with the date, such as birthday."
    )
    when: Literal["anniversary", "once"] = Field(
        default="anniversary",
        title="When",
        description="Anniversary: every year, from the first on; one of 29 February is on the 28th in other years.",
    )
    days: int = Field(
        default=0, ge=-3650, le=3650, title="Days from it", description="−7 is a week before, 1 the day after."
    )
    at: TimeOfDay = Field(
        default="09:00", title="At", description="Where the contact is.", json_schema_extra={"widget": "time"}
    )
