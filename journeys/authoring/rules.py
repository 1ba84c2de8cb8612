"""Who enters a journey, and when they leave: the part of a document that is about the journey as a whole."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from journeys.authoring.bodies import JourneyBody
from journeys.authoring.faults import Fault
from journeys.logic.entry import AFTER_DAYS, ONCE
from journeys.models import Journey

DEFAULTS: Final[Mapping[str, Any]] = {"reentry": ONCE, "reentry_days": None}
"""The fields, and what each is where a document says nothing of it."""


def rules_in(written: JourneyBody) -> dict[str, Any]:
    """The fields of a valid body, as they are stored."""
    return {name: getattr(written, name) for name in DEFAULTS}


def rules_of(journey: Journey) -> dict[str, Any]:
    """The fields of a draft, as a document has them."""
    return {name: getattr(journey, name) for name in DEFAULTS}


def said(journey: Journey) -> dict[str, Any]:
    """Those that are not as by default: only they are in a definition, so that a new one changes no journey's."""
    return {name: value for name, value in rules_of(journey).items() if value != DEFAULTS[name]}


def faults_of_rules(written: JourneyBody) -> Iterator[Fault]:
    """What is wrong with the fields beyond their shape."""
    by_days = written.reentry == AFTER_DAYS
    if by_days and written.reentry_days is None:
        yield Fault("reentry_days", "is missing: after how many days they may enter again")
    if not by_days and written.reentry_days is not None:
        yield Fault("reentry_days", "must be absent: it only goes with the reentry 'after_days'")
