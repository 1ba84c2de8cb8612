"""PostgreSQL restarts, its sessions are ended, answers to COMMIT are lost: nothing is lost or repeated, and no worker
needs a restart."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from django.db import connection
from django.utils import timezone

from journeys.models import Heartbeat, RunStatus, UserJourney
from tests.faults.crew import crew
from tests.faults.own_server import FAST, IMMEDIATE, own_server
from tests.faults.proxy import Proxy
from tests.faults.scene import LENGTHEN, HoldingBotApi, Scene, assert_each_step_was_done_once
from tests.workers import eventually, running_worker, url_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("worker")]
PEOPLE = 120 * LENGTHEN


@pytest.fixture
def scene() -> Iterator[Scene]:
    """With leases that outlast the test: what is not let go would be missed."""
    with Scene(LEASE_SECONDS="300") as open_scene:
        yield open_scene


def end_sessions() -> int:
    """End all sessions of this database but ours; how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        (count,) = cursor.fetchone()
        return int(count)


def has_ended() -> bool:
    return not UserJourney.objects.filter(status=RunStatus.ACTIVE).exists()


def test_workers_whose_sessions_are_ended_again_and_again_need_no_restart(scene: Scene, database_url: str):
    scene.begin(PEOPLE)
    ended, dice = 0, random.Random(5)
    with crew(database_url, 3, **scene.environment) as workers:
        until = time.monotonic() + 60 * LENGTHEN
        while not has_ended() and time.monotonic() < until:
            time.sleep(dice.uniform(0.1, 0.5))
            ended += end_sessions()
        assert scene.has_ended(30)
        assert workers.living() == workers.pids
    assert ended >= 6
    assert_each_step_was_done_once(scene, PEOPLE)


def test_commits_that_succeed_and_report_failure_repeat_nothing(scene: Scene, database_url: str):
    scene.begin(PEOPLE)
    with Proxy(connection.get_connection_params(), cut_every=3) as proxy:
        with crew(proxy.url, 3, **scene.environment) as workers:
            assert scene.has_ended(60 * LENGTHEN)
            assert workers.living() == workers.pids
    assert proxy.cuts >= 10
    assert_each_step_was_done_once(scene, PEOPLE)
    assert not UserJourney.objects.exclude(deaths=0).exists()


def test_postgresql_restarts_and_no_worker_does(transactional_db: None, tmp_path: Path):
    bot = HoldingBotApi()
    bot.pause = 0.1
    bot.answers.set()
    with own_server(tmp_path) as server, Scene(bot, LEASE_SECONDS="30") as scene:
        url = url_of(server.parameters)
        with running_worker(url, **scene.environment) as worker, crew(url, 2, **scene.environment) as workers:
            assert eventually(Heartbeat.objects.filter(name="chain-2").exists)
            clusters = psutil.Process(worker.pid).children()
            scene.begin(PEOPLE)
            for number in range(2 * LENGTHEN):
                bot.wait_for(30 * (number + 1), 60)
                connection.close()
                server.restart((FAST, IMMEDIATE)[number % 2], 1)
                assert not has_ended(), "the restart came too late to be one in the middle"
            back_at = timezone.now()
            assert scene.has_ended(60)
            assert eventually(Heartbeat.objects.filter(name__startswith="chain-", at__gt=back_at).exists)
            assert workers.living() == workers.pids
            assert psutil.Process(worker.pid).children() == clusters
        assert_each_step_was_done_once(scene, PEOPLE)
