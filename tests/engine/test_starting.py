"""Journeys that start journeys: once for each time that somebody comes to the step, and in its transaction."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from journeys.authoring.publish import delete_journey, patch_journey, set_active
from journeys.engine import replay, wake
from journeys.engine.claim import claim
from journeys.engine.cycle import execute, work
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Contact, Journey, JourneyStep, StepExecution, Tally, UserJourney
from tests.engine.test_cycle import NOW, start, statuses, tag, tags_of, work_at
from tests.factories import make_contact, make_journey

SECOND = timedelta(seconds=1)

pytestmark = pytest.mark.django_db


def go_to(journey: Journey, name: str = "Start", **metadata: str) -> dict[str, object]:
    config = {"journey": str(journey.id)} | ({"metadata": metadata} if metadata else {})
    return {"name": name, "action_type": "start_journey", "action_config": config}


def target(*steps: dict[str, object], **more: object) -> Journey:
    return make_journey("Target", list(steps or (tag("inside"),)), trigger_type="upgrade", now=NOW, **more)  # type: ignore[arg-type]


def result() -> dict[str, object]:
    found: dict[str, object] = StepExecution.objects.get(step__action_type="start_journey").result
    return found


def run_in(journey: Journey) -> UserJourney:
    return UserJourney.objects.get(journey=journey)


def test_the_contact_enters_the_other_journey_and_goes_on_in_this_one():
    other = target(tag("gold", condition={"field": "event.plan", "op": "eq", "value": "gold"}))
    make_journey("First", [go_to(other, plan="{{ event.plan }}"), tag("after")], now=NOW)
    run = start(plan="gold")
    work_at(NOW)
    assert statuses(run) == [("Start", "success"), ("Tag after", "success")]
    assert tags_of() == {"after", "gold"}
    assert result() == {"status": "started", "journey": "Target"}
    started = run_in(other)
    key = StepExecution.objects.get(step__name="Start").id
    assert (started.status, started.metadata, started.started_at) == ("completed", {"plan": "gold"}, NOW)
    assert (started.event["name"], started.event["message_id"]) == ("start_journey", f"step:{key}")
    assert Tally.objects.filter(journey_id=other.id, what="started").count() == 1


def test_its_own_trigger_and_condition_do_not_matter_and_its_first_delay_does():
    other = target(
        tag("late", delay_minutes=5), trigger_config={"condition": {"field": "plan", "op": "eq", "value": "vip"}}
    )
    make_journey("First", [go_to(other)], now=NOW)
    start()
    work_at(NOW)
    assert run_in(other).due_at == NOW + 5 * timedelta(minutes=1)


def test_who_is_in_it_or_was_is_not_started_again_and_the_step_says_so():
    other = target(tag("x", delay_minutes=60))
    make_journey("First", [go_to(other)], now=NOW)
    make_contact("u1")
    ingest([Incoming("u1", "upgrade"), Incoming("u1", "signup")], NOW)
    work_at(NOW)
    assert result() == {"status": "not started", "journey": "Target", "reason": "they are in it already"}
    work_at(NOW + timedelta(hours=1))
    make_journey("Second", [go_to(other, "Again")], trigger_type="downgrade", now=NOW)
    ingest([Incoming("u1", "downgrade")], NOW + timedelta(hours=2))
    work_at(NOW + timedelta(hours=2))
    assert StepExecution.objects.get(step__name="Again").result["reason"] == "they were in it before"
    assert UserJourney.objects.filter(journey=other).count() == 1


def test_one_that_is_switched_off_starts_nobody():
    other = target()
    make_journey("First", [go_to(other), tag("after")], now=NOW)
    set_active(other.id, False, None, NOW)
    start()
    work_at(NOW)
    assert result() == {"status": "not started", "journey": "Target", "reason": "it is switched off"}
    assert tags_of() == {"after"}


def test_two_runs_of_one_contact_in_one_batch_start_it_once():
    other = target(tag("x", delay_minutes=60))
    for number in range(2):
        make_journey(f"J{number}", [go_to(other)], now=NOW)
    ingest([Incoming("u1", "signup"), Incoming("u2", "signup")], NOW)
    assert len(claim(NOW, 10).decisions) == 4
    said = StepExecution.objects.values_list("result__status", flat=True)
    assert sorted(said) == ["not started", "not started", "started", "started"]
    assert UserJourney.objects.filter(journey=other).count() == 2


def test_one_that_was_deleted_after_all_fails_the_step():
    other = target()
    journey = make_journey("First", [go_to(other), tag("after")], now=NOW)
    start()
    JourneyStep.objects.filter(journey=journey).update(action_type="apply_tag")  # As if nobody had looked.
    delete_journey(other.id)
    work_at(NOW)
    failed = StepExecution.objects.get(status="failed")
    assert failed.error_message == "the journey that it starts was deleted"
    assert tags_of() == {"after"}


def test_a_dead_letter_that_is_replayed_starts_it():
    other = target()
    make_journey("First", [go_to(other, plan="{{ event.plan | divided_by: 0 }}")], now=NOW)
    start(plan=4)
    work_at(NOW)
    letter = StepExecution.objects.get(status="failed")
    make_it_right(letter)
    assert replay.replay([letter.id], NOW) == 1
    replay.work(lambda: NOW, 10)
    work_at(NOW)
    assert StepExecution.objects.get(id=letter.id).result == {"status": "started", "journey": "Target"}
    assert run_in(other).status == "completed"


def test_a_dead_letter_of_a_version_that_started_another_journey_starts_that_one():
    other = target()
    journey = make_journey("First", [go_to(other, plan="{{ event.plan | divided_by: event.by }}")], now=NOW)
    start(plan=4, by=0)
    work_at(NOW)
    letter = StepExecution.objects.get(status="failed")
    patch_journey(journey.id, {"steps": [tag("instead")]}, None, NOW)
    UserJourney.objects.filter(journey=journey).update(metadata={"plan": 4, "by": 2})
    replay.replay([letter.id], NOW)
    replay.work(lambda: NOW, 10)
    assert StepExecution.objects.get(id=letter.id).result == {"status": "started", "journey": "Target"}


def make_it_right(letter: StepExecution) -> None:
    journey = Journey.objects.get(name="First")
    other = Journey.objects.get(name="Target")
    patch_journey(journey.id, {"steps": [{**go_to(other), "key": letter.step.key}]}, None, NOW)
    UserJourney.objects.filter(journey=journey).update(version=Journey.objects.get(id=journey.id).live_version)


def test_a_batch_of_starts_costs_no_query_a_run():
    other = target()
    make_journey("First", [go_to(other)], now=NOW)

    def queries(people: int) -> int:
        ingest([Incoming(f"{people}-{number}", "signup") for number in range(people)], NOW)
        with CaptureQueriesContext(connection) as captured:
            claim(NOW, 500)
        while work(lambda: NOW, 500).runs:
            pass
        return len(captured)

    queries(1)  # Compiles what is compiled once.
    assert queries(2) == queries(40)


@pytest.mark.django_db(transaction=True)
def test_one_that_is_just_being_edited_is_waited_for_and_costs_no_attempt():
    other = target()
    make_journey("First", [go_to(other)], now=NOW)
    run = start()
    with transaction.atomic():
        Journey.objects.select_for_update().get(id=other.id)
        thread = threading.Thread(target=_claim_elsewhere)
        thread.start()
        thread.join(10)
        assert not thread.is_alive(), "nobody waits for the edit"
    run.refresh_from_db()
    assert (run.due_at, run.attempts, StepExecution.objects.count()) == (NOW + SECOND, 0, 0)
    work_at(NOW + SECOND)
    assert run_in(other).status == "completed"


def _claim_elsewhere() -> None:
    claim(NOW, 10)
    connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_workers_and_events_at_once_let_each_in_once():
    other = target(tag("x", delay_minutes=60))
    for number in range(4):
        make_journey(f"J{number}", [go_to(other)], now=NOW)
    users = [f"u{number}" for number in range(10)]
    ingest([Incoming(user, "signup") for user in users], NOW)
    raised: list[Exception] = []

    def at_once(act) -> threading.Thread:
        def run() -> None:
            try:
                for number in range(60):
                    act(number)
            except Exception as error:  # noqa: BLE001 - asserted to be none
                raised.append(error)
            finally:
                connections.close_all()

        return threading.Thread(target=run)

    threads = [
        at_once(lambda _: work(lambda: NOW, 2)),
        at_once(lambda _: work(lambda: NOW, 3)),
        at_once(lambda number: ingest([Incoming(users[number % 10], "upgrade")], NOW)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    work_at(NOW + SECOND * 2)
    assert raised == []
    assert UserJourney.objects.filter(journey=other).count() == Contact.objects.count() == 10
    assert not UserJourney.objects.exclude(journey=other).filter(status="active").exists()


def test_an_execution_by_hand_wakes_a_worker_for_what_it_started(monkeypatch):
    woken: list[int] = []
    monkeypatch.setattr(wake, "after_commit", lambda: woken.append(1))
    make_journey("First", [go_to(target())], now=NOW)
    execute(start().id, lambda: NOW)
    assert woken == [1]
