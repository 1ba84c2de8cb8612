"""kill -9 at the worst moment for repeats: providers are quick, and the database answers nothing any more.

Each worker has far more to send than may be unrecorded. When no sender goes on, all are killed.
"""

import signal
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from journeys.engine import cycle
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Contact, UserJourney
from journeys.models.ids import new_id
from tests.factories import make_journey
from tests.torture.evidence import gather
from tests.torture.herd import Herd, work_on
from tests.torture.population import Course, email
from tests.torture.promises import Case
from tests.torture.stage import Stage, stage

BATCH = 500
QUIET_SECONDS = 1.0
PATIENCE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Reader:
    user_id: str


def course(reader: Reader, split: str) -> Course:
    return Course("completed", {"it": "success"}, frozenset(), ())


def play(workers: int, lease: int) -> Case:
    with stage(lease, answer_seconds=0, refuses=False) as on:
        readers = [Reader(f"reader-{number}") for number in range(workers * BATCH)]
        _enter(readers, on)
        with Herd(workers, partial(_work_and_hang, on)) as doomed:
            _wait_until_quiet(on)
        for life in doomed.lives:
            life.killed_at = time.time() if life.process.exitcode == -signal.SIGKILL else None
        with Herd(2, partial(work_on, on.clock, BATCH), first=workers) as healers:
            until = time.monotonic() + PATIENCE_SECONDS
            while UserJourney.objects.filter(status="active").exists() and time.monotonic() < until:
                time.sleep(0.1)
        lives = {life.name: life for life in (*doomed.lives, *healers.lives)}
        return Case(readers, course, lives, gather(on.ledger.read()))


def _enter(readers: list[Reader], on: Stage) -> None:
    now = on.clock()
    Contact.objects.bulk_create(
        Contact(id=new_id(now), user_id=one.user_id, email=f"{one.user_id}@example.com", created_at=now, updated_at=now)
        for one in readers
    )
    make_journey("Newsletter", [email("it")], now=now)
    ingest([Incoming(one.user_id, "signup") for one in readers], now)


def _work_and_hang(on: Stage, state: Any) -> None:
    """One batch, of which nothing can be recorded."""

    def hang(*_: object) -> None:
        time.sleep(PATIENCE_SECONDS)

    cycle.record = hang
    while True:
        cycle.work(on.clock, BATCH)


def _wait_until_quiet(on: Stage) -> None:
    """Until something has come, and then nothing more for a while."""
    came, since = 0, time.monotonic()
    begun = since
    while time.monotonic() - begun < PATIENCE_SECONDS and (not came or time.monotonic() - since < QUIET_SECONDS):
        time.sleep(0.05)
        if (now := len(on.ledger.read())) > came:
            came, since = now, time.monotonic()
