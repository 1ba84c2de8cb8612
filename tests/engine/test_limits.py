"""Rates: however many workers there are, a limited provider gets no more, and waiting for it costs nothing."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection

from journeys.actions.base import Outgoing
from journeys.engine import housekeeping, replay
from journeys.engine.clock import database_clock
from journeys.engine.cycle import work
from journeys.engine.dispatch import Parcel
from journeys.engine.ingest import Incoming, ingest
from journeys.engine.limits import turns_of
from journeys.models import Bucket, Contact, Message, MessageStatus, StepExecution, UserJourney
from tests.engine.test_cycle import tag, tags_of, work_at
from tests.factories import make_contact, make_journey
from tests.sinks_http import BotApi, Reply, Request

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
HELLO = {"name": "Hello", "action_type": "send_telegram", "action_config": {"message": "Hi {{ user.first_name }}"}}

pytestmark = pytest.mark.django_db


class TimedBotApi(BotApi):
    """One that knows when each message came."""

    def __init__(self, token: str) -> None:
        super().__init__(token)
        self.times: list[datetime] = []

    def reply(self, request: Request) -> Reply:
        self.times.append(datetime.now(UTC))
        return super().reply(request)


@pytest.fixture
def bot(settings) -> Iterator[TimedBotApi]:
    with TimedBotApi(token="1:a") as api:
        settings.TELEGRAM_API_URL, settings.TELEGRAM_BOT_TOKEN = api.url, "1:a"
        yield api


def limit(settings, **rates: str) -> None:
    settings.JOURNEYS = {**settings.JOURNEYS, "RATES": {name.replace("__", ":"): rate for name, rate in rates.items()}}


def start(people: int, *steps: dict[str, object], now: datetime = NOW) -> None:
    for number in range(people):
        make_contact(f"u{number}", now=now, telegram_chat_id=str(number), attributes={"first_name": f"U{number}"})
    make_journey("Chat", list(steps or (HELLO,)), now=now)
    ingest([Incoming(f"u{number}", "signup") for number in range(people)], now)


def to_chat(chat: str) -> Parcel:
    return Parcel(Outgoing(uuid4(), "telegram", chat, "", "", "Hi", {}, NOW), is_test=False)


def test_what_is_beyond_the_rate_waits_for_its_slot_and_nothing_is_written_of_it(bot, settings):
    limit(settings, telegram="10/s")
    start(40)
    work_at(NOW)
    assert len(bot.requests) == 11, "those of this second are sent, each at its slot"
    assert (StepExecution.objects.count(), Message.objects.count()) == (11, 11)
    waiting = UserJourney.objects.filter(status="active").order_by("due_at")
    slots = [NOW + number * SECOND / 10 for number in range(11, 40)]
    assert [(run.due_at, run.slot_at, run.attempts, run.claim_token) for run in waiting] == [
        (slot, slot, 0, None) for slot in slots
    ]
    work_at(NOW + SECOND * 1.5)
    assert len(bot.requests) == 16, "1.1 to 1.5: their slots have come, and are not reserved again"
    assert Bucket.objects.get().next_at == NOW + 4 * SECOND


def test_slots_that_were_found_late_together_go_out_one_by_one(bot, settings):
    limit(settings, telegram="5/s")
    start(12)
    work_at(NOW)
    bot.times.clear()
    work_at(NOW + SECOND * 2)  # 1.2, 1.4, 1.6, 1.8 and 2.0 have come by now.
    assert len(bot.times) == 5
    assert max(bot.times) - min(bot.times) >= 0.6 * SECOND
    assert UserJourney.objects.filter(status="active").count() == 1


def test_steps_before_the_one_that_waits_are_done_once(bot, settings):
    limit(settings, telegram="1/m")
    start(2, tag("before"), HELLO, tag("after"))
    work_at(NOW)
    work_at(NOW + 60 * SECOND)
    assert len(bot.requests) == 2
    assert tags_of("u0") == tags_of("u1") == {"before", "after"}


def test_a_slot_that_was_missed_is_lost_so_that_an_outage_of_ours_ends_in_no_burst(bot, settings):
    limit(settings, telegram="10/s")
    start(40)
    work_at(NOW)
    work_at(NOW + HOUR)
    assert len(bot.requests) == 22
    assert UserJourney.objects.filter(status="active").count() == 18


def test_a_chat_has_a_limit_of_its_own_beside_the_bots(bot, settings):
    limit(settings, telegram="10/s", telegram__chat="1/m")
    start(2, HELLO, HELLO | {"name": "Again"})
    work_at(NOW)
    assert sorted(request.json()["chat_id"] for request in bot.requests) == ["0", "1"]
    waiting = UserJourney.objects.filter(slot_at__isnull=False)
    assert [run.slot_at for run in waiting] == [NOW + 60 * SECOND] * 2
    assert sorted(Bucket.objects.values_list("key", flat=True)) == ["telegram", "telegram:chat:0", "telegram:chat:1"]
    work_at(NOW + 60 * SECOND)
    assert len(bot.requests) == 4


def test_idle_buckets_are_cleared_away(bot, settings):
    limit(settings, telegram="1/s", telegram__chat="1/m")
    start(1)
    work_at(NOW)
    housekeeping.minute(NOW + 30 * SECOND)
    assert [bucket.key for bucket in Bucket.objects.all()] == ["telegram:chat:0"]
    housekeeping.minute(NOW + 61 * SECOND)
    assert not Bucket.objects.exists()


def test_what_is_not_limited_or_does_not_leave_the_house_has_no_bucket(bot, settings):
    limit(settings, email="1/s", telegram="1/s")
    start(3)
    Contact.objects.update(is_test=True)
    work_at(NOW)
    assert Message.objects.filter(status=MessageStatus.CAPTURED).count() == 3
    assert not Bucket.objects.exists()


def test_a_retry_that_waits_for_its_slot_keeps_its_bytes_and_its_count(bot, settings):
    limit(settings, telegram="1/m")
    start(1)
    bot.next(BotApi.error(500, "oops"))
    work_at(NOW)
    Contact.objects.update(attributes={"first_name": "Changed"})
    Bucket.objects.update(next_at=NOW + HOUR)
    work_at(NOW + 50 * SECOND)
    run = UserJourney.objects.get()
    assert (run.due_at, run.attempts, len(bot.requests)) == (NOW + HOUR, 1, 1)
    work_at(NOW + HOUR)
    assert [request.json()["text"] for request in bot.requests] == ["Hi U0", "Hi U0"]
    assert StepExecution.objects.get().status == "success"


def test_a_replay_waits_for_its_slot_too(bot, settings):
    limit(settings, telegram="1/m")
    start(2)
    bot.next(BotApi.error(400, "no"), BotApi.error(400, "no"))
    work_at(NOW)
    work_at(NOW + 60 * SECOND)
    later = NOW + DAY
    assert replay.replay(StepExecution.objects.values_list("id", flat=True), later) == 2
    replay.work(lambda: later, 10)
    assert len(bot.requests) == 3
    (waiting,) = StepExecution.objects.filter(replay_at__isnull=False)
    assert (waiting.replay_at, waiting.slot_at, waiting.retry_count) == (later + 60 * SECOND, later + 60 * SECOND, 0)
    assert replay.work(lambda: later + 59 * SECOND, 10) == 0
    replay.work(lambda: later + 60 * SECOND, 10)
    assert set(StepExecution.objects.values_list("status", flat=True)) == {"success"}


def test_trying_the_future_does_not_silence_the_present(bot, settings):
    limit(settings, telegram="1/m")
    turns_of([to_chat("1")], {}, NOW + 30 * DAY)
    assert turns_of([to_chat("2")], {}, NOW) == {}


@pytest.mark.django_db(transaction=True)
def test_two_workers_get_different_slots(bot, settings):
    limit(settings, telegram="50/s")
    slots: list[datetime] = []

    def reserve() -> None:
        for _ in range(20):
            parcels = [to_chat(str(number)) for number in range(5)]
            turns = turns_of(parcels, {}, NOW)
            slots.extend(turns[parcel.message.id].at if parcel.message.id in turns else NOW for parcel in parcels)
        connection.close()

    threads = [threading.Thread(target=reserve) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(slots) == [NOW + number * SECOND / 50 for number in range(200)]


@pytest.mark.django_db(transaction=True)
def test_two_workers_together_send_no_faster_than_the_rate(bot, settings):
    limit(settings, telegram="20/s")
    now = database_clock()
    start(50, now=now)

    def drain() -> None:
        until = now + 20 * SECOND
        while UserJourney.objects.filter(status="active").exists() and database_clock() < until:
            work(database_clock, 10)
        connection.close()

    threads = [threading.Thread(target=drain) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(int(request.json()["chat_id"]) for request in bot.requests) == list(range(50))
    for number, at in enumerate(sorted(bot.times)):
        assert at >= now + number * SECOND / 20, "each is sent at its slot or later"
    assert Message.objects.filter(status=MessageStatus.SENT).count() == 50


@pytest.mark.parametrize(
    ("rates", "fault"),
    [
        ({"telegram": "fast"}, "RATES: telegram: 'fast' is no rate"),
        ({"pigeon": "1/s"}, "RATES: there is nothing called 'pigeon' to limit"),
    ],
)
def test_a_wrong_rate_is_an_error_that_names_it(settings, rates, fault):
    settings.JOURNEYS = {**settings.JOURNEYS, "RATES": rates}
    with pytest.raises(SystemCheckError, match=r"journeys\.E001") as refused:
        call_command("check")
    assert fault in str(refused.value)
