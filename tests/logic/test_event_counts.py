"""What a segment's condition may say, and how its faults are named."""

from typing import Any

import pytest

from journeys.logic.condition_values import ConditionError
from journeys.logic.conditions import validate
from journeys.logic.event_counts import counts_events, validate_counting, validate_segment

COUNT: dict[str, Any] = {"did": "purchase", "op": "gte", "value": 3}
GOLD = {"field": "plan", "op": "eq", "value": "gold"}


@pytest.mark.parametrize(
    "condition",
    [
        None,
        {},
        COUNT,
        {**COUNT, "value": 0},
        {**COUNT, "value": 3.0},
        {**COUNT, "within_days": 0.5, "where": {"not": {"field": "event.amount", "op": "gt", "value": 9}}},
        {"all": [GOLD, {"not": COUNT}, {"any": [COUNT, GOLD]}]},
    ],
)
def test_a_segment_may_say_it(condition: Any) -> None:
    validate_segment(condition)


@pytest.mark.parametrize(
    ("condition", "path", "message"),
    [
        ({"did": ""}, "did", "the name of an event"),
        ({"did": "x", "op": "gte"}, "value", "is missing"),
        ({"did": "x", "value": 1}, "op", "is missing"),
        ({**COUNT, "op": "contains"}, "op", "must be one of"),
        ({**COUNT, "op": []}, "op", "must be one of"),
        ({**COUNT, "value": -1}, "value", "whole number"),
        ({**COUNT, "value": 1.5}, "value", "whole number"),
        ({**COUNT, "value": float("nan")}, "value", "whole number"),
        ({**COUNT, "value": True}, "value", "whole number"),
        ({**COUNT, "value": "3"}, "value", "whole number"),
        ({**COUNT, "within_days": 0}, "within_days", "days above 0"),
        ({**COUNT, "within": 3}, "within", "is unknown here"),
        ({"all": [GOLD, {**COUNT, "where": {"field": "amount"}}]}, "all[1].where.op", "is missing"),
        ({**COUNT, "where": {"all": [COUNT]}}, "where.all[0].did", "inside another count"),
        ({**COUNT, "where": {"field": "tags", "op": "exists"}}, "where.field", "looks at the contact"),
        ({"field": "event.name", "op": "exists"}, "field", "a segment has none"),
        ({"all": [COUNT] * 21}, "all[20]", "more than 20 times"),
    ],
)
def test_a_fault_is_named_with_its_place(condition: Any, path: str, message: str) -> None:
    with pytest.raises(ConditionError, match=message) as refused:
        validate_segment(condition)
    assert refused.value.path == path


def test_conditions_of_a_run_count_nothing() -> None:
    with pytest.raises(ConditionError, match="only a segment can") as refused:
        validate({"all": [GOLD, COUNT]})
    assert refused.value.path == "all[1].did"


def test_it_is_known_who_counts() -> None:
    assert counts_events({"all": [GOLD, {"not": COUNT}]})
    assert not counts_events({"all": [GOLD]})
    validate_counting({"field": "event.name", "op": "exists"})
