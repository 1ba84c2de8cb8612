"""What makes somebody leave a journey before its end, and what the journey is for: its goal."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from journeys.logic.conditions import Predicate
from journeys.logic.conditions import compile as compile_condition
from journeys.logic.facts import Facts

EXIT_CONDITION, GOAL_REACHED = "exit condition", "goal reached"
MAX_REASON = 100


@dataclass(frozen=True, slots=True)
class Signal:
    """An event of that name of which the condition holds."""

    event: str
    holds: Predicate

    def is_in(self, name: str, facts: Facts) -> bool:
        """Whether an event is one; `facts` are about it."""
        return name == self.event and self.holds(facts)


@dataclass(frozen=True, slots=True)
class Exits:
    """`condition` makes somebody leave who is about to take a step, an event of `signals` whoever is inside."""

    condition: Predicate | None = None
    signals: tuple[Signal, ...] = ()

    def reason(self, name: str, facts: Facts) -> str | None:
        """Why an event makes people leave; None for one that doesn't."""
        return f"event {name}"[:MAX_REASON] if any(signal.is_in(name, facts) for signal in self.signals) else None


@dataclass(frozen=True, slots=True)
class Goal:
    """An event that is to come within a time from a run's start. With `exits`, who reached it leaves."""

    signal: Signal
    within: timedelta
    exits: bool

    def is_open(self, started_at: datetime, now: datetime) -> bool:
        return now <= started_at + self.within


def compile_exits(definition: Mapping[str, Any]) -> Exits:
    """The exits of a definition; versions of earlier releases say nothing of them."""
    condition = definition.get("exit_condition")
    return Exits(
        compile_condition(condition) if condition else None,
        tuple(map(_signal, definition.get("exit_on", ()))),
    )


def compile_goal(definition: Mapping[str, Any]) -> Goal | None:
    """The goal of a definition, if it has one."""
    raw = definition.get("goal")
    return Goal(_signal(raw), timedelta(days=raw["within_days"]), raw["exit_on_goal"]) if raw else None


def signals_in(definition: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The events that concern those inside, as they are written: each has `event`, and perhaps `condition`."""
    yield from definition.get("exit_on", ())
    if goal := definition.get("goal"):
        yield goal


def _signal(raw: Mapping[str, Any]) -> Signal:
    return Signal(raw["event"], compile_condition(raw.get("condition")))
