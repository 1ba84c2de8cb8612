"""Journeys that start each other: without a wait on the way round, a person would be sent round for ever, at once."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

OWN, ZERO, LATER = "own", "zero", "later"
"""What may decide when the next step is due: its own delay, or what a `schedule_next` put in its place."""


class _Way(NamedTuple):
    """How a run may come to a place: perhaps at once, and with what of the next step's delay."""

    at_once: bool
    delays: frozenset[str] = frozenset({OWN})


def started_at_once(steps: Sequence[Mapping[str, Any]]) -> set[str]:
    """The ids of the journeys that a run may start before it has waited at all, by a definition's steps."""
    found: set[str] = set()
    _go(steps, _Way(True), found)
    return found


def circle(of: str, starts: Mapping[str, Collection[str]]) -> list[str]:
    """The shortest way from a journey back to itself, both ends included; empty where there is none."""
    ways = [[of]]
    seen: set[str] = set()
    for way in ways:  # It grows while it is walked.
        for target in sorted(starts.get(way[-1], ())):
            if target == of:
                return [*way, of]
            if target not in seen:
                seen.add(target)
                ways.append([*way, target])
    return []


def _go(steps: Sequence[Mapping[str, Any]], way: _Way, found: set[str]) -> _Way:
    for step in steps:
        if step["is_active"]:
            way = _through(step, way, found)
    return way


def _through(step: Mapping[str, Any], way: _Way, found: set[str]) -> _Way:
    """The way behind a step, by the fastest way through it."""
    is_due_at_once = ZERO in way.delays or (OWN in way.delays and not step["delay_minutes"])
    here = _Way(way.at_once and is_due_at_once)
    skipped = [here] if step["condition"] else []
    config = step["action_config"]
    match step["action_type"]:
        case "start_journey" if here.at_once:
            found.add(config["journey"])
        case "schedule_next":
            return _either([_Way(here.at_once, frozenset({_scheduled(config)})), *skipped])
        case "exit_journey":
            return _either(skipped)
        case "wait_for_event":
            return _either([_go(lane["steps"], _Way(False), found) for lane in step["lanes"]] + skipped)
        case "branch" | "ab_split":
            lanes = [_go(lane["steps"], here, found) for lane in step["lanes"]]
            past = [here] if step["action_type"] == "branch" and step["lanes"][-1].get("condition") else []
            return _either([*lanes, *past, *skipped])
    return here


def _scheduled(config: Mapping[str, Any]) -> str:
    if config.get("at") is not None:
        return LATER
    minutes = config.get("delay_minutes")
    return OWN if minutes is None else LATER if minutes else ZERO


def _either(ways: Sequence[_Way]) -> _Way:
    fast = [way for way in ways if way.at_once]
    return _Way(bool(fast), frozenset(delay for way in fast or ways for delay in way.delays) or frozenset({OWN}))
