"""Conditions in plain English, for people who read no JSON."""

import json
from typing import Any

from journeys.logic.event_counts import COMPARISONS
from journeys.logic.operators import OPERATORS

MAX_LISTED = 5


def describe(condition: Any) -> str:
    """A valid condition as a phrase that can follow "if": `plan is "gold" and the contact's age is 30`."""
    return _phrase(condition) if condition else "always"


def _phrase(condition: dict[str, Any]) -> str:
    match condition:
        case {"all": parts}:
            return " and ".join(_part(part, alone=len(parts) == 1) for part in parts)
        case {"any": parts}:
            return " or ".join(_part(part, alone=len(parts) == 1) for part in parts)
        case {"not": part}:
            return f"it is not the case that {_part(part, alone=False)}"
        case {"did": _}:
            return _count(condition)
    return _comparison(condition["field"], condition["op"], condition.get("value", True))


def _count(count: dict[str, Any]) -> str:
    value, within, where = int(count["value"]), count.get("within_days"), count.get("where")
    times = "once" if value == 1 else f"{value:,} times"
    often = f"has done {_value(count['did'])} {COMPARISONS[count['op']]} {times}"
    if count["op"] == "eq" and value == 0:
        often = f"has never done {_value(count['did'])}"
    lately = f" in the last {_value(within)} {'day' if within == 1 else 'days'}" if within else ""
    return f"{often}{lately}" + (f" (counting only those of which {_phrase(where)})" if where else "")


def _part(part: dict[str, Any], *, alone: bool) -> str:
    is_group = len(part.get("all", part.get("any", []))) > 1
    return f"({_phrase(part)})" if is_group and not alone else _phrase(part)


def _comparison(field: str, op: str, value: Any) -> str:
    if field == "segments":
        return f"the contact is {'not ' if op == 'not_contains' else ''}in the segment {_value(value)}"
    name = _field_name(field)
    match op:
        case "exists":
            return f"{name} has {'a' if value else 'no'} value"
        case "within_days":
            return f"{name} is within {_value(value)} {'day' if value == 1 else 'days'} of now"
        case "in" | "not_in":
            return f"{name} {OPERATORS[op].label} {_listing(value)}"
    return f"{name} {OPERATORS[op].label} {_value(value)}"


def _field_name(field: str) -> str:
    if field in ("tags", "user.tags"):
        return "the contact's tag list"
    for prefix, owner in (("user.attributes.", "contact"), ("user.", "contact"), ("event.", "event")):
        if field.startswith(prefix):
            return f"the {owner}'s {_readable(field.removeprefix(prefix))}"
    return _readable(field)


def _readable(path: str) -> str:
    return path.replace("_", " ").replace(".", " → ")


def _listing(values: list[Any]) -> str:
    shown = [_value(value) for value in values[:MAX_LISTED]]
    more = len(values) - len(shown)
    last = f"{more} more" if more else shown.pop()
    return f"{', '.join(shown)} or {last}" if shown else last


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
