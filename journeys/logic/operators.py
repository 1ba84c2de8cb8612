"""What each operator means for one value.

journeys.models.matching says the same in SQL, and a property test holds the two equal: whoever changes a
meaning here changes it there.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from journeys.logic.condition_values import canonical, comparable
from journeys.logic.instants import parse_instant

Test = Callable[[Any, datetime], bool]
"""A leaf's question to the value found (never MISSING) and the current time."""


@dataclass(frozen=True, slots=True)
class Operator:
    """`label` is for people; `takes` is the kind of value (a key of CHECKS), and so of form widget."""

    label: str
    takes: str
    build: Callable[[Any], Test]


def _equals(value: Any) -> Test:
    wanted = canonical(value)
    if isinstance(wanted, str):  # only the same string is equal to a string that is no date
        return lambda found, now: bool(found == wanted)
    return lambda found, now: canonical(found) == wanted


def _one_of(values: list[Any]) -> Test:
    wanted = frozenset(map(canonical, values))
    return lambda found, now: canonical(found) in wanted


def _contains(value: Any) -> Test:
    equals = _equals(value)

    def contains(found: Any, now: datetime) -> bool:
        if isinstance(found, list):
            return any(equals(element, now) for element in found)
        return isinstance(found, str) and isinstance(value, str) and value in found

    return contains


def _not_contains(value: Any) -> Test:
    contains = _contains(value)

    def lacks(found: Any, now: datetime) -> bool:
        searchable = isinstance(found, list) or (isinstance(found, str) and isinstance(value, str))
        return searchable and not contains(found, now)

    return lacks


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    def build(value: Any) -> Test:
        limit = comparable(value)

        def test(found: Any, now: datetime) -> bool:
            known = comparable(found)
            # An instant and a number have no order between them.
            same_kind = known is not None and isinstance(known, datetime) == isinstance(limit, datetime)
            return same_kind and compare(known, limit)

        return test

    return build


def _within_days(days: float) -> Test:
    reach = timedelta(days=days)

    def within(found: Any, now: datetime) -> bool:
        moment = parse_instant(found) if isinstance(found, str) else None
        return moment is not None and abs(moment - now) <= reach

    return within


def _negated(build: Callable[[Any], Test]) -> Callable[[Any], Test]:
    def opposite(value: Any) -> Test:
        test = build(value)
        return lambda found, now: not test(found, now)

    return opposite


def _text_test(compare: Callable[[str, str], bool]) -> Callable[[str], Test]:
    return lambda value: lambda found, now: isinstance(found, str) and compare(found, value)


OPERATORS: dict[str, Operator] = {
    "eq": Operator("is", "scalar", _equals),
    "ne": Operator("is not", "scalar", _negated(_equals)),
    "gt": Operator("is greater than", "comparable", _ordered(operator.gt)),
    "gte": Operator("is at least", "comparable", _ordered(operator.ge)),
    "lt": Operator("is less than", "comparable", _ordered(operator.lt)),
    "lte": Operator("is at most", "comparable", _ordered(operator.le)),
    "in": Operator("is one of", "list", _one_of),
    "not_in": Operator("is none of", "list", _negated(_one_of)),
    "contains": Operator("contains", "scalar", _contains),
    "not_contains": Operator("does not contain", "scalar", _not_contains),
    "starts_with": Operator("starts with", "text", _text_test(str.startswith)),
    "ends_with": Operator("ends with", "text", _text_test(str.endswith)),
    "exists": Operator("has a value", "flag", lambda value: lambda found, now: bool(value)),
    "within_days": Operator("is within days of now", "days", _within_days),
}
