"""django-q2's weaknesses: a cluster that is stuck, tasks that are lost or come twice. None of them loses or doubles."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

from journeys import tasks
from journeys.engine.queue import beat
from journeys.management.commands.worker import _ticks
from journeys.models import Heartbeat
from tests.faults.scene import Scene, assert_each_step_was_done_once
from tests.workers import Process, eventually, running_worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("worker")]
IMPATIENT = ("-m", "tests.faults.impatient")


@pytest.fixture
def worker(scene: Scene, database_url: str) -> Iterator[Process]:
    with running_worker(database_url, IMPATIENT, **scene.environment) as process:
        assert eventually(Heartbeat.objects.filter(name="tick").exists)
        yield process


def test_a_cluster_that_is_stuck_is_started_anew_and_goes_on(worker: Process, scene: Scene):
    (cluster,) = psutil.Process(worker.pid).children()
    for process in [cluster, *cluster.children(recursive=True)]:
        process.send_signal(signal.SIGSTOP)
    scene.begin(20)
    assert scene.has_ended(40)
    (another,) = psutil.Process(worker.pid).children()
    assert another != cluster
    assert_each_step_was_done_once(scene, 20)


@contextmanager
def all_tasks_are_lost() -> Iterator[None]:
    """Who enqueues one hears that it is there, and it is gone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN DELETE FROM django_q_ormq WHERE id = NEW.id; RETURN NULL; END'; "
            "CREATE TRIGGER lose AFTER INSERT ON django_q_ormq FOR EACH ROW EXECUTE FUNCTION lose()"
        )
        try:
            yield
        finally:
            cursor.execute("DROP TRIGGER lose ON django_q_ormq; DROP FUNCTION lose()")


def test_tasks_that_are_lost_or_come_many_times_do_no_harm(worker: Process, scene: Scene):
    with all_tasks_are_lost():
        scene.begin(60)
        time.sleep(1.5)
        assert not scene.has_ended(0)
    for _ in range(10):
        async_task(tasks.WORK)
        tasks.start_chains()
    assert scene.has_ended(40)
    assert_each_step_was_done_once(scene, 60)


def test_the_watchdog_starts_chains_that_broke():
    assert _ticks(True) is False
    assert OrmQ.objects.count() == len(tasks.CHAINS)
    for name in ("tick", "chain-1", "chain-2"):
        beat(name, timezone.now())
    assert _ticks(True) is True
    assert OrmQ.objects.count() == len(tasks.CHAINS)
