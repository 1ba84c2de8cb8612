from decimal import Decimal
from typing import Any

import pytest

from journeys.actions.base import ConfigError
from journeys.actions.rewards import GrantReward
from journeys.logic import effects
from journeys.logic.effects import Prepared
from tests.actions.contexts import make_context

ACTION = GrantReward()


def test_a_reward_is_granted_and_says_how_much() -> None:
    config = ACTION.parse({"reward_type": "points", "value": 100})
    assert ACTION.prepare(config, make_context()) == Prepared(
        (effects.GrantReward("points", Decimal(100)),),
        result={"status": "granted", "reward_type": "points", "value": "100"},
    )


@pytest.mark.parametrize(
    ("value", "granted"),
    [
        (5, "5"),
        ("5", "5"),
        (" 2.50 ", "2.5"),
        (0.1, "0.1"),
        ("0.0001", "0.0001"),
        (1e3, "1000"),
        ("99999999999999.9999", "99999999999999.9999"),
    ],
)
def test_numbers_and_their_text_are_taken_exactly(value: Any, granted: str) -> None:
    config = ACTION.parse({"reward_type": "credit", "value": value})
    assert config.value == Decimal(granted)
    assert ACTION.prepare(config, make_context()).result["value"] == granted


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (0, "greater than 0"),
        (-1, "greater than 0"),
        ("-0.5", "greater than 0"),
        ("0.00001", "4 decimal places"),
        (10**14, "14 digits"),
        ("1e5", "a number"),
        ("1_000", "a number"),
        ("١٢", "a number"),
        ("", "a number"),
        ("9" * 5000, "a number"),
        (1e300, "14 digits"),
        (1e-300, "4 decimal places"),
        (float("nan"), "a number"),
        (float("inf"), "a number"),
        (True, "a number"),
        (None, "a number"),
        ([1], "a number"),
    ],
)
def test_what_is_no_amount_is_refused_by_its_field(value: Any, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ACTION.parse({"reward_type": "credit", "value": value})
    assert list(caught.value.errors) == ["value"]
    assert fault in caught.value.errors["value"]


def test_a_reward_needs_a_type() -> None:
    with pytest.raises(ConfigError) as caught:
        ACTION.parse({"reward_type": " ", "value": 1})
    assert list(caught.value.errors) == ["reward_type"]
