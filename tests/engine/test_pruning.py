"""What is past its retention goes: old months whole, the rest in lots; what must stay, stays."""

import math
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django_q.models import OrmQ, Success
from django_q.signing import SignedPackage

from journeys import tasks
from journeys.analytics import journey_numbers
from journeys.engine import cycle, partitions, pruning, replay
from journeys.engine.housekeeping import minute
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Event, EventKey, Journey, Message, StepExecution, Tally, TallyTotal, UserJourney
from tests.factories import make_journey

MAY = datetime(2040, 5, 17, 9, tzinfo=UTC)
YEAR = timedelta(days=366)
TAG = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "t"}}
LATER = {**TAG, "name": "Later", "delay_minutes": 60 * 24 * 800}
CALL = {"name": "Call", "action_type": "trigger_webhook", "action_config": {"url": "https://127.0.0.1:1/"}}


def run_everything(now: datetime) -> None:
    while cycle.work(lambda: now, 100).runs:
        pass


def enter(users: int, now: datetime, trigger: str = "signup") -> None:
    ingest([Incoming(f"{trigger}{number}", trigger, message_id=f"{now}") for number in range(users)], now)
    run_everything(now)


def prune(now: datetime) -> None:
    connection.check_constraints()  # What a test holds back until its end stands in the way of DROP TABLE.
    assert pruning.prune(now, math.inf) is None


def names(table: str = "step_executions") -> set[str]:
    return {part.name for part in partitions.partitions(table)}


@pytest.fixture(autouse=True)
def lots_of_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH", 10)


@pytest.mark.django_db
def test_months_past_their_retention_are_dropped_and_younger_ones_kept():
    partitions.make_months(MAY)
    make_journey("Tags", [TAG], now=MAY)
    enter(3, MAY)
    enter(5, MAY + timedelta(days=40))
    prune(MAY + YEAR + timedelta(days=20))
    for table in partitions.TABLES:
        assert f"{table}_2040_05" not in names(table)
        assert f"{table}_2040_06" in names(table)
    assert (StepExecution.objects.count(), Event.objects.count(), EventKey.objects.count()) == (2, 5, 5)
    assert UserJourney.objects.count() == 5


@pytest.mark.django_db
def test_runs_that_go_on_keep_their_executions_and_their_month_the_others_go():
    partitions.make_months(MAY)
    make_journey("Short", [TAG], now=MAY)
    make_journey("Long", [TAG, LATER], trigger_type="upgrade", now=MAY)
    enter(25, MAY)
    enter(2, MAY, "upgrade")
    prune(MAY + 2 * YEAR)
    assert "step_executions_2040_05" in names()
    assert set(StepExecution.objects.values_list("user_journey__journey__name", flat=True)) == {"Long"}
    run_everything(MAY + 3 * YEAR)
    assert set(StepExecution.objects.values_list("step__name", "status")) == {("Tag", "success"), ("Later", "success")}
    prune(MAY + 5 * YEAR)
    assert "step_executions_2040_05" not in names()


@pytest.mark.django_db
def test_a_dead_letter_keeps_its_month_until_it_is_dismissed(settings: Any):
    settings.JOURNEYS = {**settings.JOURNEYS, "MAX_ATTEMPTS": 1}
    partitions.make_months(MAY)
    make_journey("Calls", [CALL], now=MAY)
    enter(1, MAY)
    dead = StepExecution.objects.get()
    assert dead.dead_at is not None
    with CaptureQueriesContext(connection) as asked:
        prune(MAY + 2 * YEAR)
    assert not [each for each in asked.captured_queries if "LOCK TABLE step_executions_2040_05" in each["sql"]]
    assert StepExecution.objects.filter(id=dead.id).exists()
    replay.dismiss([dead.id], MAY + 2 * YEAR)
    prune(MAY + 2 * YEAR)
    assert "step_executions_2040_05" not in names()
    assert not Message.objects.exists()


@pytest.mark.django_db
def test_a_dead_letter_keeps_its_message_for_a_replay(settings: Any):
    settings.JOURNEYS = {**settings.JOURNEYS, "MAX_ATTEMPTS": 1, "MESSAGE_RETENTION_DAYS": 7}
    make_journey("Calls", [CALL], now=MAY)
    enter(3, MAY)
    first, second, third = StepExecution.objects.order_by("id")
    replay.replay([second.id], MAY + timedelta(days=8))
    replay.dismiss([third.id], MAY + timedelta(days=8))
    prune(MAY + timedelta(days=8))
    assert set(Message.objects.values_list("id", flat=True)) == {first.id, second.id}


@pytest.mark.django_db
def test_what_lies_in_no_month_goes_too_in_lots():
    make_journey("Tags", [TAG], now=MAY)
    enter(35, MAY)
    enter(37, MAY + timedelta(days=40))
    assert set(StepExecution.objects.values_list("status", flat=True)) == {"success"}
    prune(MAY + YEAR)
    assert (StepExecution.objects.count(), Event.objects.count(), EventKey.objects.count()) == (2, 37, 37)


@pytest.mark.django_db
def test_each_kind_of_row_has_a_retention_of_its_own(settings: Any):
    make_journey("Tags", [TAG], now=MAY)
    enter(3, MAY)
    minute(MAY)
    left = (lambda: (Event.objects.count(), EventKey.objects.count(), StepExecution.objects.count()),)[0]
    for setting, expected in (
        ("EVENT_RETENTION_DAYS", (0, 3, 3)),
        ("EVENT_KEY_RETENTION_DAYS", (0, 0, 3)),
        ("EXECUTION_RETENTION_DAYS", (0, 0, 0)),
    ):
        settings.JOURNEYS = {**settings.JOURNEYS, setting: 7}
        prune(MAY + timedelta(days=6))
        assert left() != expected
        prune(MAY + timedelta(days=8))
        assert left() == expected
    assert TallyTotal.objects.filter(day=None).count() == 0
    settings.JOURNEYS = {**settings.JOURNEYS, "TALLY_RETENTION_DAYS": 7}
    prune(MAY + timedelta(days=9))
    assert TallyTotal.objects.exclude(day=None).count() == 0


@pytest.mark.django_db
def test_counts_stay_the_same_when_their_days_are_summed_up():
    journey = make_journey("Tags", [TAG], now=MAY)
    enter(3, MAY)
    minute(MAY)
    enter(5, MAY + timedelta(days=1))
    minute(MAY + timedelta(days=1))
    before = journey_numbers([journey.id])
    assert before[journey.id].started == 5
    for days in (1, 2, 3):
        prune(MAY + timedelta(days=365 + days))
        assert journey_numbers([journey.id]) == before
    assert set(TallyTotal.objects.values_list("day", flat=True)) == {None}
    assert not Tally.objects.exists()


@pytest.mark.django_db
def test_pruning_that_is_out_of_time_goes_on_where_it_was():
    make_journey("Tags", [TAG], now=MAY)
    enter(35, MAY)
    now = MAY + YEAR
    place, turns = pruning.prune(now, time.monotonic() - 1), 0
    assert Event.objects.count() == 35
    while place is not None:
        place, turns = pruning.prune(now, time.monotonic() + 0.02, place), turns + 1
        assert turns < 100
    assert turns > 1
    assert (StepExecution.objects.count(), Event.objects.count(), EventKey.objects.count()) == (0, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_a_month_that_somebody_reads_is_emptied_and_dropped_another_night(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pruning, "DROP_TRIES", 1)
    partitions.make_months(MAY)
    make_journey("Tags", [TAG], now=MAY)
    enter(3, MAY)
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Event.objects.count()
            held.set()
            let_go.wait(30)
        connection.close()

    reader = threading.Thread(target=hold)
    reader.start()
    try:
        assert held.wait(30)
        prune(MAY + 2 * YEAR)
        assert "events_2040_05" in names("events")
        assert Event.objects.count() == 0
    finally:
        let_go.set()
        reader.join()
    prune(MAY + 2 * YEAR)
    assert {name for name in names("events") | names() if "_2040_" in name} == set()


@pytest.mark.django_db
def test_records_of_tasks_and_tasks_that_nobody_took_go_after_a_day():
    now = datetime.now(UTC)
    for number, age in enumerate((0.5, 1.5)):
        Success.objects.create(
            id=str(number), name="x", func="f", started=now, stopped=now - timedelta(days=age), success=True
        )
        for func in ("journeys.tasks.work", "shop.tasks.invoice"):
            payload = SignedPackage.dumps({"id": "x", "name": "x", "func": func, "args": (), "kwargs": {}})
            OrmQ.objects.create(key=settings.Q_CLUSTER["name"], payload=payload, lock=now - timedelta(days=age))
    pruning.prune_task_records(now)
    assert Success.objects.count() == 1
    assert sorted(task.func() for task in OrmQ.objects.all()) == [
        "journeys.tasks.work",
        "shop.tasks.invoice",
        "shop.tasks.invoice",
    ]


@pytest.mark.django_db
def test_records_of_tasks_go_in_lots():
    now = datetime.now(UTC)
    for number in range(25):
        Success.objects.create(id=str(number), name="x", func="f", started=now, stopped=now - YEAR, success=True)
    with CaptureQueriesContext(connection) as asked:
        pruning.prune_task_records(now)
    assert not Success.objects.exists()
    assert len([1 for each in asked.captured_queries if each["sql"].startswith("DELETE")]) == 3


@pytest.mark.django_db
def test_a_deleted_journey_takes_its_executions_of_every_month_with_it():
    from journeys.engine.inside import delete_runs

    partitions.make_months(MAY)
    journey = make_journey("Tags", [TAG], now=MAY)
    enter(3, MAY)
    enter(5, MAY + timedelta(days=40))
    assert delete_runs(journey.id) == 5
    assert not StepExecution.objects.exists()
    assert Journey.objects.filter(id=journey.id).exists()


@pytest.mark.django_db
def test_a_night_that_is_too_short_hands_on_to_the_next_task(monkeypatch: pytest.MonkeyPatch):
    now = datetime.now(UTC)
    make_journey("Tags", [TAG], now=now - 2 * YEAR)
    enter(35, now - 2 * YEAR)
    monkeypatch.setattr(tasks, "PRUNE_SECONDS", -1)
    tasks.prune()
    (next_task,) = OrmQ.objects.all()
    assert (next_task.func(), next_task.args()[0]) == (tasks.PRUNE, "events")
    assert Event.objects.count() == 35
    monkeypatch.setattr(tasks, "PRUNE_SECONDS", 60)
    tasks.prune(*next_task.args())
    assert (OrmQ.objects.count(), Event.objects.count(), StepExecution.objects.count()) == (1, 0, 0)
