from typing import Any

import pytest
from hypothesis import given

from journeys.logic.condition_words import describe
from tests.logic.condition_strategies import conditions

GOLD = {"field": "plan", "op": "eq", "value": "gold"}
FRENCH = {"field": "user.locale", "op": "starts_with", "value": "fr"}
VIP = {"field": "tags", "op": "not_contains", "value": "vip"}


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (None, "always"),
        ({}, "always"),
        (GOLD, 'plan is "gold"'),
        ({"all": [GOLD, FRENCH]}, 'plan is "gold" and the contact\'s locale starts with "fr"'),
        (
            {"any": [GOLD, {"all": [VIP, FRENCH]}]},
            'plan is "gold" or (the contact\'s tag list does not contain "vip" '
            'and the contact\'s locale starts with "fr")',
        ),
        ({"did": "email opened", "op": "eq", "value": 0}, 'has never done "email opened"'),
        (
            {"did": "buy", "op": "gte", "value": 3, "within_days": 30, "where": GOLD},
            'has done "buy" at least 3 times in the last 30 days (counting only those of which plan is "gold")',
        ),
        ({"not": GOLD}, 'it is not the case that plan is "gold"'),
        (
            {"not": {"any": [GOLD, VIP]}},
            'it is not the case that (plan is "gold" or the contact\'s tag list does not contain "vip")',
        ),
        ({"all": [{"any": [GOLD, GOLD]}]}, 'plan is "gold" or plan is "gold"'),
        ({"field": "user.last_event_at", "op": "exists"}, "the contact's last event at has a value"),
        ({"field": "a.b", "op": "exists", "value": False}, "a → b has no value"),
        ({"field": "event.amount", "op": "gte", "value": 9.5}, "the event's amount is at least 9.5"),
        ({"field": "user.attributes.vip", "op": "eq", "value": True}, "the contact's vip is true"),
        ({"field": "ends", "op": "within_days", "value": 1}, "ends is within 1 day of now"),
        ({"field": "ends", "op": "within_days", "value": 7}, "ends is within 7 days of now"),
        ({"field": "n", "op": "in", "value": [1]}, "n is one of 1"),
        ({"field": "n", "op": "in", "value": [1, 2, 3]}, "n is one of 1, 2 or 3"),
        ({"field": "n", "op": "not_in", "value": list(range(9))}, "n is none of 0, 1, 2, 3, 4 or 4 more"),
    ],
)
def test_a_condition_reads_as_english(condition: Any, words: str) -> None:
    assert describe(condition) == words


@given(conditions)
def test_every_condition_has_words(condition: Any) -> None:
    assert describe(condition)
