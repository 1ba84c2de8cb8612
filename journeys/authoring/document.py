"""A journey as a document: the API's body, the export file and, as `definition`, what a version holds.

`parse` finds every fault at once; what it returns is whole and valid. Nothing here writes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.utils.text import slugify
from pydantic import ValidationError

from journeys.actions.registry import ACTIONS
from journeys.authoring.bodies import JourneyBody, LaneBody, StepBody
from journeys.authoring.document_faults import deeper_faults, faults_of, journeys_named
from journeys.authoring.faults import Fault, Faulty, faults_in
from journeys.authoring.rules import DEFAULTS, rules_in, rules_of
from journeys.authoring.starts import KIND as STARTS
from journeys.engine.triggers import unwrap
from journeys.logic import json_values
from journeys.logic.flow import PREVIOUS_STEP
from journeys.models import Journey, JourneyStep, StepExecution

MAX_BODY_DEPTH = 100
"""Lanes nest ten deep, and conditions ten deep inside them; each part has its own, stricter limit."""


class DocumentError(Faulty):
    """The document can't become a journey."""


@dataclass(frozen=True, slots=True)
class LaneDocument:
    """A lane. `condition` is a branch's, `weight` an A/B split's; the other is None."""

    name: str
    condition: Mapping[str, Any] | None
    weight: int | None
    steps: "tuple[StepDocument, ...]"

    @property
    def settings(self) -> dict[str, Any]:
        """What there is of it beside its steps."""
        own = {"name": self.name, "condition": self.condition, "weight": self.weight}
        return {name: value for name, value in own.items() if value is not None}


@dataclass(frozen=True, slots=True)
class StepDocument:
    key: str
    name: str
    order: int
    action_type: str
    action_config: Mapping[str, Any]
    delay_minutes: int
    condition: Mapping[str, Any] | None
    on_failure: str
    expires_after_minutes: int | None
    is_active: bool
    delay_from: str
    window: Mapping[str, Any] | None
    lanes: tuple[LaneDocument, ...] = ()


@dataclass(frozen=True, slots=True)
class JourneyDocument:
    """A valid journey. `rules` are the fields of authoring/rules.py; `steps` are in order, each with its key."""

    name: str
    description: str
    trigger_type: str
    trigger_config: Mapping[str, Any]
    is_active: bool
    priority: int
    quiet_hours: Mapping[str, Any] | None
    rules: dict[str, Any]
    steps: tuple[StepDocument, ...]


def parse(body: Any) -> JourneyDocument:
    """The document in `body`, plain JSON. Raises DocumentError with all its faults."""
    unstorable = [Fault(*fault) for fault in json_values.faults(body, max_depth=MAX_BODY_DEPTH)]
    if unstorable:
        raise DocumentError(unstorable)
    try:
        written = JourneyBody.model_validate(body)
    except ValidationError as error:
        raise DocumentError([*faults_in(error), *deeper_faults(body)]) from error
    if faults := faults_of(written):
        raise DocumentError(faults)
    return JourneyDocument(
        name=written.name.strip(),
        description=written.description,
        trigger_type=written.trigger_type,
        trigger_config=unwrap(written.trigger_config),
        is_active=written.is_active,
        priority=written.priority,
        quiet_hours=written.quiet_hours.model_dump(by_alias=True) if written.quiet_hours else None,
        rules=rules_in(written),
        steps=_ordered(written.steps, _Names(_keys(written.steps), journeys_named(written))),
    )


def export(journey: Journey, *, with_order: bool = False) -> dict[str, Any]:
    """The journey's draft as a document that `parse` reads back to the same.

    Without `order` somebody can move steps about in it; with it, the numbers too come back the same.
    """
    return {
        "name": journey.name,
        "description": journey.description,
        "trigger_type": journey.trigger_type,
        "trigger_config": journey.trigger_config,
        "is_active": journey.is_active,
        "priority": journey.priority,
        "quiet_hours": journey.quiet_hours,
        **rules_of(journey),
        "steps": _export(draft_steps(journey), with_order=with_order),
    }


def _export(steps: Sequence[JourneyStep], *, with_order: bool = False, with_id: bool = False) -> list[dict[str, Any]]:
    rows = rows_by_lane(steps)

    def of(place: Place) -> list[dict[str, Any]]:
        return [
            ({"id": str(step.id)} | _without_defaults(export_step(step)) if with_id else export_step(step))
            | ({"order": step.order} if with_order else {})
            | ({"lanes": [lane | {"steps": of((step.id, lane["name"]))} for lane in step.lanes]} if step.lanes else {})
            for step in rows.get(place, ())
        ]

    return of(TOP)


def export_step(step: JourneyStep) -> dict[str, Any]:
    """One step as a document has it, without its lanes; the list's order is its order."""
    return {
        "key": step.key,
        "name": step.name,
        "action_type": step.action_type,
        "action_config": step.action_config,
        "delay_minutes": step.delay_minutes,
        "condition": step.condition,
        "on_failure": step.on_failure,
        "expires_after_minutes": step.expires_after_minutes,
        "is_active": step.is_active,
        "delay_from": step.delay_from,
        "window": step.window,
    }


Place = tuple[UUID | None, str]
"""A flow step and the name of one of its lanes."""
TOP: Place = (None, "")
RowsByLane = dict[Place, list[JourneyStep]]


def rows_by_lane(steps: Iterable[JourneyStep]) -> RowsByLane:
    """Draft steps, which are in order, by where they stand."""
    rows: RowsByLane = {}
    for step in steps:
        rows.setdefault((step.parent_id, step.lane), []).append(step)
    return rows


def draft_steps(journey: Journey) -> list[JourneyStep]:
    """The steps that are not archived, as one reads them; one query, or none where they were prefetched."""
    kept = sorted(
        (step for step in journey.steps.all() if step.archived_at is None), key=lambda step: (step.order, step.id)
    )
    rows = rows_by_lane(kept)

    def read(place: Place) -> Iterator[JourneyStep]:
        for step in rows.get(place, ()):
            yield step
            for lane in step.lanes:
                yield from read((step.id, lane["name"]))

    return list(read(TOP))


def in_order(executions: Iterable[StepExecution], journey: Journey) -> list[StepExecution]:
    """The executions of a run as they came; those of one moment as one reads the journey's steps."""
    numbers = {step.id: number for number, step in enumerate(draft_steps(journey))}
    return sorted(executions, key=lambda one: (one.created_at, numbers.get(one.step_id, len(numbers))))


def definition(journey: Journey, steps: Sequence[JourneyStep]) -> dict[str, Any]:
    """What a version of the journey holds, as `journeys.logic.flow.compile_flow` reads it."""
    own = {
        "trigger_type": journey.trigger_type,
        "trigger_config": journey.trigger_config,
        "quiet_hours": journey.quiet_hours,
        **rules_of(journey),
    }
    return _without_defaults(own) | {"steps": _export(steps, with_id=True)}


LATER = {"quiet_hours": None, "delay_from": PREVIOUS_STEP, "window": None, **DEFAULTS}
"""What a document can say since some release, each with what it means to say nothing."""


def _without_defaults(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing: what did not change in a journey must not differ from the version before."""
    return {name: value for name, value in values.items() if name not in LATER or value != LATER[name]}


class _Names(NamedTuple):
    """What a body leaves to be found out: each step's key, and the ids of the journeys that are started."""

    keys: Mapping[int, str]
    journeys: Mapping[str, UUID]

    def config(self, step: StepBody) -> Mapping[str, Any]:
        if step.action_type != STARTS:
            return step.action_config
        return {**step.action_config, "journey": str(self.journeys[step.action_config["journey"].strip()])}


def _ordered(steps: Sequence[StepBody], names: _Names) -> tuple[StepDocument, ...]:
    """The steps by `order`, where given. Orders that are whole and distinct are kept, else the steps are counted."""
    orders = [step.order if step.order is not None else index for index, step in enumerate(steps)]
    keep = len(set(orders)) == len(steps)
    sequence = sorted(range(len(steps)), key=lambda index: orders[index])
    return tuple(
        StepDocument(
            key=names.keys[id(steps[index])],
            name=steps[index].name.strip(),
            order=orders[index] if keep else number,
            action_type=steps[index].action_type,
            action_config=names.config(steps[index]),
            delay_minutes=steps[index].delay_minutes,
            condition=steps[index].condition or None,
            on_failure=steps[index].on_failure,
            expires_after_minutes=steps[index].expires_after_minutes,
            is_active=steps[index].is_active,
            delay_from=steps[index].delay_from,
            window=_window(steps[index]),
            lanes=_lanes(steps[index], names),
        )
        for number, index in enumerate(sequence)
    )


def _window(step: StepBody) -> dict[str, Any] | None:
    return step.window.document() if step.window is not None else None


def _lanes(step: StepBody, names: _Names) -> tuple[LaneDocument, ...]:
    """The step's lanes; where it has always the same ones, all of those, in their order."""
    lanes = [_lane(lane, names) for lane in step.lanes]
    always = ACTIONS[step.action_type].lane_names
    if not always:
        return tuple(lanes)
    written = {lane.name: lane for lane in lanes}
    return tuple(written.get(name, LaneDocument(name, None, None, ())) for name in always)


def _lane(lane: LaneBody, names: _Names) -> LaneDocument:
    return LaneDocument(lane.name.strip(), lane.condition or None, lane.weight, _ordered(lane.steps, names))


def _keys(steps: Sequence[StepBody]) -> dict[int, str]:
    """Each step's key, by the step's identity: its own, else one made from its name and unlike all the others."""
    everywhere = list(_walk(steps))
    taken = {step.key for step in everywhere if step.key is not None}
    keys: dict[int, str] = {}
    for step in everywhere:
        key = step.key if step.key is not None else _free(slugify(step.name)[:90].strip("-_") or "step", taken)
        taken.add(key)
        keys[id(step)] = key
    return keys


def _walk(steps: Iterable[StepBody]) -> Iterator[StepBody]:
    for step in steps:
        yield step
        for lane in step.lanes:
            yield from _walk(lane.steps)


def _free(base: str, taken: set[str]) -> str:
    key, number = base, 1
    while key in taken:
        number += 1
        key = f"{base}-{number}"
    return key
