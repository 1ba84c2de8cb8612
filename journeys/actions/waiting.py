"""wait_for_event: the step that a run stays at until its contact does something, or a time is over."""

from typing import Any, Literal

from pydantic import Field, PrivateAttr

from journeys.actions.base import Condition, Config, EventName, WaitingAction
from journeys.logic.conditions import Facts, Predicate, compile
from journeys.logic.effects import Wait
from journeys.logic.timing import MAX_DELAY_MINUTES


class WaitConfig(Config):
    event: EventName = Field(
        title="Event",
        description="Its name, as services report it: email_opened.",
        json_schema_extra={"widget": "event"},
    )
    timeout_minutes: int = Field(
        title="At most for",
        description="Then the run goes on in the lane “timed out”.",
        ge=1,
        le=MAX_DELAY_MINUTES,
    )
    condition: Condition = Field(
        default=None,
        title="Only an event of which",
        description="event.… is what the event brought; any other event is not the one.",
        json_schema_extra={"widget": "condition"},
    )
    since: Literal["step", "journey_start"] = Field(
        default="step",
        title="Counting from",
        description="The step: only what comes while it waits. The journey's start: what came before, too.",
    )
    _holds: Predicate = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        self._holds = compile(self.condition)

    def takes(self, facts: Facts) -> bool:
        """Whether the event that `facts` are about is the one."""
        return self._holds(facts)


class WaitForEvent(WaitingAction[WaitConfig]):
    kind = "wait_for_event"
    label = "Wait for an event"
    description = "Waits until the person does something, or a time is over; a lane for each."
    config_class = WaitConfig
    needs_tags = True

    def wait(self, config: WaitConfig) -> Wait:
        return Wait(config.event, config.timeout_minutes, config.since == "journey_start")

    def takes(self, config: WaitConfig, facts: Facts) -> bool:
        return config.takes(facts)
