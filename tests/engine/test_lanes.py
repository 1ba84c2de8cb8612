"""Flow steps: which lane a run takes, where it goes on behind it, and what edits do to those inside."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from journeys.authoring.document import export, in_order, parse
from journeys.authoring.publish import save_journey
from journeys.engine.ingest import Incoming, ingest
from journeys.metrics import counted
from journeys.models import Journey, RunStatus, StepExecution, UserJourney, What
from tests.engine.test_cycle import tag, tags_of, work_at
from tests.factories import make_contact, make_journey

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
VIP = {"field": "plan", "op": "eq", "value": "vip"}
GOLD = {"field": "plan", "op": "eq", "value": "gold"}

pytestmark = pytest.mark.django_db


def branch(name: str, *lanes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": name, "action_type": "branch", "lanes": list(lanes), **fields}


def lane(name: str, *steps: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {"name": name, "steps": list(steps), **settings}


def start(user_id: str = "u1", **attributes: Any) -> None:
    make_contact(user_id, now=NOW, attributes=attributes)
    ingest([Incoming(user_id, "signup")], NOW)


def plans() -> dict[str, Any]:
    return branch(
        "Which plan?",
        lane("vip", tag("vip-1"), tag("vip-2"), condition=VIP),
        lane("gold", tag("gold"), condition=GOLD),
        lane("others", tag("other")),
    )


@pytest.mark.parametrize(
    ("plan", "tags"), [("vip", {"vip-1", "vip-2"}), ("gold", {"gold"}), ("free", {"other"}), (None, {"other"})]
)
def test_a_branch_takes_the_first_lane_that_holds_and_goes_on_behind_it(plan, tags):
    make_journey("Plans", [tag("before"), plans(), tag("after")], now=NOW)
    start(**({"plan": plan} if plan else {}))
    work_at(NOW)
    assert tags_of() == tags | {"before", "after"}
    assert UserJourney.objects.get().status == RunStatus.COMPLETED


def test_the_execution_of_a_branch_says_which_lane_was_taken():
    make_journey("Plans", [plans()], now=NOW)
    start(plan="gold")
    work_at(NOW)
    assert StepExecution.objects.get(step__name="Which plan?").result == {"lane": "gold"}


def test_where_no_lane_holds_the_run_goes_on_behind_the_branch():
    make_journey("Plans", [branch("Vip?", lane("yes", tag("vip"), condition=VIP)), tag("after")], now=NOW)
    start()
    work_at(NOW)
    assert tags_of() == {"after"}
    assert StepExecution.objects.get(step__name="Vip?").result["reason"] == "no lane's condition holds"


def test_an_empty_lane_leads_behind_the_branch():
    make_journey("Plans", [branch("Vip?", lane("yes", condition=VIP), lane("no", tag("no"))), tag("after")], now=NOW)
    start(plan="vip")
    work_at(NOW)
    assert tags_of() == {"after"}


def test_a_branch_whose_own_condition_does_not_hold_is_skipped_with_its_lanes():
    make_journey("Plans", [plans() | {"condition": {"field": "country", "op": "eq", "value": "DE"}}], now=NOW)
    start(plan="vip")
    work_at(NOW)
    assert tags_of() == set()
    assert [e.status for e in StepExecution.objects.all()] == ["skipped"]


def test_lanes_see_what_steps_before_them_did():
    seen = {"field": "tags", "op": "contains", "value": "before"}
    make_journey("Tags", [tag("before"), branch("Seen?", lane("yes", tag("yes"), condition=seen))], now=NOW)
    start()
    work_at(NOW)
    assert tags_of() == {"before", "yes"}


def test_delays_in_and_behind_a_lane_count_from_the_step_before():
    steps = [branch("All", lane("all", tag("a", delay_minutes=10))), tag("after", delay_minutes=5)]
    make_journey("Slow", steps, now=NOW)
    start()
    work_at(NOW)
    assert UserJourney.objects.get().due_at == NOW + timedelta(minutes=10)
    work_at(NOW + timedelta(minutes=10))
    assert (tags_of(), UserJourney.objects.get().due_at) == ({"a"}, NOW + timedelta(minutes=15))


def test_lanes_nest_ten_deep_and_no_deeper():
    def nested(depth: int) -> dict[str, Any]:
        inner = nested(depth - 1) if depth else tag("deep")
        return branch(f"Level {depth}", lane("in", inner)) if depth else inner

    make_journey("Deep", [nested(10), tag("after")], now=NOW)
    start()
    work_at(NOW)
    assert tags_of() == {"deep", "after"}
    with pytest.raises(ValueError, match="nested more than 10 deep"):
        make_journey("Too deep", [nested(11)], now=NOW)


def test_a_split_shares_people_out_and_gives_the_same_person_the_same_lane():
    split = {
        "name": "Test",
        "action_type": "ab_split",
        "lanes": [lane("A", tag("a"), weight=1), lane("B", tag("b"), weight=3)],
    }
    make_journey("Split", [split], now=NOW)
    ingest([Incoming(f"u{number}", "signup") for number in range(400)], NOW)
    work_at(NOW)
    found = Counter(StepExecution.objects.filter(step__name="Test").values_list("result__lane", flat=True))
    assert found.total() == 400
    assert 60 < found["A"] < 140


def test_exit_ends_the_run_with_its_reason_and_counts_it():
    steps = [
        branch("Vip?", lane("yes", {"name": "Enough", "action_type": "exit_journey"}, condition=VIP)),
        tag("after"),
    ]
    make_journey("Exit", steps, now=NOW)
    start(plan="vip")
    start("u2")
    work_at(NOW)
    run = UserJourney.objects.get(contact__user_id="u1")
    assert (run.status, run.exit_reason, run.exited_at) == (RunStatus.EXITED, "Enough", NOW)
    assert (tags_of("u1"), tags_of("u2")) == (set(), {"after"})
    assert sum(counted(What.EXITED, steps=False).values()) == 1


def edit(*steps: dict[str, Any]) -> None:
    journey = Journey.objects.get()
    save_journey(journey.id, parse({**export(journey), "steps": list(steps)}), None, NOW)


def waiting_in_a_lane() -> None:
    inside = lane("vip", tag("first"), tag("second", delay_minutes=60), condition=VIP)
    make_journey("Plans", [branch("Vip?", inside), tag("after")], now=NOW)
    start(plan="vip")
    work_at(NOW)
    assert tags_of() == {"first"}


def test_who_waits_in_a_lane_that_is_removed_goes_on_behind_the_branch():
    waiting_in_a_lane()
    edit(tag("after"))
    work_at(NOW)
    assert tags_of() == {"first", "after"}


def test_who_waits_at_a_step_that_moves_out_of_its_lane_goes_on_at_it():
    waiting_in_a_lane()
    edit(branch("Vip?", lane("vip", tag("first"), condition=VIP)), tag("second", delay_minutes=30), tag("after"))
    work_at(NOW + timedelta(minutes=30))
    assert tags_of() == {"first", "second", "after"}


def test_a_renamed_lane_keeps_the_people_inside():
    waiting_in_a_lane()
    edit(
        branch("Vip?", lane("very important", tag("first"), tag("second", delay_minutes=60), condition=VIP)),
        tag("after"),
    )
    work_at(NOW + timedelta(minutes=60))
    assert tags_of() == {"first", "second", "after"}


def test_a_branch_that_is_switched_off_takes_its_lanes_with_it():
    waiting_in_a_lane()
    inside = lane("vip", tag("first"), tag("second", delay_minutes=60), condition=VIP)
    edit(branch("Vip?", inside, is_active=False), tag("after"))
    work_at(NOW)
    assert tags_of() == {"first", "after"}


def test_the_draft_comes_back_as_it_was_written():
    make_journey("Plans", [tag("before"), plans(), tag("after")], now=NOW)
    document = export(Journey.objects.get())
    names = [[step["name"] for step in one["steps"]] for one in document["steps"][1]["lanes"]]
    assert names == [["Tag vip-1", "Tag vip-2"], ["Tag gold"], ["Tag other"]]
    before = Journey.objects.get().live_version_id
    edit(*document["steps"])
    assert Journey.objects.get().live_version_id == before


def test_what_happened_in_one_moment_is_read_in_the_journeys_order():
    inner = {"name": "Inner", "action_type": "branch", "lanes": [{"name": "all", "steps": [tag("deep")]}]}
    outer = {"name": "Outer", "action_type": "branch", "lanes": [{"name": "all", "steps": [inner]}]}
    journey = make_journey("Nested", [tag("first"), outer, tag("last")], now=NOW)
    start()
    work_at(NOW)
    run = UserJourney.objects.get()
    names = [one.step.name for one in in_order(run.executions.select_related("step"), journey)]
    assert names == ["Tag first", "Outer", "Inner", "Tag deep", "Tag last"]
