"""Conditions of segments: those that contacts have, and leaves that count what somebody did.

`{"did": "purchase", "op": "gte", "value": 3, "within_days": 30, "where": {"field": "amount", "op": "gt", "value": 9}}`:
at least three such events in the last thirty days; "never" is `eq` 0. Only PostgreSQL can count
(journeys.models.event_counts), so a run's conditions have none of these.
"""

from collections.abc import Mapping
from typing import Any

from journeys.logic.condition_values import CHECKS, ConditionError, fault_in_text
from journeys.logic.conditions import refuse_unknown_keys, validate_leaf, validate_with
from journeys.logic.json_values import join

COMPARISONS = {
    "gte": "at least",
    "lte": "at most",
    "eq": "exactly",
    "gt": "more than",
    "lt": "less than",
    "ne": "not exactly",
}
"""What a count may be asked, and how that is said."""
MAX_TIMES = 1_000_000
MAX_COUNTS = 20
MAX_NAME_LENGTH = 200


def validate_segment(condition: Any) -> None:
    """Raise ConditionError unless a segment can have this condition; None and `{}` are everybody."""
    validate_counting(condition)
    validate_with(condition, _of_contacts)


def validate_counting(condition: Any) -> None:
    """The same, but for what a segment has no use for and a set can yet be asked: `event.*`, which it lacks."""
    counts = 0

    def leaf(node: dict[Any, Any], path: str) -> None:
        nonlocal counts
        if "did" not in node:
            validate_leaf(node, path)
            return
        counts += 1
        if counts > MAX_COUNTS:
            raise ConditionError(path, f"the condition counts more than {MAX_COUNTS} times")
        _count(node, path)

    validate_with(condition, leaf)


def counts_events(condition: Any) -> bool:
    """Whether any part of a valid condition does."""
    match condition:
        case {"all": parts} | {"any": parts}:
            return any(map(counts_events, parts))
        case {"not": part}:
            return counts_events(part)
        case {"did": _}:
            return True
    return False


def _of_contacts(leaf: Mapping[str, Any], path: str) -> None:
    if leaf.get("field") == "segments":
        raise ConditionError(join(path, "field"), "names a segment inside a segment: say here what that one says")
    if str(leaf.get("field", "")).startswith("event."):
        raise ConditionError(join(path, "field"), "looks at an event, and a segment has none: count them with did")


def _count(node: dict[Any, Any], path: str) -> None:
    refuse_unknown_keys(node, {"did", "op", "value", "within_days", "where"}, path)
    _event_name(node["did"], join(path, "did"))
    for name in ("op", "value"):
        if name not in node:
            raise ConditionError(join(path, name), "is missing")
    if not isinstance(node["op"], str) or node["op"] not in COMPARISONS:
        raise ConditionError(join(path, "op"), f"must be one of {', '.join(COMPARISONS)}, not {node['op']!r:.50}")
    _times(node["value"], join(path, "value"))
    if "within_days" in node:
        CHECKS["days"](node["within_days"], join(path, "within_days"))
    if "where" in node:
        validate_with(node["where"], _of_event, join(path, "where"))


def _event_name(name: Any, path: str) -> None:
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME_LENGTH:
        raise ConditionError(path, f"must be the name of an event, of 1 to {MAX_NAME_LENGTH} characters")
    if fault := fault_in_text(name):
        raise ConditionError(path, fault)


def _times(value: Any, path: str) -> None:
    is_whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
    if not is_whole or not 0 <= value <= MAX_TIMES:
        raise ConditionError(path, f"must be a whole number of times from 0 to {MAX_TIMES}")


def _of_event(leaf: dict[Any, Any], path: str) -> None:
    if "did" in leaf:
        raise ConditionError(join(path, "did"), "stands inside another count: say it beside that one")
    validate_leaf(leaf, path)
    if leaf["field"].split(".")[0] in ("user", "tags", "segments"):
        raise ConditionError(join(path, "field"), "looks at the contact, and this is about the event: say it beside it")
