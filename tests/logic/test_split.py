"""The lanes of an A/B split: shares as the weights say, the same each time, and no more moves than needed."""

from collections import Counter

import pytest

from journeys.logic.split import choose

PEOPLE = [f"journey:split:{number}" for number in range(100_000)]


def lanes_of(weights: dict[str, int]) -> list[str]:
    return [choose(weights, who) for who in PEOPLE]


@pytest.mark.parametrize("weights", [{"A": 50, "B": 50}, {"A": 10, "B": 90}, {"A": 1, "B": 2, "C": 7}])
def test_a_hundred_thousand_people_fall_within_one_percent_of_the_weights(weights):
    found = Counter(lanes_of(weights))
    for name, weight in weights.items():
        assert abs(found[name] / len(PEOPLE) - weight / sum(weights.values())) < 0.01


def test_the_same_person_always_gets_the_same_lane_whatever_the_order_of_lanes():
    assert lanes_of({"A": 30, "B": 70})[:1000] == [choose({"B": 70, "A": 30}, who) for who in PEOPLE[:1000]]


def test_changing_a_weight_moves_people_only_to_that_lane_and_as_few_as_it_must():
    before, after = lanes_of({"A": 50, "B": 25, "C": 25}), lanes_of({"A": 50, "B": 25, "C": 50})
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert {new for _, new in moved} == {"C"}
    assert abs(len(moved) / len(PEOPLE) - (50 / 125 - 25 / 100)) < 0.01


def test_a_lane_of_weight_nought_gets_nobody():
    assert set(lanes_of({"A": 0, "B": 1})[:1000]) == {"B"}


def test_a_split_in_which_no_lane_has_a_weight_is_an_error():
    with pytest.raises(ValueError, match="no lane has a weight"):
        choose({"A": 0}, "anybody")
