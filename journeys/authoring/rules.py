"""Who enters a journey, and when they leave: the part of a document that is about the journey as a whole."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from journeys.authoring.bodies import JourneyBody
from journeys.authoring.faults import Fault, condition_faults
from journeys.logic.entry import AFTER_DAYS, ONCE
from journeys.models import Journey

DEFAULTS: Final[Mapping[str, Any]] = {
    "reentry": ONCE,
    "reentry_days": None,
    "exit_condition": None,
    "exit_on": [],
    "goal": None,
    "holdout_percent": 0,
}
"""The fields, and what each is where a document says nothing of it."""


def rules_in(written: JourneyBody) -> dict[str, Any]:
    """The fields of a valid body, as they are stored. An empty condition is none."""
    return {name: _plain(getattr(written, name)) for name in DEFAULTS}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, BaseModel):
        fields = value.model_dump()
        return {name: field for name, field in fields.items() if field or name != "condition"}
    return None if value == {} else value


def rules_of(journey: Journey) -> dict[str, Any]:
    """The fields of a draft, as a document has them."""
    return {name: getattr(journey, name) for name in DEFAULTS}


def faults_of_rules(written: JourneyBody) -> Iterator[Fault]:
    """What is wrong with the fields beyond their shape."""
    by_days = written.reentry == AFTER_DAYS
    if by_days and written.reentry_days is None:
        yield Fault("reentry_days", "is missing: after how many days they may enter again")
    if not by_days and written.reentry_days is not None:
        yield Fault("reentry_days", "must be absent: it only goes with the reentry 'after_days'")
    for path, condition in _conditions(written):
        yield from condition_faults(condition, path)


def _conditions(written: JourneyBody) -> Iterator[tuple[str, Any]]:
    """Each condition with its path."""
    yield "exit_condition", written.exit_condition
    for number, signal in enumerate(written.exit_on):
        yield f"exit_on[{number}].condition", signal.condition
    if written.goal is not None:
        yield "goal.condition", written.goal.condition
