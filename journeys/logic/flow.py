"""A definition compiled into something to walk: what the steps are, and what comes next.

A definition is the document that a JourneyVersion holds (docs/architecture.md §2). Walking knows no database:
a position is a step's id.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from journeys.logic.conditions import Facts, reads_tags
from journeys.logic.conditions import compile as compile_condition

OnFailure = str
CONTINUE, STOP = "continue", "stop"


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it runs. `config` is whatever the action's own parser made of `action_config`."""

    id: UUID
    key: str
    name: str
    action_type: str
    config: Any
    delay_minutes: int
    holds: Callable[[Facts], bool]
    on_failure: OnFailure
    expires_after_minutes: int | None = None

    def is_stale(self, due_at: datetime, now: datetime) -> bool:
        """Whether it is too late at `now` for what was meant for `due_at`."""
        minutes = self.expires_after_minutes
        return minutes is not None and now > due_at + timedelta(minutes=minutes)


class Flow:
    """The active steps of one version, in order."""

    def __init__(
        self,
        steps: Sequence[Step],
        trigger_type: str,
        admits: Callable[[Facts], bool],
        *,
        admission_reads_tags: bool = True,
        conditions_read_tags: bool = True,
    ) -> None:
        self.steps = tuple(steps)
        self.trigger_type = trigger_type
        self.admits = admits
        self.admission_reads_tags = admission_reads_tags
        self.conditions_read_tags = conditions_read_tags
        self.action_types = frozenset(step.action_type for step in steps)
        self._position = {step.id: number for number, step in enumerate(steps)}

    def __contains__(self, step_id: UUID) -> bool:
        return step_id in self._position

    @property
    def first(self) -> Step | None:
        return self.steps[0] if self.steps else None

    def step(self, step_id: UUID) -> Step:
        """The step with that id. Raises KeyError where this version has none."""
        return self.steps[self._position[step_id]]

    def after(self, step_id: UUID) -> Step | None:
        """The step behind `step_id`, or None behind the last. Raises KeyError for a step that isn't here."""
        number = self._position[step_id] + 1
        return self.steps[number] if number < len(self.steps) else None

    def nearest(self, step_id: UUID, old: "Flow") -> Step | None:
        """Where someone who waits for `step_id` in `old` goes on here: at that step, or at the next that is left."""
        step: Step | None = old.step(step_id) if step_id in old else None
        while step is not None and step.id not in self:
            step = old.after(step.id)
        return self.step(step.id) if step is not None else None


def compile_flow(definition: Mapping[str, Any], parse_config: Callable[[str, Mapping[str, Any]], Any]) -> Flow:
    """Compile a validated definition. `parse_config(action_type, action_config)` gives a step's typed config."""
    steps = [
        Step(
            id=UUID(raw["id"]),
            key=raw["key"],
            name=raw["name"],
            action_type=raw["action_type"],
            config=parse_config(raw["action_type"], raw["action_config"]),
            delay_minutes=raw["delay_minutes"],
            holds=compile_condition(raw["condition"]),
            on_failure=raw["on_failure"],
            expires_after_minutes=raw.get("expires_after_minutes"),  # Versions of the first release have none.
        )
        for raw in definition["steps"]
        if raw["is_active"]
    ]
    condition = definition["trigger_config"].get("condition")
    return Flow(
        steps,
        definition["trigger_type"],
        compile_condition(condition),
        admission_reads_tags=reads_tags(condition),
        conditions_read_tags=any(reads_tags(raw["condition"]) for raw in definition["steps"]),
    )
