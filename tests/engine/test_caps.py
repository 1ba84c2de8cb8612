"""Frequency caps: however many journeys and workers there are, nobody gets more, and what waits comes in time."""

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from journeys.authoring.caps import CapDocument, create_cap, delete_cap, save_cap
from journeys.authoring.publish import patch_journey
from journeys.engine import caps, housekeeping, pruning, replay
from journeys.engine.claim import claim
from journeys.engine.cycle import work
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Contact, FrequencyCap, Message, StepExecution, UserJourney
from tests.engine.test_cycle import NOW, start, statuses, tag, tags_of, work_at
from tests.factories import make_contact, make_journey
from tests.sinks_http import BotApi

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

pytestmark = pytest.mark.django_db


def say(name: str, *, delay: int = 0, expires: int | None = None, **config: Any) -> dict[str, Any]:
    return {
        "name": name, "action_type": "send_telegram", "action_config": {"message": name, **config},
        "delay_minutes": delay, "expires_after_minutes": expires,
    }  # fmt: skip


def cap(at_most: int = 1, hours: int = 24, channel: str = "") -> FrequencyCap:
    return create_cap(CapDocument(channel, at_most, hours), NOW)


def person(user_id: str = "u1") -> Contact:
    return make_contact(user_id, now=NOW, telegram_chat_id=user_id[1:], email=f"{user_id}@example.com")


def texts(bot: BotApi) -> list[str]:
    return [request.json()["text"] for request in bot.requests]


def test_a_capped_step_waits_until_the_oldest_message_leaves_the_period(bot):
    cap()
    person()
    make_journey("J", [say("one"), tag("between"), say("two"), tag("after")], now=NOW)
    run = start()
    work_at(NOW)
    run.refresh_from_db()
    assert texts(bot) == ["one"]
    assert (run.capped_until, run.due_at, run.step_due_at) == (NOW + DAY, NOW + DAY, NOW)
    assert (run.attempts, run.claim_token, tags_of()) == (0, None, {"between"})
    work_at(NOW + DAY - MINUTE)
    assert texts(bot) == ["one"]
    work_at(NOW + DAY)
    run.refresh_from_db()
    assert texts(bot) == ["one", "two"]
    assert (run.status, run.capped_until) == ("completed", None)


def test_a_step_that_says_so_is_skipped(bot):
    cap()
    person()
    make_journey("J", [say("one"), say("two", when_capped="skip"), tag("after")], now=NOW)
    run = start()
    work_at(NOW)
    assert statuses(run) == [("one", "success"), ("two", "skipped"), ("Tag after", "success")]
    assert StepExecution.objects.get(step__name="two").result == {"reason": "a frequency cap is reached"}


def test_transactional_messages_go_and_do_not_count(bot):
    cap()
    person()
    make_journey("J", [say("one", transactional=True), say("two"), say("three", transactional=True)], now=NOW)
    start()
    work_at(NOW)
    assert texts(bot) == ["one", "two", "three"]
    assert Message.objects.filter(is_transactional=True).count() == 2


def test_webhooks_neither_count_nor_wait(bot):
    cap()
    person()
    hook = {"name": "hook", "action_type": "trigger_webhook", "action_config": {"url": "http://127.0.0.1:1/"}}
    make_journey("J", [hook, say("one"), {**hook, "name": "again"}, tag("after")], now=NOW)
    start()
    work_at(NOW)
    assert texts(bot) == ["one"]
    assert tags_of() == {"after"}


def test_a_cap_of_a_channel_lets_others_through(bot):
    cap(channel="email")
    person()
    make_journey("J", [say("one"), say("two")], now=NOW)
    start()
    work_at(NOW)
    assert texts(bot) == ["one", "two"]


def test_all_journeys_share_it_also_in_one_batch(bot):
    cap(at_most=2)
    for number in range(4):
        make_journey(f"J{number}", [say(f"m{number}")], now=NOW, priority=number)
    for user in ("u1", "u2"):
        person(user)
    ingest([Incoming("u1", "signup"), Incoming("u2", "signup")], NOW)
    assert len(claim(NOW, 100).sends) == 4
    waiting = UserJourney.objects.filter(capped_until__isnull=False)
    assert {(run.capped_until, run.due_at) for run in waiting} == {(NOW + DAY, NOW + DAY)}
    assert waiting.count() == 4


def test_a_captured_message_counts_and_one_that_failed_does_not(bot):
    cap()
    person("u1")
    Contact.objects.update(is_test=True)
    person("u2")
    make_journey("J", [say("one"), say("two")], now=NOW)
    bot.next(BotApi.error(400, "Bad Request: something else"))
    ingest([Incoming("u1", "signup"), Incoming("u2", "signup")], NOW)
    work_at(NOW)
    assert sorted(Message.objects.values_list("contact__user_id", "text", "status")) == [
        ("u1", "one", "captured"),
        ("u2", "one", "failed"),
        ("u2", "two", "sent"),
    ]


def test_a_retry_counts_once_and_is_not_capped_itself(bot):
    cap()
    person()
    make_journey("J", [say("one"), say("two")], now=NOW)
    bot.next(BotApi.error(500, "oops"))
    run = start()
    work_at(NOW)
    work_at(NOW + HOUR)
    run.refresh_from_db()
    assert texts(bot) == ["one", "one"]
    assert run.capped_until == NOW + DAY


def test_what_waits_for_a_cap_becomes_stale_when_its_time_has_come(bot):
    cap()
    person()
    make_journey("J", [say("one"), say("two", expires=60), tag("after")], now=NOW)
    run = start()
    work_at(NOW)
    run.refresh_from_db()
    assert (run.capped_until, run.due_at) == (NOW + DAY, NOW + HOUR + timedelta(microseconds=1))
    work_at(run.due_at)
    assert statuses(run) == [("one", "success"), ("two", "skipped"), ("Tag after", "success")]
    assert StepExecution.objects.get(step__name="two").result["reason"] == "stale"


def test_a_cap_that_is_changed_or_removed_lets_those_go_who_wait(bot):
    of = cap()
    person()
    make_journey("J", [say("one"), say("two"), say("three")], now=NOW)
    start()
    work_at(NOW)
    save_cap(of.id, CapDocument("", 2, 24), NOW + MINUTE)
    work_at(NOW + MINUTE)
    assert texts(bot) == ["one", "two"]
    assert delete_cap(of.id, NOW + 2 * MINUTE)
    work_at(NOW + 2 * MINUTE)
    assert texts(bot) == ["one", "two", "three"]
    assert not UserJourney.objects.filter(capped_until__isnull=False).exists()


@pytest.mark.parametrize(
    ("change", "end"), [({"transactional": True}, "success"), ({"when_capped": "skip"}, "skipped")]
)
def test_a_step_that_is_edited_while_somebody_waits_at_it_counts_as_it_is_now(bot, change, end):
    cap()
    person()
    journey = make_journey("J", [say("one"), say("two")], now=NOW)
    run = start()
    work_at(NOW)
    patch_journey(journey.id, {"steps": [say("one"), say("two", **change)]}, None, NOW + MINUTE)
    work_at(NOW + MINUTE)
    assert statuses(run) == [("one", "success"), ("two", end)]


def test_a_replayed_message_is_not_held_back(bot):
    cap()
    person()
    make_journey("J", [say("one"), say("two")], now=NOW)
    bot.next(BotApi.error(400, "Bad Request: something else"))
    start()
    work_at(NOW)
    replay.replay(StepExecution.objects.filter(status="failed").values_list("id", flat=True), NOW)
    replay.work(lambda: NOW, 10)
    assert texts(bot) == ["one", "two", "one"]


def test_without_caps_it_costs_a_look_and_with_them_one_query_a_batch(bot):
    make_journey("J", [say("one")], now=NOW)
    for number in range(12):
        person(f"u{number}")

    def queries(users: range) -> list[str]:
        ingest([Incoming(f"u{number}", "signup") for number in users], NOW)
        with CaptureQueriesContext(connection) as captured:
            assert len(claim(NOW, 500).decisions) == len(users)
        return [
            query["sql"] for query in captured if "FROM messages" in query["sql"] or "frequency_caps" in query["sql"]
        ]

    assert len(queries(range(1))) == 1
    cap(at_most=5)
    assert len(queries(range(1, 12))) == 2


def test_journeys_without_messages_do_not_look_for_caps():
    cap()
    make_journey("J", [tag("a")], now=NOW)
    start()
    with CaptureQueriesContext(connection) as captured:
        claim(NOW, 10)
    assert not any("frequency_caps" in query["sql"] for query in captured)


def test_messages_stay_as_long_as_a_cap_counts_them(bot, settings):
    settings.JOURNEYS = {**settings.JOURNEYS, "MESSAGE_RETENTION_DAYS": 10}
    of = cap(hours=30 * 24)
    person()
    make_journey("J", [say("one"), say("two")], now=NOW)
    start()
    work_at(NOW)

    def left(now: datetime) -> int:
        pruning.prune(now, float("inf"))
        return Message.objects.count()

    assert left(NOW + 20 * DAY) == 1
    delete_cap(of.id, NOW)
    assert left(NOW + 20 * DAY) == 0


@pytest.mark.django_db(transaction=True)
def test_two_workers_cannot_exceed_a_cap(bot):
    cap(at_most=3)
    for number in range(8):
        make_journey(f"J{number}", [say(f"m{number}"), say(f"n{number}")], now=NOW)
    users = [f"u{number}" for number in range(6)]
    for user in users:
        person(user)
    ingest([Incoming(user, "signup") for user in users], NOW)
    raised: list[Exception] = []

    def at_work(size: int) -> None:
        try:
            for _ in range(60):
                work(lambda: NOW, size)
        except Exception as error:  # noqa: BLE001 - asserted to be none
            raised.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=at_work, args=(size,)) for size in (1, 2, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    work_at(NOW)
    assert raised == []
    chats = [request.json()["chat_id"] for request in bot.requests]
    assert {chat: chats.count(chat) for chat in set(chats)} == dict.fromkeys("012345", 3)
    for days in range(1, 6):
        work_at(NOW + days * DAY)
    assert Message.objects.count() == 6 * 16


def test_who_is_held_back_again_meanwhile_is_not_looked_at_for_ever(bot):
    cap()
    person()
    make_journey("J", [say("one"), say("two")], now=NOW)
    start()
    work_at(NOW + MINUTE)
    assert caps.look_again(NOW) == 0
    assert caps.look_again(NOW + 2 * MINUTE) == 1


@pytest.mark.django_db(transaction=True)
def test_who_is_just_being_decided_on_when_a_cap_is_removed_is_looked_at_again_too(bot):
    of = cap()
    person()
    for trigger in ("signup", "upgrade"):
        make_journey(trigger, [say(trigger)], trigger_type=trigger, now=NOW)
    ingest([Incoming("u1", "signup")], NOW)
    work_at(NOW)
    ingest([Incoming("u1", "upgrade")], NOW)

    def remove() -> None:
        delete_cap(of.id, NOW)
        connections.close_all()

    with transaction.atomic():
        claim(NOW, 10)
        remover = threading.Thread(target=remove)
        remover.start()
        remover.join()
    housekeeping.minute(NOW + MINUTE)
    work_at(NOW + MINUTE)
    assert texts(bot) == ["signup", "upgrade"]
