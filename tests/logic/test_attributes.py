import pytest

from journeys.logic.attributes import MAX_NUMBER, NotCountable, changed
from journeys.logic.effects import ChangeAttribute


def increment(name: str, by: float) -> ChangeAttribute:
    return ChangeAttribute(name, "increment", by)


def test_changes_are_made_in_order_and_leave_the_rest_and_the_original_alone() -> None:
    before = {"plan": "free", "trial": True, "points": 2}
    changes = [ChangeAttribute("plan", "set", "vip"), ChangeAttribute("trial", "unset"), increment("points", 3)]
    assert changed(before, changes) == {"plan": "vip", "points": 5}
    assert before == {"plan": "free", "trial": True, "points": 2}


def test_what_is_missing_counts_as_nothing() -> None:
    assert changed({}, [increment("points", 3), ChangeAttribute("gone", "unset")]) == {"points": 3}


@pytest.mark.parametrize(
    ("value", "by", "total"),
    [(0.1, 0.2, 0.3), (1, 0.5, 1.5), (1.5, 0.5, 2), (5, -7, -2), (10**15 - 1, 1, 10**15), (None, 2, 2)],
)
def test_numbers_are_added_as_people_write_them(value: float, by: float, total: float) -> None:
    after = changed({"n": value}, [increment("n", by)])["n"]
    assert (after, type(after)) == (total, type(total))


@pytest.mark.parametrize("value", ["5", True, [1], {}, MAX_NUMBER, float("1e300")])
def test_what_is_no_number_or_becomes_too_large_is_not_counted(value: object) -> None:
    with pytest.raises(NotCountable, match="the attribute n "):
        changed({"n": value}, [increment("n", 1)])
