"""Leaving before the end: by a condition, by an event, and with what is just being sent."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from journeys.actions import telegram
from journeys.actions.base import Outgoing, TransientError
from journeys.authoring.publish import patch_journey, set_active
from journeys.engine.contacts import upsert_contact
from journeys.engine.ingest import Incoming, ingest
from journeys.logic.effects import Delivered, Outcome
from journeys.models import Journey, Message, RunStatus, StepExecution, UserJourney
from tests.engine.test_cycle import tag, tags_of, work_at
from tests.factories import NOON, make_contact, make_journey

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
PAID = {"field": "user.paid", "op": "eq", "value": True}
LETTER = {"name": "Letter", "action_type": "send_telegram", "action_config": {"message": "Hello"}}

pytestmark = pytest.mark.django_db


def begin(*steps: Any, name: str = "Cart", **rules: Any) -> Journey:
    journey = make_journey(name, steps or [tag("a"), tag("b", delay_minutes=60)], **rules)
    report("signup")
    return journey


def report(name: str, at: Any = NOON, **properties: Any) -> bool:
    return ingest([Incoming("u1", name, properties)], at)[0].woke


def run() -> UserJourney:
    return UserJourney.objects.get()


def outcomes() -> list[tuple[str, str, Any]]:
    rows = StepExecution.objects.order_by("executed_at").values_list("step__name", "status", "result__reason")
    return list(rows)


def test_the_exit_condition_is_looked_at_before_each_step():
    begin(exit_condition=PAID)
    work_at(NOON)
    upsert_contact("u1", {"attributes": {"paid": True}}, NOON)
    assert run().status == RunStatus.ACTIVE
    work_at(NOON + 60 * MINUTE)
    found = run()
    assert (found.status, found.exit_reason, found.exited_at) == (
        RunStatus.EXITED,
        "exit condition",
        NOON + 60 * MINUTE,
    )
    assert tags_of() == {"a"}


def test_the_exit_condition_sees_what_the_steps_before_did():
    tagged = {"field": "tags", "op": "contains", "value": "a"}
    begin(tag("a"), tag("b"), exit_condition=tagged)
    work_at(NOON)
    assert (run().exit_reason, tags_of()) == ("exit condition", {"a"})


def test_an_event_ends_a_run_that_waits_out_a_delay_at_once():
    begin(exit_on=[{"event": "order_placed"}])
    work_at(NOON)
    assert not report("other", NOON + MINUTE)
    assert report("order_placed", NOON + MINUTE), "a worker is woken"
    assert run().leaves == "event order_placed"
    work_at(NOON + MINUTE)
    found = run()
    assert (found.status, found.exit_reason, found.due_at) == (RunStatus.EXITED, "event order_placed", None)
    assert tags_of() == {"a"}


def test_an_event_counts_of_which_the_condition_holds():
    big = {"all": [{"field": "event.sum", "op": "gte", "value": 50}, {"field": "cart", "op": "exists", "value": True}]}
    make_journey("Cart", [tag("b", delay_minutes=60)], exit_on=[{"event": "order_placed", "condition": big}])
    report("signup", cart=7)
    assert not report("order_placed", sum=10)
    assert report("order_placed", sum=60)


def test_the_event_that_starts_a_run_does_not_end_it_and_one_before_means_nothing():
    make_journey("Cart", [tag("b", delay_minutes=60)], exit_on=[{"event": "signup"}, {"event": "order_placed"}])
    report("order_placed", NOON - MINUTE)
    report("signup")
    work_at(NOON)
    assert run().leaves is None
    assert report("signup", NOON + MINUTE), "the next of that name does"


def test_in_one_batch_what_comes_behind_the_start_counts_and_what_comes_before_does_not():
    make_journey("Cart", [tag("b")], exit_on=[{"event": "order_placed"}])
    names = {"u1": ("signup", "order_placed"), "u2": ("order_placed", "signup")}
    answers = ingest([Incoming(who, name) for who, both in names.items() for name in both], NOON)
    assert [(len(answer.started), answer.woke) for answer in answers] == [(1, False), (0, True), (0, False), (1, False)]
    work_at(NOON)
    statuses = dict(UserJourney.objects.values_list("contact__user_id", "status"))
    assert statuses == {"u1": "exited", "u2": "completed"}


def test_only_runs_of_the_journeys_that_listen_are_ended():
    begin(exit_on=[{"event": "order_placed"}])
    make_journey("Other", [tag("o", delay_minutes=60)], trigger_type="upgrade")
    report("upgrade")
    work_at(NOON)
    report("order_placed")
    work_at(NOON)
    assert set(UserJourney.objects.values_list("journey__name", "status")) == {("Cart", "exited"), ("Other", "active")}


def test_a_run_that_waits_for_an_event_gives_the_wait_up():
    lanes = [{"name": name, "steps": []} for name in ("received", "timed out")]
    config = {"event": "opened", "timeout_minutes": 1000}
    begin({"name": "Wait", "action_type": "wait_for_event", "action_config": config, "lanes": lanes},
          exit_on=[{"event": "order_placed"}])  # fmt: skip
    work_at(NOON)
    report("order_placed", NOON + MINUTE)
    work_at(NOON + MINUTE)
    assert (run().status, outcomes()) == ("exited", [("Wait", "skipped", "they left the journey")])


def test_who_is_parked_leaves_when_the_journey_goes_on():
    journey = begin(exit_on=[{"event": "order_placed"}])
    work_at(NOON)
    set_active(journey.id, False, None, NOON)
    report("order_placed", NOON + MINUTE)
    work_at(NOON + DAY)
    assert (run().status, run().leaves) == ("active", "event order_placed")
    set_active(journey.id, True, None, NOON + DAY)
    work_at(NOON + DAY)
    assert (run().status, tags_of()) == ("exited", {"a"})


def test_an_edit_counts_from_then_on_for_those_inside():
    journey = begin()
    work_at(NOON)
    report("order_placed", NOON + MINUTE)
    patch_journey(journey.id, {"exit_on": [{"event": "order_placed"}]}, None, NOON + 2 * MINUTE)
    work_at(NOON + 2 * MINUTE)
    assert run().status == RunStatus.ACTIVE
    report("order_placed", NOON + 3 * MINUTE)
    work_at(NOON + 3 * MINUTE)
    assert run().status == RunStatus.EXITED


@pytest.fixture
def sending(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A Telegram that does `meanwhile` while it sends, and then answers or raises."""
    settings.TELEGRAM_BOT_TOKEN = "1:a"
    play: dict[str, Any] = {"sent": 0, "meanwhile": lambda: None, "error": None}

    def deliver(message: Outgoing) -> Outcome:
        play["sent"] += 1
        play["meanwhile"]()
        if play["error"]:
            raise play["error"]
        return Delivered()

    monkeypatch.setattr(telegram, "_deliver", deliver)
    yield play


def from_another_connection(name: str, at: Any) -> None:
    def tell() -> None:
        report(name, at)
        connection.close()

    thread = threading.Thread(target=tell)
    thread.start()
    thread.join()


@pytest.mark.django_db(transaction=True)
def test_what_is_being_sent_is_recorded_and_then_they_leave(sending: dict[str, Any]):
    make_contact("u1", telegram_chat_id="1")
    begin(LETTER, tag("b"), exit_on=[{"event": "order_placed"}])
    sending["meanwhile"] = lambda: from_another_connection("order_placed", NOON)
    work_at(NOON)
    assert (run().status, run().exit_reason) == ("exited", "event order_placed")
    assert (outcomes(), Message.objects.get().status) == ([("Letter", "success", None)], "sent")
    assert tags_of() == set()


@pytest.mark.django_db(transaction=True)
def test_a_try_that_fails_meanwhile_is_the_last(sending: dict[str, Any]):
    make_contact("u1", telegram_chat_id="1")
    begin(LETTER, tag("b"), exit_on=[{"event": "order_placed"}])
    sending |= {"meanwhile": lambda: from_another_connection("order_placed", NOON), "error": TransientError("no")}
    work_at(NOON)
    assert (run().status, outcomes()) == ("exited", [("Letter", "skipped", "they left the journey")])
    assert Message.objects.get().status == "failed"


def test_a_try_that_is_still_to_come_is_given_up_and_its_message_not_sent(sending: dict[str, Any]):
    make_contact("u1", telegram_chat_id="1")
    begin(LETTER, tag("b"), exit_on=[{"event": "order_placed"}])
    sending["error"] = TransientError("not now")
    work_at(NOON)
    assert StepExecution.objects.get().status == "pending"
    report("order_placed", NOON)
    work_at(NOON)
    assert (run().status, outcomes()) == ("exited", [("Letter", "skipped", "they left the journey")])
    assert (sending["sent"], Message.objects.get().status) == (1, "failed")


def test_the_exit_condition_is_looked_at_before_a_further_try(sending: dict[str, Any]):
    make_contact("u1", telegram_chat_id="1")
    begin(LETTER, tag("b"), exit_condition=PAID)
    sending["error"] = TransientError("not now")
    work_at(NOON)
    upsert_contact("u1", {"attributes": {"paid": True}}, NOON)
    work_at(NOON + DAY)
    assert (run().exit_reason, sending["sent"]) == ("exit condition", 1)
    assert outcomes() == [("Letter", "skipped", "they left the journey")]


@pytest.mark.django_db(transaction=True)
def test_an_event_that_comes_while_the_run_is_being_claimed_waits_for_it_and_counts():
    begin(exit_on=[{"event": "order_placed"}])
    work_at(NOON)
    told = threading.Event()

    def tell() -> None:
        report("order_placed", NOON + MINUTE)
        told.set()
        connection.close()

    with transaction.atomic():
        UserJourney.objects.select_for_update().get()
        thread = threading.Thread(target=tell)
        thread.start()
        assert not told.wait(0.3)
    thread.join()
    work_at(NOON + MINUTE)
    assert run().status == RunStatus.EXITED
