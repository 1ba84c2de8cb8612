"""A journey as a document: the API's body, the export file and, as `definition`, what a version holds.

`parse` finds every fault at once; what it returns is whole and valid. Nothing here writes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from django.utils.text import slugify
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from journeys.actions.base import ConfigError
from journeys.actions.registry import CHANNELS, parse_config
from journeys.authoring.faults import Fault, Faulty, faults_in, faults_in_config
from journeys.authoring.templates import missing_templates
from journeys.engine.triggers import parse_trigger, unwrap
from journeys.logic import json_values
from journeys.logic.conditions import ConditionError, validate
from journeys.logic.timing import MAX_DELAY_MINUTES
from journeys.models import Journey, JourneyStep

MAX_STEPS = 200
MAX_BODY_DEPTH = 100
"""Conditions nest ten deep inside steps, which is more levels of JSON; each part has its own, stricter limit."""

CHANNEL_OF = {action.kind: channel for channel, action in CHANNELS.items()}
INT32 = 2**31 - 1
PRINTABLE = r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$"


def whole(value: Any) -> Any:
    """5.0 is an integer in JSON, as 5 is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(whole)]
# Limits come first: put around the validator of something optional, they would be missing in the schema.
Natural = Annotated[int, Field(ge=0, le=INT32), BeforeValidator(whole)]
Minutes = Annotated[int, Field(ge=1, le=MAX_DELAY_MINUTES), BeforeValidator(whole)]
Name = Annotated[str, Field(min_length=1, max_length=255, pattern=PRINTABLE)]


class DocumentError(Faulty):
    """The document can't become a journey."""


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


@dataclass(frozen=True, slots=True)
class JourneyDocument:
    """A valid journey. `steps` are in order, each with the key that it is known by."""

    name: str
    description: str
    trigger_type: str
    trigger_config: Mapping[str, Any]
    is_active: bool
    priority: int
    steps: tuple[StepDocument, ...]


def parse(body: Any) -> JourneyDocument:
    """The document in `body`, plain JSON. Raises DocumentError with all its faults."""
    unstorable = [Fault(*fault) for fault in json_values.faults(body, max_depth=MAX_BODY_DEPTH)]
    if unstorable:
        raise DocumentError(unstorable)
    try:
        written = JourneyBody.model_validate(body)
    except ValidationError as error:
        raise DocumentError([*faults_in(error), *_deeper_faults(body)]) from error
    faults = [*_trigger_faults(written.trigger_type, written.trigger_config), *_faults_of_steps(written.steps)]
    faults = faults or list(_template_faults(written.steps))
    if faults:
        raise DocumentError(faults)
    return JourneyDocument(
        name=written.name.strip(),
        description=written.description,
        trigger_type=written.trigger_type,
        trigger_config=unwrap(written.trigger_config),
        is_active=written.is_active,
        priority=written.priority,
        steps=_ordered(written.steps),
    )


def export(journey: Journey, *, with_order: bool = False) -> dict[str, Any]:
    """The journey's draft as a document that `parse` reads back to the same.

    Without `order` somebody can move steps about in it; with it, the numbers too come back the same.
    """
    steps = draft_steps(journey)
    return {
        "name": journey.name,
        "description": journey.description,
        "trigger_type": journey.trigger_type,
        "trigger_config": journey.trigger_config,
        "is_active": journey.is_active,
        "priority": journey.priority,
        "steps": [export_step(step) | ({"order": step.order} if with_order else {}) for step in steps],
    }


def export_step(step: JourneyStep) -> dict[str, Any]:
    """One step as a document has it; the list's order is its order."""
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
    }


def draft_steps(journey: Journey) -> list[JourneyStep]:
    """The steps that are not archived, in order; one query, or none where they were prefetched."""
    return sorted(
        (step for step in journey.steps.all() if step.archived_at is None), key=lambda step: (step.order, step.id)
    )


def definition(journey: Journey, steps: Sequence[JourneyStep]) -> dict[str, Any]:
    """What a version of the journey holds, as `journeys.logic.flow.compile_flow` reads it."""
    return {
        "trigger_type": journey.trigger_type,
        "trigger_config": journey.trigger_config,
        "steps": [{"id": str(step.id), **export_step(step)} for step in steps],
    }


def _deeper_faults(body: Any) -> Iterator[Fault]:
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
        yield from _step_faults(written, f"steps[{index}]")


def _trigger_faults(kind: str, config: Mapping[str, Any]) -> Iterator[Fault]:
    inner = unwrap(config)
    at = "trigger_config" if "condition" not in config else "trigger_config.condition"
    in_condition = list(_condition_faults(inner.get("condition"), at))
    yield from in_condition
    try:
        parse_trigger(kind, {**inner, "condition": None} if in_condition else inner)
    except ConfigError as error:
        yield from faults_in_config(error, "trigger_type" if "" in error.errors else "trigger_config")


def _faults_of_steps(steps: Sequence[StepBody]) -> Iterator[Fault]:
    yield from _repeated("name", [step.name.strip() for step in steps])
    yield from _repeated("key", [step.key for step in steps])
    for index, step in enumerate(steps):
        yield from _step_faults(step, f"steps[{index}]")


def _repeated(field: str, values: Iterable[str | None]) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        if value is not None and first.setdefault(value, index) != index:
            yield Fault(f"steps[{index}].{field}", f"is the same as that of steps[{first[value]}]: {value!r:.60}")


def _step_faults(step: StepBody, at: str) -> Iterator[Fault]:
    yield from _condition_faults(step.condition, f"{at}.condition")
    too_deep = [Fault(*fault) for fault in json_values.faults(step.action_config, f"{at}.action_config")]
    if too_deep:
        yield from too_deep
        return
    try:
        parse_config(step.action_type, step.action_config)
    except ConfigError as error:
        unknown = len(error.errors) == 1 and "there is no action" in error.errors.get("", "")
        yield from faults_in_config(error, f"{at}.action_type" if unknown else f"{at}.action_config")


def _template_faults(steps: Sequence[StepBody]) -> Iterator[Fault]:
    named = [
        (index, CHANNEL_OF[step.action_type], step.action_config["template"])
        for index, step in enumerate(steps)
        if step.action_type in CHANNEL_OF and step.action_config.get("template")
    ]
    absent = missing_templates((channel, name) for _, channel, name in named)
    for index, channel, name in named:
        if (channel, name) in absent:
            yield Fault(f"steps[{index}].action_config.template", f"there is no {channel} template {name!r:.110}")


def _condition_faults(condition: Any, at: str) -> Iterator[Fault]:
    try:
        validate(condition)
    except ConditionError as error:
        yield Fault(json_values.join(at, error.path), error.message)


def _ordered(steps: Sequence[StepBody]) -> tuple[StepDocument, ...]:
    """The steps by `order`, where given. Orders that are whole and distinct are kept, else the steps are counted."""
    keys = _keys(steps)
    orders = [step.order if step.order is not None else index for index, step in enumerate(steps)]
    keep = len(set(orders)) == len(steps)
    sequence = sorted(range(len(steps)), key=lambda index: orders[index])
    return tuple(
        StepDocument(
            key=keys[index],
            name=steps[index].name.strip(),
            order=orders[index] if keep else number,
            action_type=steps[index].action_type,
            action_config=steps[index].action_config,
            delay_minutes=steps[index].delay_minutes,
            condition=steps[index].condition or None,
            on_failure=steps[index].on_failure,
            expires_after_minutes=steps[index].expires_after_minutes,
            is_active=steps[index].is_active,
        )
        for number, index in enumerate(sequence)
    )


def _keys(steps: Sequence[StepBody]) -> list[str]:
    """Each step's key: its own, else one made from its name and unlike all the others."""
    taken = {step.key for step in steps if step.key is not None}
    keys: list[str] = []
    for step in steps:
        key = step.key if step.key is not None else _free(slugify(step.name)[:90].strip("-_") or "step", taken)
        taken.add(key)
        keys.append(key)
    return keys


def _free(base: str, taken: set[str]) -> str:
    key, number = base, 1
    while key in taken:
        number += 1
        key = f"{base}-{number}"
    return key
