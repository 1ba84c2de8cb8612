"""How often somebody may enter a journey."""

from datetime import UTC, datetime

from journeys.logic.entry import EVER, Entrance, compile_entrance

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


def test_once_is_for_ever_and_its_runs_have_one_key():
    once = Entrance()
    assert (once.shut_since(NOW), once.key("event:m1")) == (EVER, "")


def test_after_finish_asks_for_nothing_but_that_the_earlier_run_is_over():
    again = Entrance("after_finish")
    assert (again.shut_since(NOW), again.key("event:m1")) == (None, "event:m1")


def test_after_days_counts_from_the_last_start():
    assert Entrance("after_days", 30).shut_since(NOW) == datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_definition_of_an_earlier_release_lets_people_in_once():
    assert compile_entrance({}) == Entrance("once")
    assert compile_entrance({"reentry": "after_days", "reentry_days": 7}) == Entrance("after_days", 7)
