"""A definition compiled into something to walk: what the steps are, and what comes next.

A definition is the document that a JourneyVersion holds (docs/architecture.md §2). A flow step holds lanes of steps;
behind the last step of a lane the run goes on behind the flow step. There is no way back, so every run ends. Walking
knows no database: a position is a step's id.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from journeys.logic.conditions import Predicate, reads_tags, segments_in
from journeys.logic.conditions import compile as compile_condition
from journeys.logic.effects import ScheduleNext
from journeys.logic.entry import Entrance, compile_entrance
from journeys.logic.hours import Hours, Span
from journeys.logic.leaving import Exits, Goal, compile_exits, compile_goal, signals_in
from journeys.logic.timing import step_due

OnFailure = str
CALLED = frozenset({"segment", "schedule", "date", "manual"})
"""Triggers that no event starts which somebody reports, whatever its name is."""
CONTINUE, STOP = "continue", "stop"
MAX_LANE_DEPTH = 10

PREVIOUS_STEP, JOURNEY_START = "previous_step", "journey_start"

ParseConfig = Callable[[str, Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Lane:
    """A named list of steps inside a flow step. `holds` is a branch's, `weight` an A/B split's."""

    name: str
    holds: Predicate
    weight: int
    steps: "tuple[Step, ...]"


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it runs. `config` is whatever the action's own parser made of `action_config`."""

    id: UUID
    key: str
    name: str
    action_type: str
    config: Any
    delay_minutes: int
    holds: Predicate
    on_failure: OnFailure
    expires_after_minutes: int | None = None
    lanes: tuple[Lane, ...] = ()
    from_start: bool = False
    """Whether the delay counts from the run's start. The step before has to end first all the same."""
    hours: Hours | None = None
    """When it may be taken, where that is not always."""

    @property
    def timing(self) -> tuple[Any, ...]:
        """All that says when it is due."""
        return self.delay_minutes, self.from_start, self.hours

    def due(
        self, previous_ended_at: datetime, started_at: datetime, zone: ZoneInfo, said: ScheduleNext | None = None
    ) -> datetime:
        """The instant it is meant for. `said` is what the step before it said of it, in place of its own delay."""
        if self.from_start and said is None:
            due_at = max(previous_ended_at, started_at + timedelta(minutes=self.delay_minutes))
        else:
            due_at = step_due(previous_ended_at, self.delay_minutes, said, zone)
        return due_at if self.hours is None else self.hours.first_from(due_at, zone)

    def stale_from(self, due_at: datetime) -> datetime | None:
        """The first instant at which it is too late for what was meant for `due_at`, if there is one."""
        minutes = self.expires_after_minutes
        return None if minutes is None else due_at + timedelta(minutes=minutes, microseconds=1)

    def is_stale(self, due_at: datetime, now: datetime) -> bool:
        """Whether it is too late at `now` for what was meant for `due_at`."""
        minutes = self.expires_after_minutes
        return minutes is not None and now > due_at + timedelta(minutes=minutes)


class _Place(NamedTuple):
    """Where a step stands: number `number` of `row`, which is the journey itself or a lane of the step `inside`."""

    row: tuple[Step, ...]
    number: int
    inside: Step | None


class Flow:
    """The active steps of one version, in order and in their lanes. `started_by` is the name of an event."""

    def __init__(
        self,
        steps: Sequence[Step],
        trigger_type: str,
        admits: Predicate,
        *,
        started_by: str = "",
        entrance: Entrance,
        exits: Exits,
        goal: Goal | None,
        admission_reads_tags: bool = True,
        signals_read_tags: bool = True,
        admission_segments: frozenset[str] = frozenset(),
        signals_segments: frozenset[str] = frozenset(),
        segments: frozenset[str] = frozenset(),
        conditions_read_tags: bool = True,
    ) -> None:
        self.steps = tuple(steps)
        self.trigger_type = trigger_type
        self.started_by = started_by or trigger_type
        self.is_called = trigger_type in CALLED
        self.admits = admits
        self.entrance, self.exits, self.goal = entrance, exits, goal
        signals = (*exits.signals, goal.signal) if goal is not None else exits.signals
        self.listens_to = frozenset(signal.event for signal in signals)
        self.admission_reads_tags = admission_reads_tags
        self.signals_read_tags, self.signals_segments = signals_read_tags, signals_segments
        self.admission_segments, self.segments = admission_segments, segments
        self.conditions_read_tags = conditions_read_tags
        self._places: dict[UUID, _Place] = {}
        self._find_places(self.steps, None)
        self.action_types = frozenset(place.row[place.number].action_type for place in self._places.values())

    def _find_places(self, row: tuple[Step, ...], inside: Step | None) -> None:
        for number, step in enumerate(row):
            self._places[step.id] = _Place(row, number, inside)
            for lane in step.lanes:
                self._find_places(lane.steps, step)

    def __contains__(self, step_id: UUID) -> bool:
        return step_id in self._places

    def every_step(self) -> Iterator[Step]:
        """All steps, those in lanes too."""
        return (place.row[place.number] for place in self._places.values())

    @property
    def first(self) -> Step | None:
        return self.steps[0] if self.steps else None

    def step(self, step_id: UUID) -> Step:
        """The step with that id. Raises KeyError where this version has none."""
        place = self._places[step_id]
        return place.row[place.number]

    def after(self, step_id: UUID) -> Step | None:
        """The step behind `step_id` and its lanes, or None behind the last. Raises KeyError for one that isn't here."""
        place = self._places[step_id]
        if place.number + 1 < len(place.row):
            return place.row[place.number + 1]
        return self.after(place.inside.id) if place.inside is not None else None

    def enter(self, step_id: UUID, lane_name: str | None) -> Step | None:
        """The first step of that lane of a flow step; what is behind the flow step where the lane has none."""
        for lane in self.step(step_id).lanes:
            if lane.name == lane_name and lane.steps:
                return lane.steps[0]
        return self.after(step_id)

    def nearest(self, step_id: UUID, old: "Flow") -> Step | None:
        """Where someone who waits for `step_id` in `old` goes on here: at that step, or at the next that is left."""
        step: Step | None = old.step(step_id) if step_id in old else None
        while step is not None and step.id not in self:
            step = old.after(step.id)
        return self.step(step.id) if step is not None else None


def compile_flow(
    definition: Mapping[str, Any], parse_config: ParseConfig, is_message: Callable[[str], bool] = lambda kind: False
) -> Flow:
    """Compile a validated definition. `parse_config(action_type, action_config)` gives a step's typed config, and
    `is_message(action_type)` says whether a step talks to the contact, and so keeps the journey's quiet hours."""
    condition = definition["trigger_config"].get("condition")
    compiler = _Compiler(parse_config, is_message, Span.of(definition.get("quiet_hours")))
    return Flow(
        compiler.steps(definition["steps"]),
        definition["trigger_type"],
        compile_condition(condition),
        started_by=definition["trigger_config"].get("event", "") if definition["trigger_type"] == "event" else "",
        entrance=compile_entrance(definition),
        exits=compile_exits(definition),
        goal=compile_goal(definition),
        admission_reads_tags=reads_tags(condition),
        signals_read_tags=any(reads_tags(signal.get("condition")) for signal in signals_in(definition)),
        admission_segments=segments_in(condition),
        signals_segments=segments_in(list(signals_in(definition))),
        segments=segments_in([definition.get("exit_condition"), definition["steps"]]),
        conditions_read_tags=any(
            map(reads_tags, (definition.get("exit_condition"), *_conditions(definition["steps"])))
        ),
    )


class _Compiler(NamedTuple):
    """What all steps of a definition are read with."""

    parse_config: ParseConfig
    is_message: Callable[[str], bool]
    quiet_hours: Span | None

    def steps(self, definitions: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
        return tuple(self._step(raw) for raw in definitions if raw["is_active"])

    def _step(self, raw: Mapping[str, Any]) -> Step:
        return Step(
            id=UUID(raw["id"]),
            key=raw["key"],
            name=raw["name"],
            action_type=raw["action_type"],
            config=self.parse_config(raw["action_type"], raw["action_config"]),
            delay_minutes=raw["delay_minutes"],
            holds=compile_condition(raw["condition"]),
            on_failure=raw["on_failure"],
            # Versions of earlier releases, and those that don't use it, lack what is asked for with `get`.
            expires_after_minutes=raw.get("expires_after_minutes"),
            lanes=tuple(self._lane(lane) for lane in raw.get("lanes", ())),
            from_start=raw.get("delay_from") == JOURNEY_START,
            hours=self._hours(raw),
        )

    def _hours(self, raw: Mapping[str, Any]) -> Hours | None:
        window = Span.of(raw.get("window"))
        quiet = self.quiet_hours if self.is_message(raw["action_type"]) else None
        return Hours(window, quiet) if window is not None or quiet is not None else None

    def _lane(self, raw: Mapping[str, Any]) -> Lane:
        return Lane(
            name=raw["name"],
            holds=compile_condition(raw.get("condition")),
            weight=raw.get("weight", 1),
            steps=self.steps(raw["steps"]),
        )


def _conditions(definitions: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
    """All conditions of steps and lanes."""
    for raw in definitions:
        yield raw["condition"]
        for lane in raw.get("lanes", ()):
            yield lane.get("condition")
            yield from _conditions(lane["steps"])
