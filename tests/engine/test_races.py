"""Two at once: real connections in real threads, each of which commits."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from journeys.authoring.document import export, parse
from journeys.authoring.publish import patch_journey, save_journey, set_active
from journeys.engine import housekeeping
from journeys.engine.claim import claim
from journeys.engine.ingest import Answer, Incoming, ingest
from journeys.engine.queue import is_anything_due
from journeys.models import Journey, RunStatus, UserJourney
from tests.engine.test_cycle import tag, work_at
from tests.factories import make_journey
from tests.workers import eventually

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def meanwhile(act: Callable[[], Any]) -> Iterator[list[Any]]:
    """Run `act` in a thread with a connection of its own, once it waits for a lock of ours; its answer, at the end."""
    answers: list[Any] = []

    def run() -> None:
        try:
            answers.append(act())
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert eventually(_somebody_waits, 5)
    yield answers
    thread.join(10)


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        (count,) = cursor.fetchone()
        return bool(count)


def test_an_event_that_comes_while_its_journey_is_published_starts_the_new_version():
    journey = make_journey("Edited", [tag("a")], now=NOW)
    with transaction.atomic():
        document = parse({**export(journey), "steps": [tag("b")]})
        save_journey(journey.id, document, None, NOW)
        waiting = meanwhile(lambda: ingest([Incoming("u1", "signup")], NOW))
        answers = waiting.__enter__()
    waiting.__exit__(None, None, None)
    (answer,) = answers[0]
    assert isinstance(answer, Answer)
    assert answer.started == (journey.id,)
    assert UserJourney.objects.get().version_id == Journey.objects.get().live_version_id


def test_two_batches_that_share_a_new_contact_and_one_that_is_there_do_not_block_each_other():
    ingest([Incoming("there", "click")], NOW)
    with transaction.atomic():
        ingest([Incoming("new", "click")], NOW)
        waiting = meanwhile(lambda: ingest([Incoming("there", "click"), Incoming("new", "click")], NOW))
        answers = waiting.__enter__()
        ingest([Incoming("there", "click")], NOW)
    waiting.__exit__(None, None, None)
    assert [answer.status for answer in answers[0]] == ["accepted", "accepted"]


def test_a_trigger_that_is_changed_meanwhile_counts_as_it_is_after_the_change():
    journey = make_journey("Edited", [tag("a")], now=NOW)
    with transaction.atomic():
        patch_journey(journey.id, {"trigger_type": "upgrade"}, None, NOW)
        waiting = meanwhile(lambda: ingest([Incoming("u1", "signup")], NOW))
        answers = waiting.__enter__()
    waiting.__exit__(None, None, None)
    assert answers[0][0].started == ()


def test_runs_of_a_journey_that_is_off_hold_up_nobody_although_they_are_due(settings):
    """A worker died with them, or the switch was thrown and the process died before it parked them."""
    stuck = make_journey("Off", [tag("a")], now=NOW)
    ingest([Incoming(f"u{number}", "signup") for number in range(5)], NOW)
    Journey.objects.filter(id=stuck.id).update(is_active=False)
    assert not is_anything_due(NOW)
    make_journey("On", [tag("b")], trigger_type="upgrade", now=NOW)
    ingest([Incoming("other", "upgrade")], NOW + timedelta(minutes=1))
    assert is_anything_due(NOW + timedelta(minutes=1))
    assert len(claim(NOW + timedelta(minutes=1), 5).decisions) == 1


def test_a_dead_workers_runs_are_parked_when_their_journey_is_switched_off():
    journey = make_journey("Chat", [{"name": "Hi", "action_type": "send_telegram", "action_config": {"message": "Hi"}}],
                           now=NOW)  # fmt: skip
    ingest([Incoming("u1", "signup")], NOW)
    from journeys.models import Contact

    Contact.objects.update(telegram_chat_id="7")
    assert len(claim(NOW, 5).sends) == 1
    UserJourney.objects.update(lease_until=datetime.now(UTC) - timedelta(seconds=1))
    set_active(journey.id, False, None, NOW)
    run = UserJourney.objects.get()
    assert (run.due_at, run.parked_due_at) == (None, NOW)
    set_active(journey.id, True, None, NOW)
    work_at(NOW)
    assert UserJourney.objects.get().status == RunStatus.COMPLETED


def test_the_minute_job_parks_what_a_dead_worker_left_in_a_journey_that_is_off():
    journey = make_journey("Tags", [tag("a")], now=NOW)
    ingest([Incoming("u1", "signup")], NOW)
    UserJourney.objects.update(
        claim_token="5b0b9f0e-6f0e-4a56-8f3c-0d5d7c1f6a11", lease_until=datetime.now(UTC) - timedelta(seconds=1)
    )
    Journey.objects.filter(id=journey.id).update(is_active=False)
    housekeeping.minute(NOW)
    assert UserJourney.objects.get().due_at is None
