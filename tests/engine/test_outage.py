"""The database goes away in the middle: what was sent is recorded, what was claimed let go, and nothing repeated."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import OperationalError, connection, connections

from journeys import tasks
from journeys.engine import apart, cycle, outage, replay
from journeys.engine import claim as claim_module
from journeys.engine import record as record_module
from journeys.engine.claim import claim
from journeys.engine.ingest import Incoming, ingest
from journeys.engine.load import Loaded, LockedRun, load
from journeys.engine.outage import is_outage, persist
from journeys.models import Contact, RunStatus, StepExecution, UserJourney
from tests.engine.test_cycle import work_at
from tests.factories import make_contact, make_journey
from tests.sinks_http import BotApi, Reply, Request

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
HELLO = {"name": "Hello", "action_type": "send_telegram", "action_config": {"message": "Hi"}}
AGAIN = {"name": "Again", "action_type": "send_telegram", "action_config": {"message": "Again"}}

pytestmark = pytest.mark.django_db(transaction=True)


class CuttingBotApi(BotApi):
    """Does something before it answers."""

    before: Callable[[], None] = staticmethod(lambda: None)

    def reply(self, request: Request) -> Reply:
        self.before()
        return super().reply(request)


@pytest.fixture
def bot(settings) -> Iterator[CuttingBotApi]:
    with CuttingBotApi(token="1:a") as api:
        settings.TELEGRAM_API_URL, settings.TELEGRAM_BOT_TOKEN = api.url, "1:a"
        yield api


def start(*steps: dict[str, object]) -> UserJourney:
    make_contact("u1", now=NOW, telegram_chat_id="7")
    make_journey("Chat", list(steps), now=NOW)
    ingest([Incoming("u1", "signup")], NOW)
    return UserJourney.objects.get()


def terminate(pid: int) -> None:
    """End a session of PostgreSQL, over a connection of our own."""
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    finally:
        other.close()


def our_pid() -> int:
    connection.ensure_connection()
    return int(connection.connection.info.backend_pid)


@contextmanager
def lost_answers(monkeypatch: pytest.MonkeyPatch, module: object, count: int = 1) -> Iterator[None]:
    """The next commits of what the module writes succeed, but the connection breaks before their answer comes."""
    left, write = [count], module.write

    def write_and_break(*args: object) -> None:
        write(*args)
        commit = connection.commit

        def break_after_commit() -> None:
            commit()
            del connection.commit
            terminate(our_pid())
            raise OperationalError("the answer was lost")

        if left[0]:
            left[0] -= 1
            connection.commit = break_after_commit

    monkeypatch.setattr(module, "write", write_and_break)
    yield
    assert left == [0]
    monkeypatch.setattr(module, "write", write)


def test_what_is_sent_while_the_session_dies_is_recorded_and_not_repeated(bot):
    start(HELLO)
    pid = our_pid()
    bot.before = lambda: terminate(pid)
    cycle.work(lambda: NOW, 500)
    assert UserJourney.objects.get().status == RunStatus.COMPLETED
    work_at(NOW)
    assert len(bot.requests) == 1


def test_a_record_whose_commits_answer_is_lost_is_not_repeated_and_its_run_goes_on(bot, monkeypatch):
    start(HELLO, AGAIN)
    with lost_answers(monkeypatch, record_module, 2):
        cycle.work(lambda: NOW, 500)
    assert not UserJourney.objects.filter(lease_until__isnull=False).exists()
    work_at(NOW)
    run = UserJourney.objects.get()
    assert (run.status, run.deaths) == (RunStatus.COMPLETED, 0)
    assert [request.json()["text"] for request in bot.requests] == ["Hi", "Again"]
    assert list(StepExecution.objects.values_list("status", flat=True)) == ["success"] * 2


def test_a_failure_whose_commits_answer_is_lost_counts_once(bot, monkeypatch):
    run = start(HELLO)
    bot.next(BotApi.error(500, "oops"))
    with lost_answers(monkeypatch, record_module):
        cycle.work(lambda: NOW, 500)
    run.refresh_from_db()
    assert (run.attempts, run.deaths, StepExecution.objects.get().retry_count) == (1, 0, 1)


def test_a_claim_whose_commits_answer_is_lost_is_let_go_and_counts_as_no_death(bot, monkeypatch):
    run = start(HELLO)
    with lost_answers(monkeypatch, apart), pytest.raises(OperationalError):
        claim(NOW, 10)
    run.refresh_from_db()
    assert StepExecution.objects.get().status == "pending"
    assert (run.lease_until, run.deaths) == (None, 0)
    work_at(NOW)
    run.refresh_from_db()
    assert (run.status, len(bot.requests)) == (RunStatus.COMPLETED, 1)


def test_a_replay_survives_the_end_of_its_session(bot):
    start(HELLO)
    bot.next(BotApi.error(400, "no"))
    work_at(NOW)
    replay.replay(StepExecution.objects.values_list("id", flat=True), NOW)
    pid = our_pid()
    bot.before = lambda: terminate(pid)
    assert replay.work(lambda: NOW, 10) == 1
    execution = StepExecution.objects.get()
    assert (execution.status, execution.retry_count, len(bot.requests)) == ("success", 0, 2)


def test_while_nothing_can_be_recorded_nothing_more_is_sent(bot, monkeypatch):
    make_journey("Many", [HELLO], now=NOW)
    ingest([Incoming(f"u{number}", "signup") for number in range(300)], NOW)
    Contact.objects.update(telegram_chat_id="7")
    back = threading.Event()

    def away(*args: object) -> object:
        if not back.is_set():
            raise OperationalError("the database is away")
        return record_module.record(*args)

    monkeypatch.setattr(cycle, "record", away)
    at_the_outage: list[int] = []

    def sleep(seconds: float) -> None:
        threading.Event().wait(0.3)  # So long, what is on its way arrives.
        at_the_outage.append(len(bot.requests))
        if len(at_the_outage) == 4:
            back.set()

    monkeypatch.setattr(outage.time, "sleep", sleep)
    cycle.work(lambda: NOW, 500)
    monkeypatch.undo()
    assert at_the_outage[0] == at_the_outage[-1] < 300
    assert UserJourney.objects.filter(status=RunStatus.COMPLETED).count() == at_the_outage[0]
    assert not UserJourney.objects.filter(lease_until__isnull=False).exists()
    work_at(NOW)
    assert len(bot.requests) == 300


def test_persist_gives_up_in_the_end_and_at_once_where_it_is_no_outage(monkeypatch):
    tries: list[int] = []

    def fail(error: Exception) -> None:
        tries.append(1)
        raise error

    monkeypatch.setattr(outage, "PATIENCE_SECONDS", 0.2)
    with pytest.raises(OperationalError):
        persist(lambda: fail(OperationalError("away")))
    assert len(tries) > 1
    tries.clear()
    with pytest.raises(ValueError, match="ours"):
        persist(lambda: fail(ValueError("ours")))
    assert len(tries) == 1


def test_a_transaction_that_idles_is_ended_and_that_is_an_outage(bot, settings, monkeypatch):
    """As when a worker is stopped in the middle: its locks are free again, and it finds its connection closed."""
    settings.JOURNEYS = {**settings.JOURNEYS, "LEASE_SECONDS": 2}
    start(HELLO)
    write = apart.write

    def stopped(*args: object) -> None:
        threading.Event().wait(1.6)
        write(*args)

    monkeypatch.setattr(apart, "write", stopped)
    with pytest.raises(Exception) as caught:
        claim(NOW, 10)
    assert is_outage(caught.value)
    connection.close()
    monkeypatch.undo()
    assert len(claim(NOW, 10).sends) == 1


def test_a_tick_and_a_work_task_end_well_when_the_database_goes_away(monkeypatch):
    from django_q.models import OrmQ

    def cut(*args: object, **kwargs: object) -> None:
        terminate(our_pid())
        connection.cursor().execute("SELECT 1")

    monkeypatch.setattr(tasks, "is_anything_due", cut)
    tasks.tick(1)
    assert OrmQ.objects.count() == 1  # Its successor.
    monkeypatch.setattr(cycle, "work", cut)
    assert tasks.work() == 0


def test_what_was_claimed_of_a_batch_before_the_database_went_away_is_sent_and_recorded(bot, monkeypatch):
    """While it is claimed part by part, because something in it can't be read."""
    make_journey("Chat", [HELLO], now=NOW)
    ingest([Incoming(f"u{number}", "signup") for number in range(16)], NOW)
    Contact.objects.update(telegram_chat_id="7")
    parts = 0

    def unreadable_and_then_away(rows: Sequence[LockedRun], *args: Any, **more: Any) -> Loaded:
        nonlocal parts
        if len(rows) > 2:
            raise LookupError("one of these can't be read")
        parts += 1
        if parts > 3:
            raise OperationalError("the connection is lost")
        return load(rows, *args, **more)

    with monkeypatch.context() as broken:
        broken.setattr(claim_module, "load", unreadable_and_then_away)
        cycle.work(lambda: NOW, 500)
    assert UserJourney.objects.filter(status=RunStatus.COMPLETED).count() == 6
    assert not UserJourney.objects.filter(lease_until__isnull=False).exists()
    work_at(NOW)
    assert UserJourney.objects.filter(status=RunStatus.COMPLETED, deaths=0).count() == 16
    assert len(bot.requests) == 16
