"""What is wrong with a journey as written, beyond its shape: each fault with its path."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from journeys.actions.base import ConfigError
from journeys.actions.registry import ACTIONS, CHANNELS, is_message, parse_config
from journeys.authoring.bodies import MAX_STEPS, JourneyBody, LaneBody, QuietHoursBody, StepBody
from journeys.authoring.faults import Fault, condition_faults, faults_in_config
from journeys.authoring.rules import faults_of_rules
from journeys.authoring.starts import KIND as STARTS
from journeys.authoring.starts import ids_of
from journeys.authoring.templates import missing_templates
from journeys.engine.triggers import parse_trigger, unwrap
from journeys.logic import json_values
from journeys.logic.conditions import segments_in
from journeys.logic.flow import MAX_LANE_DEPTH
from journeys.logic.hours import Hours, Span
from journeys.models import Segment

CHANNEL_OF = {action.kind: channel for channel, action in CHANNELS.items()}
Placed = tuple[str, StepBody]
"""A step with its path in the document."""


def faults_of(written: JourneyBody) -> list[Fault]:
    """All that is wrong with a body of the right shape. Templates are asked for only when the rest is well."""
    steps = list(_walk(written.steps, "steps"))
    faults = [
        *_trigger_faults(written.trigger_type, written.trigger_config),
        *faults_of_rules(written),
        *_faults_of_steps(steps),
        *_faults_of_hours(steps, written.quiet_hours),
    ]
    return faults or [*_template_faults(steps), *_start_faults(steps), *_segment_faults(written)]


def segments_of(definition: Mapping[str, Any]) -> set[str]:
    """The segments that a journey names, in its trigger and in its conditions."""
    name = definition["trigger_config"].get("segment")
    return {*segments_in(definition), *([name] if name else [])}


def _segment_faults(written: JourneyBody) -> Iterator[Fault]:
    named = segments_of(document := written.model_dump())
    if not named:
        return
    absent = named - set(Segment.objects.filter(name__in=named).values_list("name", flat=True))
    if (name := document["trigger_config"].get("segment")) in absent:
        yield Fault("trigger_config.segment", f"there is no segment {name!r:.110}")
    yield from _named_in_conditions(document, "", absent)


def _named_in_conditions(value: Any, at: str, absent: Collection[str]) -> Iterator[Fault]:
    """The places where conditions name segments that there are not."""
    match value:
        case {"field": "segments", "value": str() as name} if name in absent:
            yield Fault(json_values.join(at, "value"), f"there is no segment {name!r:.110}")
        case dict():
            for key, inner in value.items():
                yield from _named_in_conditions(inner, json_values.join(at, key), absent)
        case list():
            for index, inner in enumerate(value):
                yield from _named_in_conditions(inner, f"{at}[{index}]", absent)


def journeys_named(written: JourneyBody) -> dict[str, UUID]:
    """The journeys that steps start, by what the body calls them."""
    return ids_of(_started(_walk(written.steps, "steps")).values())


def _started(steps: Iterable[Placed]) -> dict[str, str]:
    """What steps call the journeys that they start, by the paths of the steps."""
    return {path: step.action_config["journey"].strip() for path, step in steps if step.action_type == STARTS}


def _start_faults(steps: Sequence[Placed]) -> Iterator[Fault]:
    started = _started(steps)
    known = ids_of(started.values())
    for path, name in started.items():
        if name not in known:
            yield Fault(f"{path}.action_config.journey", f"there is no journey {name!r:.110}")


def deeper_faults(body: Any) -> Iterator[Fault]:
    """The faults inside those parts of a malformed body that have the right shape to be looked into."""
    if not isinstance(body, dict):
        return
    kind, config = body.get("trigger_type"), body.get("trigger_config", {})
    if isinstance(kind, str) and isinstance(config, dict):
        yield from _trigger_faults(kind, config)
    steps = body.get("steps")
    for index, step in enumerate(steps[:MAX_STEPS] if isinstance(steps, list) else ()):
        try:
            written = StepBody.model_validate(step)
        except ValidationError:
            continue
        for path, inner in _walk([written], "steps", index):
            yield from _step_faults(inner, path)


def _walk(steps: Iterable[StepBody], at: str, start: int = 0) -> Iterator[Placed]:
    for index, step in enumerate(steps, start):
        path = f"{at}[{index}]"
        yield path, step
        for number, lane in enumerate(step.lanes):
            yield from _walk(lane.steps, f"{path}.lanes[{number}].steps")


def _trigger_faults(kind: str, config: Mapping[str, Any]) -> Iterator[Fault]:
    inner = unwrap(config)
    at = "trigger_config" if "condition" not in config else "trigger_config.condition"
    in_condition = list(condition_faults(inner.get("condition"), at))
    yield from in_condition
    try:
        parse_trigger(kind, {**inner, "condition": None} if in_condition else inner)
    except ConfigError as error:
        yield from faults_in_config(error, "trigger_type" if "" in error.errors else "trigger_config")


def _faults_of_steps(steps: Sequence[Placed]) -> Iterator[Fault]:
    if len(steps) > MAX_STEPS:
        yield Fault("steps", f"are {len(steps)} with those in lanes; a journey has at most {MAX_STEPS}")
    yield from _repeated("name", [(path, step.name.strip()) for path, step in steps])
    yield from _repeated("key", [(path, step.key) for path, step in steps])
    for path, step in steps:
        if path.count(".lanes[") > MAX_LANE_DEPTH:
            yield Fault(path, f"lanes are nested more than {MAX_LANE_DEPTH} deep")
        yield from _step_faults(step, path)


def _repeated(field: str, values: Iterable[tuple[str, str | None]]) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for path, value in values:
        if value is not None and first.setdefault(value, path) != path:
            yield Fault(f"{path}.{field}", f"is the same as that of {first[value]}: {value!r:.60}")


def _step_faults(step: StepBody, at: str) -> Iterator[Fault]:
    yield from condition_faults(step.condition, f"{at}.condition")
    yield from _faults_of_lanes(step, at)
    too_deep = [Fault(*fault) for fault in json_values.faults(step.action_config, f"{at}.action_config")]
    if too_deep:
        yield from too_deep
        return
    try:
        parse_config(step.action_type, step.action_config)
    except ConfigError as error:
        unknown = len(error.errors) == 1 and "there is no action" in error.errors.get("", "")
        yield from faults_in_config(error, f"{at}.action_type" if unknown else f"{at}.action_config")


def _faults_of_hours(steps: Sequence[Placed], quiet_hours: QuietHoursBody | None) -> Iterator[Fault]:
    if quiet_hours is None:
        return
    quiet = Span.of(quiet_hours.model_dump(by_alias=True))
    for path, step in steps:
        if step.window is not None and is_message(step.action_type):
            window = Span.of(step.window.document())
            if not Hours(window, quiet).is_ever_open():
                yield Fault(f"{path}.window", "must not lie wholly within the journey's quiet hours")


def _faults_of_lanes(step: StepBody, at: str) -> Iterator[Fault]:
    action = ACTIONS.get(step.action_type)
    if action is None:
        return
    if action.lane_names:
        yield from _faults_of_named_lanes(step, at, action.lane_names)
        return
    if action.lane_has is None:
        if step.lanes:
            yield Fault(f"{at}.lanes", f"must be empty: {step.action_type} has no lanes")
        return
    if len(step.lanes) < action.least_lanes:
        yield Fault(f"{at}.lanes", f"must be at least {action.least_lanes}")
    taken = Counter(lane.name.strip() for lane in step.lanes)
    for number, lane in enumerate(step.lanes):
        path = f"{at}.lanes[{number}]"
        if taken[lane.name.strip()] > 1:
            yield Fault(f"{path}.name", f"is the name of several lanes of this step: {lane.name!r:.60}")
        yield from _lane_faults(lane, path, action.lane_has, is_last=number == len(step.lanes) - 1)
    if action.lane_has == "weight" and step.lanes and not any(lane.weight != 0 for lane in step.lanes):
        yield Fault(f"{at}.lanes", "must have a weight above 0 in one of them")


def _faults_of_named_lanes(step: StepBody, at: str, names: Sequence[str]) -> Iterator[Fault]:
    """Of a step that has always the same lanes; those that a document leaves out are empty."""
    known = " and ".join(f"{name!r}" for name in names)
    for number, lane in enumerate(step.lanes):
        path, name = f"{at}.lanes[{number}]", lane.name.strip()
        if name not in names:
            yield Fault(f"{path}.name", f"must be one of {known}, not {name!r:.60}")
        elif name in (earlier.name.strip() for earlier in step.lanes[:number]):
            yield Fault(f"{path}.name", f"is the name of several lanes of this step: {name!r}")
        yield from _lane_faults(lane, path, "", is_last=False)


def _lane_faults(lane: LaneBody, at: str, has: str, *, is_last: bool) -> Iterator[Fault]:
    if has == "condition":
        yield from condition_faults(lane.condition, f"{at}.condition")
        if not lane.condition and not is_last:
            yield Fault(f"{at}.condition", "is missing: only the last lane may be for everybody else")
    elif lane.condition:
        yield Fault(f"{at}.condition", "must be absent: only the lanes of a branch have one")
    if has != "weight" and lane.weight is not None:
        yield Fault(f"{at}.weight", "must be absent: only the lanes of an A/B split have one")


def _template_faults(steps: Sequence[Placed]) -> Iterator[Fault]:
    named = [
        (path, CHANNEL_OF[step.action_type], step.action_config["template"])
        for path, step in steps
        if step.action_type in CHANNEL_OF and step.action_config.get("template")
    ]
    absent = missing_templates((channel, name) for _, channel, name in named)
    for path, channel, name in named:
        if (channel, name) in absent:
            yield Fault(f"{path}.action_config.template", f"there is no {channel} template {name!r:.110}")
