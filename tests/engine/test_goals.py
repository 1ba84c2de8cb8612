"""Goals: reached by an event in time, once a run; and who is held out, to compare with."""

import itertools
from datetime import timedelta
from typing import Any

import pytest

from journeys.analytics import journey_numbers
from journeys.authoring.publish import patch_journey
from journeys.engine.housekeeping import minute
from journeys.engine.ingest import Incoming, ingest
from journeys.logic.entry import is_held_out
from journeys.models import Journey, RunStatus, UserJourney
from tests.engine.test_cycle import tag, tags_of, work_at
from tests.factories import NOON, make_journey

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
GOAL = {"event": "order_placed", "within_days": 7}

pytestmark = pytest.mark.django_db


def begin(goal: dict[str, Any] | None = None, **rules: Any) -> Journey:
    journey = make_journey("Cart", [tag("a"), tag("b", delay_minutes=60)], goal=goal or GOAL, **rules)
    report("signup")
    work_at(NOON)
    return journey


def report(name: str, at: Any = NOON, who: str = "u1", **properties: Any) -> bool:
    return ingest([Incoming(who, name, properties)], at)[0].woke


def run() -> UserJourney:
    return UserJourney.objects.get()


def numbers(journey: Journey) -> tuple[int, int]:
    found = journey_numbers([journey.id])[journey.id]
    return found.started, found.converted


def test_who_reaches_the_goal_leaves_and_counts_once():
    journey = begin()
    assert report("order_placed", NOON + MINUTE)
    report("order_placed", NOON + 2 * MINUTE)
    work_at(NOON + 2 * MINUTE)
    found = run()
    assert (found.status, found.exit_reason, found.goal_at) == ("exited", "goal reached", NOON + MINUTE)
    assert (numbers(journey), tags_of()) == ((1, 1), {"a"})
    minute(NOON + DAY)
    assert numbers(journey) == (1, 1)


def test_who_need_not_leave_goes_on():
    journey = begin({**GOAL, "exit_on_goal": False})
    assert not report("order_placed", NOON + MINUTE)
    work_at(NOON + DAY)
    assert (run().status, run().goal_at, numbers(journey)) == ("completed", NOON + MINUTE, (1, 1))


def test_the_goal_is_reached_after_the_run_too_until_its_time_is_over():
    journey = begin()
    work_at(NOON + DAY)
    assert run().status == RunStatus.COMPLETED
    assert not report("order_placed", NOON + 7 * DAY)
    assert (run().status, run().goal_at, numbers(journey)) == ("completed", NOON + 7 * DAY, (1, 1))


def test_later_is_too_late():
    journey = begin()
    report("order_placed", NOON + 7 * DAY + timedelta(microseconds=1))
    assert (run().goal_at, numbers(journey)) == (None, (1, 0))


def test_the_event_that_starts_a_run_is_not_its_goal():
    journey = begin({"event": "signup", "within_days": 1})
    assert run().goal_at is None
    report("signup", NOON + MINUTE)
    assert numbers(journey) == (1, 1)


def test_only_an_event_of_which_the_condition_holds_is_the_goal():
    journey = begin({**GOAL, "condition": {"field": "event.sum", "op": "gt", "value": 10}})
    report("order_placed", sum=10)
    assert numbers(journey) == (1, 0)
    report("order_placed", sum=11)
    assert numbers(journey) == (1, 1)


def test_a_goal_that_is_an_exit_too_is_called_the_goal():
    begin(exit_on=[{"event": "order_placed"}])
    report("order_placed")
    assert run().leaves == "goal reached"


def test_an_edited_goal_counts_from_the_edit_with_its_time_from_the_start():
    journey = begin({"event": "demo_booked", "within_days": 1})
    work_at(NOON + DAY)
    report("order_placed", NOON + 2 * DAY)
    patch_journey(journey.id, {"goal": GOAL}, None, NOON + 3 * DAY)
    assert numbers(journey) == (1, 0)
    report("order_placed", NOON + 6 * DAY)
    assert numbers(journey) == (1, 1)


def test_each_run_has_its_goal():
    journey = begin(reentry="after_finish")
    work_at(NOON + DAY)
    report("signup", NOON + 2 * DAY)
    report("order_placed", NOON + 6 * DAY)
    assert numbers(journey) == (2, 2)


def crowd(journey: Journey, count: int = 40, at: Any = NOON, name: str = "signup") -> tuple[set[str], set[str]]:
    """Let people sign up: who entered, and who is held out."""
    people = [f"u{number}" for number in range(count)]
    ingest([Incoming(who, name) for who in people], at)
    runs = journey.runs.values_list("contact__user_id", "status")
    held = {who for who, status in runs if status == RunStatus.HELD_OUT}
    return {who for who, _ in runs} - held, held


def test_a_share_is_held_out_takes_no_step_and_is_measured():
    journey = make_journey("Cart", [tag("a")], goal=GOAL, holdout_percent=50)
    entered, held = crowd(journey)
    work_at(NOON)
    assert len(entered) + len(held) == 40 and 8 < len(held) < 32
    assert not any(tags_of(who) for who in held) and all(tags_of(who) for who in entered)
    for who in [*held][:3] + [*entered][:2]:
        report("order_placed", NOON + DAY, who)
    found = journey_numbers([journey.id])[journey.id]
    assert (found.started, found.converted) == (len(entered), 2)
    assert (found.held_out, found.held_out_converted) == (len(held), 3)
    assert found.started == found.inside + found.completed + found.failed + found.exited


def test_who_is_held_out_is_not_among_the_started_and_not_asked_again():
    journey = make_journey("Cart", [tag("a")], goal=GOAL, holdout_percent=50)
    _, held = crowd(journey)
    assert len(crowd(journey, at=NOON + DAY)[1]) == len(held)
    for who in held:
        assert ingest([Incoming(who, "signup")], NOON)[0].started == ()
    assert journey.runs.count() == 40


def test_where_people_may_come_again_who_is_held_out_is_counted_once_a_goals_time():
    journey = make_journey("Cart", [tag("a")], goal=GOAL, holdout_percent=50, reentry="after_finish")
    _, held = crowd(journey)
    who = min(held)
    ingest([Incoming(who, "signup"), Incoming(who, "signup")], NOON + DAY)
    assert journey.runs.filter(contact__user_id=who).count() == 1
    ingest([Incoming(who, "signup"), Incoming(who, "signup")], NOON + 8 * DAY)
    assert journey.runs.filter(contact__user_id=who).count() == 2


def test_a_greater_share_holds_out_the_same_and_some_more():
    people = [f"j:{number}" for number in range(20_000)]
    shares = [{who for who in people if is_held_out(percent, who)} for percent in (0, 5, 10, 50)]
    assert all(smaller <= greater for smaller, greater in itertools.pairwise(shares))
    assert [round(len(share) / 20_000, 2) for share in shares] == [0, 0.05, 0.10, 0.50]


def test_who_is_inside_when_the_share_grows_stays_inside():
    journey = make_journey("Cart", [tag("a", delay_minutes=5)], goal=GOAL, reentry="after_finish")
    entered, _ = crowd(journey)
    patch_journey(journey.id, {"holdout_percent": 50}, None, NOON)
    assert crowd(journey, at=NOON + MINUTE) == (entered, set())
    work_at(NOON + 5 * MINUTE)
    assert crowd(journey, at=NOON + 6 * MINUTE)[1]
