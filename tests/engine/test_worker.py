"""The worker as a process: it finds what is due by itself, drains when stopped, and repairs what broke."""

import signal
from collections.abc import Callable, Iterator
from datetime import timedelta

import psutil
import pytest
from django.utils import timezone

from journeys import tasks
from journeys.engine import wake
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Heartbeat, RunStatus, UserJourney
from tests.engine.test_cycle import tag
from tests.factories import make_journey
from tests.workers import Process, eventually, running_worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("worker")]


@pytest.fixture
def worker(database_url: str) -> Iterator[Process]:
    with running_worker(database_url) as process:
        yield process


def is_completed(user_id: str) -> Callable[[], bool]:
    return UserJourney.objects.filter(contact__user_id=user_id, status=RunStatus.COMPLETED).exists


def test_the_worker_runs_what_was_triggered_and_what_comes_due_and_stops_in_time(worker):
    make_journey("Soon", [tag("a", delay_minutes=1)], now=timezone.now())
    make_journey("Now", [tag("b")], trigger_type="upgrade", now=timezone.now())
    assert eventually(Heartbeat.objects.filter(name="tick").exists)
    ingest([Incoming("waiting", "signup")], timezone.now() - timedelta(seconds=58))  # Due soon, and nobody wakes.
    assert eventually(is_completed("waiting"))
    ingest([Incoming("woken", "upgrade")], timezone.now())
    wake.after_commit()
    assert eventually(is_completed("woken"))
    worker.send_signal(signal.SIGINT)
    assert worker.wait(25) == 0


def test_a_killed_cluster_is_started_anew_and_loses_nothing(worker):
    make_journey("Tags", [tag("a")], now=timezone.now())
    assert eventually(Heartbeat.objects.filter(name="tick").exists)
    for child in psutil.Process(worker.pid).children(recursive=True):
        child.kill()
    ingest([Incoming("u1", "signup")], timezone.now())
    assert eventually(is_completed("u1"), 60)


def test_no_cluster_outlives_a_worker_that_is_killed(worker):
    assert eventually(Heartbeat.objects.filter(name="tick").exists)
    children = psutil.Process(worker.pid).children(recursive=True)
    worker.kill()
    gone, alive = psutil.wait_procs(children, timeout=30)
    assert (len(gone), alive) == (len(children), [])


def test_schedules_are_set_up_once_however_often():
    from django_q.models import Schedule

    for _ in range(3):
        tasks.set_up_schedules()
    assert sorted(Schedule.objects.values_list("name", flat=True)) == sorted(tasks.SCHEDULES)


def test_a_duplicate_link_of_a_chain_ends_at_once_and_leaves_no_successor():
    from django.db import connections
    from django_q.models import OrmQ

    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [tasks.CHAIN_LOCK + 1])
        tasks.tick(1)
    finally:
        other.close()
    assert OrmQ.objects.count() == 0


def test_a_wake_up_is_one_task_however_many_ask_for_it(monkeypatch):
    from django_q.models import OrmQ

    monkeypatch.setattr(wake, "_woken_at", float("-inf"))
    for _ in range(50):
        wake.after_commit()
    assert OrmQ.objects.count() == 1
