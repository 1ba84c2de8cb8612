"""Waiting for an event: received if and only if one came between the entry and the deadline, in whatever order."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from journeys.authoring.document import export, parse
from journeys.authoring.publish import save_journey, set_active
from journeys.engine import claim as claim_module
from journeys.engine.cycle import work
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Event, Journey, RunStatus, StepExecution, UserJourney
from tests.engine.test_cycle import tag, tags_of, work_at
from tests.factories import make_contact, make_journey

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = 60 * MINUTE

pytestmark = pytest.mark.django_db


def wait(name: str = "Opened?", *, delay_minutes: int = 0, **config: Any) -> dict[str, Any]:
    lanes = [{"name": "received", "steps": [tag("engaged")]}, {"name": "timed out", "steps": [tag("cold")]}]
    return {
        "name": name,
        "action_type": "wait_for_event",
        "action_config": {"event": "email_opened", "timeout_minutes": 60, **config},
        "delay_minutes": delay_minutes,
        "lanes": lanes,
    }


def start(*steps: dict[str, Any], at: datetime = NOW, **config: Any) -> Journey:
    journey = make_journey("Wait", [*steps, wait(**config), tag("after")], now=NOW)
    ingest([Incoming("u1", "signup", {"campaign": "spring"}, "m1")], at)
    work_at(at)
    return journey


def report(at: datetime, name: str = "email_opened", **properties: Any) -> bool:
    (answer,) = ingest([Incoming("u1", name, properties)], at)
    return answer.woke


def run() -> UserJourney:
    return UserJourney.objects.get()


def test_a_run_waits_for_the_event_until_its_deadline():
    start()
    found = run()
    assert (found.status, found.awaits_event, found.due_at) == (RunStatus.ACTIVE, "email_opened", NOW + HOUR)
    assert StepExecution.objects.get().status == "pending"
    assert tags_of() == set()


def test_the_event_wakes_who_waits_for_it():
    start()
    assert report(NOW + MINUTE)
    assert run().due_at == NOW + MINUTE
    work_at(NOW + MINUTE)
    assert tags_of() == {"engaged", "after"}
    assert (run().status, run().awaits_event) == (RunStatus.COMPLETED, None)
    assert StepExecution.objects.get(step__name="Opened?").result["lane"] == "received"


def test_without_the_event_the_run_goes_on_when_the_time_is_over():
    start()
    assert work_at(NOW + HOUR - MINUTE) == 0
    work_at(NOW + HOUR)
    assert tags_of() == {"cold", "after"}


def test_another_event_wakes_nobody():
    start()
    assert not report(NOW + MINUTE, "email_bounced")
    assert run().due_at == NOW + HOUR


def test_only_the_contact_that_waits_is_woken():
    start()
    (answer,) = ingest([Incoming("u2", "email_opened")], NOW + MINUTE)
    assert not answer.woke
    assert run().due_at == NOW + HOUR


@pytest.mark.parametrize(("minutes", "tags"), [(60, {"engaged", "after"}), (61, {"cold", "after"})])
def test_what_came_in_time_counts_however_late_it_is_looked_at(minutes, tags):
    start()
    report(NOW + minutes * MINUTE)
    work_at(NOW + 5 * HOUR)
    assert tags_of() == tags


def test_what_came_before_the_step_does_not_count():
    start(delay_minutes=10)
    assert not report(NOW + MINUTE)
    work_at(NOW + 10 * MINUTE)
    work_at(NOW + 2 * HOUR)
    assert tags_of() == {"cold", "after"}


def test_since_the_journeys_start_what_came_before_the_step_counts_too():
    start(delay_minutes=10, since="journey_start")
    report(NOW + MINUTE)
    work_at(NOW + 10 * MINUTE)
    assert tags_of() == {"engaged", "after"}


def test_the_event_that_started_the_journey_is_not_the_one_that_it_waits_for():
    start(event="signup", since="journey_start")
    assert run().awaits_event == "signup"
    work_at(NOW + HOUR)
    assert tags_of() == {"cold", "after"}


def test_a_condition_looks_at_the_event_that_came_and_the_run():
    condition = {"all": [{"field": "event.link", "op": "eq", "value": "offer"}, {"field": "campaign", "op": "exists"}]}
    start(condition=condition)
    for minutes in (1, 2):
        report(NOW + minutes * MINUTE, link="footer")
        work_at(NOW + minutes * MINUTE)
    assert (run().awaits_event, run().due_at) == ("email_opened", NOW + HOUR)
    report(NOW + 3 * MINUTE, link="offer")
    work_at(NOW + 3 * MINUTE)
    assert tags_of() == {"engaged", "after"}


def test_of_very_many_events_none_is_missed(monkeypatch):
    start(condition={"field": "event.number", "op": "eq", "value": 249})
    ingest([Incoming("u1", "email_opened", {"number": number}) for number in range(250)], NOW + MINUTE)
    work_at(NOW + 2 * MINUTE)
    assert tags_of() == {"engaged", "after"}


def test_an_event_that_came_by_the_clock_before_the_wait_but_after_it_in_truth_counts():
    start()
    report(NOW - MINUTE)  # Its producer's call was under way when the run began to wait.
    assert Event.objects.get(name="email_opened").received_at == NOW
    work_at(NOW + MINUTE)
    assert tags_of() == {"engaged", "after"}


def test_a_parked_run_misses_nothing():
    journey = start()
    set_active(journey.pk, False, None, NOW + MINUTE)
    report(NOW + 2 * MINUTE)
    work_at(NOW + 3 * MINUTE)
    assert (run().due_at, run().parked_due_at) == (None, NOW + 2 * MINUTE)
    set_active(journey.pk, True, None, NOW + 4 * HOUR)
    work_at(NOW + 4 * HOUR)
    assert tags_of() == {"engaged", "after"}


def edit(journey: Journey, **config: Any) -> None:
    document = export(journey)
    document["steps"][0]["action_config"] |= config
    save_journey(journey.pk, parse(document), None, NOW + MINUTE)
    work_at(NOW + MINUTE)


def test_an_edited_time_out_counts_from_when_the_run_began_to_wait():
    edit(start(), timeout_minutes=30)
    assert run().due_at == NOW + 30 * MINUTE


def test_an_edited_event_counts_from_the_edit_on():
    journey = start()
    report(NOW, "email_clicked")
    edit(journey, event="email_clicked")
    assert (run().awaits_event, run().due_at) == ("email_clicked", NOW + HOUR)
    report(NOW + 2 * MINUTE, "email_clicked")
    work_at(NOW + 2 * MINUTE)
    assert tags_of() == {"engaged", "after"}


def test_a_wait_that_was_removed_lets_its_people_go_on():
    journey = start()
    document = export(journey)
    del document["steps"][0]
    save_journey(journey.pk, parse(document), None, NOW + MINUTE)
    work_at(NOW + MINUTE)
    assert (run().status, run().awaits_event, tags_of()) == (RunStatus.COMPLETED, None, {"after"})
    assert StepExecution.objects.get(step__key="opened").result == {"reason": "the step was removed"}


def test_a_wait_that_is_late_is_not_stale():
    document_step = wait() | {"expires_after_minutes": 5}
    make_journey("Wait", [document_step], now=NOW)
    ingest([Incoming("u1", "signup")], NOW)
    work_at(NOW)
    work_at(NOW + 3 * HOUR)
    assert tags_of() == {"cold"}


def test_lanes_that_a_document_leaves_out_are_empty():
    step = wait()
    step["lanes"] = [step["lanes"][1]]
    journey = make_journey("Wait", [step], now=NOW)
    assert [lane["name"] for lane in export(journey)["steps"][0]["lanes"]] == ["received", "timed out"]
    ingest([Incoming("u1", "signup")], NOW)
    work_at(NOW)
    report(NOW + MINUTE)
    work_at(NOW + MINUTE)
    assert (run().status, tags_of()) == (RunStatus.COMPLETED, set())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("look", ["claimed", "committed"])
def test_an_event_between_entering_the_step_and_committing_it_is_not_missed(monkeypatch, look):
    """Two connections: the event's transaction waits for the claim's, or begins while it commits."""
    make_contact("u1")
    make_journey("Wait", [wait()], now=NOW)
    ingest([Incoming("u1", "signup")], NOW)
    answers: list[bool] = []

    def other_connection() -> None:
        try:
            answers.append(report(NOW))
        finally:
            connection.close()

    other = threading.Thread(target=other_connection)
    write = claim_module.write_apart

    def written(*arguments: Any) -> Any:
        if look == "committed":
            transaction.on_commit(other.start)
            return write(*arguments)
        decisions = write(*arguments)
        other.start()
        other.join(0.5)  # It waits for our locks.
        assert other.is_alive()
        return decisions

    monkeypatch.setattr(claim_module, "write_apart", written)
    work(lambda: NOW, 500)
    monkeypatch.undo()
    other.join(10)
    assert answers == [True]
    work_at(NOW + MINUTE)
    assert tags_of() == {"engaged"}
