"""Many workers and two tickers on the same runs: each step is done once. Many triggers at once: one run."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psutil
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from journeys.engine.ingest import Incoming, ingest
from journeys.models import Event, UserJourney
from tests.factories import make_journey
from tests.faults.crew import crew
from tests.faults.scene import LENGTHEN, TAG, Scene, assert_each_step_was_done_once
from tests.workers import running_worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("worker")]


@pytest.mark.parametrize("count", [2, 4, 8])
def test_workers_on_the_same_runs_do_each_step_once(count: int, scene: Scene, database_url: str):
    people = 150 * LENGTHEN
    scene.begin(people)
    with crew(database_url, count, **scene.environment) as workers:
        assert scene.has_ended(60 * LENGTHEN)
        assert len(workers.living()) == count
    assert_each_step_was_done_once(scene, people)


def test_two_clusters_each_with_its_tickers_do_each_step_once(scene: Scene, database_url: str):
    people = 100 * LENGTHEN
    with ExitStack() as clusters:
        both = [clusters.enter_context(running_worker(database_url, **scene.environment)) for _ in range(2)]
        scene.begin(people)
        assert scene.has_ended(60 * LENGTHEN)
        assert all(psutil.Process(cluster.pid).children() for cluster in both)
    assert_each_step_was_done_once(scene, people)


def at_once(act: Callable[[int], object], count: int = 20) -> None:
    """Do it so many times at the same moment, each on a connection of its own."""

    def one(number: int) -> None:
        try:
            act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        list(threads.map(one, range(count)))


def test_twenty_triggers_at_once_start_one_run():
    make_journey("Welcome", [TAG], now=timezone.now())
    at_once(lambda number: ingest([Incoming("ann", "signup", message_id=f"m{number}")], timezone.now()))
    assert (UserJourney.objects.count(), Event.objects.count()) == (1, 20)


def test_twenty_triggers_over_the_api_start_one_run():
    make_journey("Welcome", [TAG], now=timezone.now())
    user = User.objects.create_superuser("root", "root@example.com", "a long password")

    def trigger(number: int) -> None:
        client = APIClient()
        client.force_authenticate(user)
        body = {"trigger_type": "signup", "user_id": "ann"}
        assert client.post("/api/v1/journeys/trigger", body, format="json").status_code == 200

    at_once(trigger)
    assert UserJourney.objects.count() == 1
