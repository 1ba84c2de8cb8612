"""A worker that is stopped, killed or asked to leave in the middle: nothing is lost, and nothing is sent that was."""

import random
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, connections

from journeys import tasks
from journeys.actions.registry import CHANNELS
from journeys.models import Message, RunStatus, StepExecution, UserJourney
from tests.faults.crew import crew
from tests.faults.scene import CHAT, LENGTHEN, MAIL, HoldingBotApi, Scene
from tests.sinks import Silence
from tests.workers import eventually, running_worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("worker")]
SENDERS = CHANNELS["telegram"].concurrency
LEASE = 3


@pytest.fixture
def bot() -> HoldingBotApi:
    return HoldingBotApi()


@pytest.fixture
def held(bot: HoldingBotApi) -> Iterator[Scene]:
    """A scene whose chats aren't answered yet, with short leases."""
    with Scene(bot, LEASE_SECONDS=str(LEASE), BATCH="50") as scene:
        yield scene
        bot.answers.set()


def everything() -> list[Any]:
    return [list(model.objects.order_by("id").values()) for model in (UserJourney, StepExecution, Message)]


def test_a_worker_stopped_past_its_lease_and_continued_writes_and_sends_nothing(
    held: Scene, bot: HoldingBotApi, database_url: str
):
    held.begin(40, [CHAT])
    with crew(database_url, 1, **held.environment) as stopped:
        bot.wait_for(SENDERS)
        stopped.signal(signal.SIGSTOP)
        bot.answers.set()
        # The other's lease is so long that a slow machine doesn't end it: its own repeats would count.
        with crew(database_url, 1, **{**held.environment, "LEASE_SECONDS": "60"}):
            assert held.has_ended(LEASE + 20)
        sent, before = len(bot.requests), everything()
        stopped.signal(signal.SIGCONT)
        time.sleep(1.5)
        assert stopped.living() == stopped.pids
        assert (len(bot.requests), everything()) == (sent, before)
    assert UserJourney.objects.filter(status=RunStatus.COMPLETED).count() == 40
    assert held.repeats() == SENDERS  # What it was sending when it was stopped.


def test_workers_stopped_again_and_again_hold_up_nobody_and_double_no_effect(database_url: str):
    people, stops, dice = 200 * LENGTHEN, 0, random.Random(3)
    with Scene(LEASE_SECONDS="2") as scene:
        scene.begin(people)
        with crew(database_url, 3, **scene.environment) as workers:
            until = time.monotonic() + 5 * LENGTHEN
            while time.monotonic() < until:
                victim = dice.choice(workers.pids)
                time.sleep(dice.uniform(0.05, 0.4))
                workers.signal(signal.SIGSTOP, victim)
                time.sleep(2.5)
                workers.signal(signal.SIGCONT, victim)
                stops += 1
            assert scene.has_ended(60)
        assert UserJourney.objects.filter(status=RunStatus.COMPLETED).count() == people
        assert StepExecution.objects.filter(status="success").count() == people * len(scene.steps)
        assert len(scene.sent()) == 3 * people
        assert scene.repeats() <= stops * unrecorded(scene)


def unrecorded(scene: Scene) -> int:
    """What a worker may have sent and not recorded yet: a batch at most."""
    return int(scene.environment["BATCH"])


def test_a_worker_that_is_asked_to_leave_drains_in_time_and_repeats_nothing(
    held: Scene, bot: HoldingBotApi, database_url: str
):
    held.begin(60, [CHAT])
    bot.pause = 0.2
    with running_worker(database_url, **held.environment) as worker:
        bot.wait_for(SENDERS, 30)
        bot.answers.set()
        worker.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert worker.wait(25) == 0
    assert time.monotonic() - began < 25
    assert UserJourney.objects.filter(status=RunStatus.ACTIVE, lease_until__isnull=True).exists()
    assert not UserJourney.objects.filter(lease_until__isnull=False).exists()
    with crew(database_url, 1, **held.environment):
        assert held.has_ended(30)
    assert (len(held.sent()), held.repeats()) == (60, 0)


def test_a_dead_workers_runs_go_on_within_the_lease_and_five_seconds(
    held: Scene, bot: HoldingBotApi, database_url: str
):
    held.begin(40, [CHAT])
    with crew(database_url, 1, **held.environment) as dead:
        bot.wait_for(SENDERS)
        with crew(database_url, 1, **held.environment):
            dead.signal(signal.SIGKILL)
            bot.answers.set()
            assert held.has_ended(LEASE + 5)
    assert (len(held.sent()), held.repeats()) == (40, SENDERS)
    assert set(UserJourney.objects.values_list("status", "deaths")) == {(RunStatus.COMPLETED, 0)}


def test_sends_that_take_longer_than_the_lease_renew_it(bot: HoldingBotApi, database_url: str):
    bot.pause = 3
    bot.answers.set()
    with Scene(bot, LEASE_SECONDS="1") as scene:
        scene.smtp.next(*[Silence("DATA", 3)] * 3)
        scene.begin(3, [CHAT, MAIL])
        with crew(database_url, 2, **scene.environment):
            assert scene.has_ended(30)
        assert (len(scene.sent()), scene.repeats(), len(scene.bot.requests)) == (6, 0, 3)
        assert set(UserJourney.objects.values_list("status", "deaths")) == {(RunStatus.COMPLETED, 0)}


def test_a_ticker_that_is_stopped_does_not_keep_the_lead(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tasks, "LOCK_IDLES", "1s")
    other = connections.create_connection("default")

    def is_free() -> bool:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [tasks.LEADER_LOCK])
            (taken,) = cursor.fetchone()
        return bool(taken)

    try:
        with pytest.raises(Exception, match="terminating connection"), tasks._advisory_lock(tasks.LEADER_LOCK):
            assert not is_free()
            assert eventually(is_free, 10)
    finally:
        other.close()
        connection.close()
