"""How much something that raises delays others: `python -m tests.faults.poison` prints it for four kinds of poison.

Work is counted rather than timed: runs that are read and decided, runs that are written, and statements, which cost
about the same each. `main` prints the seconds as well.
"""

import gc
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from unittest import mock
from uuid import uuid4

import django
from django.conf import settings
from django.db import connection

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()

from journeys.actions.registry import ACTIONS
from journeys.bench.database import empty, own_database, settle
from journeys.engine import apart, claim, cycle, flows
from journeys.engine.decision import SUSPECT_DEATHS
from journeys.engine.ingest import Incoming, ingest
from journeys.logic.ids import execution_id
from journeys.models import Journey, JourneyVersion, Reward, RunStatus, UserJourney
from tests.factories import make_journey

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
GIFT = {"name": "Gift", "action_type": "grant_reward", "action_config": {"reward_type": "points", "value": 1}}
TAG = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "t"}}
BROKEN = {
    "name": "Broken",
    "action_type": "send_telegram",
    "action_config": {"message": "{{ 1 | divided_by: 0 }}"},
    "on_failure": "stop",
}


@dataclass
class Work:
    runs_read: int = 0
    runs_written: int = 0
    statements: int = 0
    seconds: float = 0.0

    @property
    def amount(self) -> int:
        return self.runs_read + self.runs_written + self.statements


@contextmanager
def counted() -> Iterator[Work]:
    """What the engine does meanwhile."""
    work, load, write = Work(), claim.load, apart.write

    def load_and_count(rows: Any, *args: Any, **options: Any) -> Any:
        work.runs_read += len(rows)
        return load(rows, *args, **options)

    def write_and_count(decisions: Any, *args: Any) -> None:
        work.runs_written += len(decisions)
        write(decisions, *args)

    def count_statement(execute: Any, *args: Any) -> Any:
        work.statements += 1
        return execute(*args)

    began = time.perf_counter()
    with (
        mock.patch.object(claim, "load", load_and_count),
        mock.patch.object(apart, "write", write_and_count),
        connection.execute_wrapper(count_statement),
    ):
        yield work
    work.seconds = time.perf_counter() - began


def one_run() -> None:
    """A run that PostgreSQL rejects."""
    make_journey("One run", [GIFT], trigger_type="upgrade", now=NOW)
    ingest([Incoming("bad", "upgrade")], NOW)
    already_rewarded("One run")


def one_template() -> None:
    """A template that divides by nothing."""
    make_journey("One template", [BROKEN], trigger_type="upgrade", now=NOW)
    ingest([Incoming("bad", "upgrade")], NOW)
    UserJourney.objects.get(journey__name="One template")
    connection.cursor().execute("UPDATE contacts SET telegram_chat_id = '7' WHERE user_id = 'bad'")


def one_definition() -> None:
    """A version that can't be compiled here, as of another release."""
    journey = make_journey("One definition", [TAG], trigger_type="upgrade", now=NOW)
    ingest([Incoming("bad", "upgrade")], NOW)
    version = JourneyVersion.objects.get(id=Journey.objects.get(id=journey.id).live_version_id)
    version.definition["steps"][0]["action_type"] = "from_the_future"
    version.save()
    flows._flows.clear()


def one_journey() -> None:
    """A journey whose every run raises what nobody foresaw: a twentieth as many as the others."""
    make_journey(
        "One journey",
        [{**TAG, "action_config": {"tag": RAISES}, "on_failure": "stop"}],
        trigger_type="upgrade",
        now=NOW,
    )
    ingest([Incoming(f"bad{number}", "upgrade") for number in range(UserJourney.objects.count() // 20)], NOW)


def suspects() -> None:
    """A journey whose every run PostgreSQL rejects, and each broke a batch: a twentieth as many as the others."""
    make_journey("Rejected journey", [GIFT], trigger_type="upgrade", now=NOW)
    ingest([Incoming(f"bad{number}", "upgrade") for number in range(UserJourney.objects.count() // 20)], NOW)
    already_rewarded("Rejected journey")
    UserJourney.objects.filter(journey__name="Rejected journey").update(deaths=SUSPECT_DEATHS, attempts=1)


def already_rewarded(journey: str) -> None:
    """Something that only the database sees: the runs' rewards are in the ledger, although they never executed."""
    Reward.objects.bulk_create(
        Reward(
            id=uuid4(), contact_id=run.contact_id, execution_id=execution_id(run.id, run.current_step_id),
            reward_type="points", value=1, granted_at=NOW,
        )
        for run in UserJourney.objects.filter(journey__name=journey)
    )  # fmt: skip


RAISES = "raises"


@contextmanager
def a_tag_that_raises() -> Iterator[None]:
    action = ACTIONS["apply_tag"]
    prepare = action.prepare

    def prepare_or_raise(config: Any, context: Any) -> Any:
        if config.tag == RAISES:
            raise ZeroDivisionError("nobody foresaw this")
        return prepare(config, context)

    with mock.patch.object(action, "prepare", prepare_or_raise):
        yield


KINDS: dict[str, Callable[[], None]] = {
    "one run": one_run,
    "one journey": one_journey,
    "one template": one_template,
    "one definition": one_definition,
}
REASONS = {
    "one run": "IntegrityError",
    "one journey": "ZeroDivisionError",
    "one template": "can't divide by 0",
    "one definition": "can't be compiled",
}


def others(count: int, name: str = "Others", trigger: str = "signup") -> None:
    """Those who are not to be delayed."""
    make_journey(name, [TAG, GIFT], trigger_type=trigger, now=NOW)
    for start in range(0, count, 500):
        users = range(start, min(count, start + 500))
        ingest([Incoming(f"{name}-{number}", trigger) for number in users], NOW)


def work_until_done(batch: int, name: str = "Others", *, minutes: int = 0) -> Work:
    """What there is to do until those are done. With each batch so many `minutes` pass."""
    passed = count(step=minutes)
    with counted() as work, a_tag_that_raises():
        while UserJourney.objects.filter(journey__name=name, status=RunStatus.ACTIVE).exists():
            now = NOW + timedelta(minutes=next(passed))
            cycle.work(lambda: now, batch)  # noqa: B023 - called at once
    return work


def measure(kind: str, count: int, batch: int) -> Work:
    """From nothing; a `kind` that there isn't is no poison."""
    empty()
    flows._flows.clear()
    others(count)
    if kind in KINDS:
        KINDS[kind]()
        poison_comes_first()
    settle()
    return work_until_done(batch)


def poison_comes_first() -> None:
    """So that it is met while the others wait."""
    UserJourney.objects.exclude(journey__name="Others").update(due_at=NOW - timedelta(days=1))


def main(count: int = 5000, times: int = 7) -> None:
    logging.disable(logging.INFO)
    batch, alone = settings.JOURNEYS["BATCH"], "no poison"
    gc.freeze()  # As a worker does.
    with own_database():
        # In turns, each of them first once, so that whatever else this machine does harms all alike.
        kinds, found = [alone, *KINDS], []
        for number in range(times):
            start = number % len(kinds)
            found += [(kind, measure(kind, count, batch)) for kind in kinds[start:] + kinds[:start]]
    best = {kind: min((work for name, work in found if name == kind), key=lambda work: work.seconds) for kind in kinds}
    sys.stdout.write(f"{count} others in batches of {batch}: {best[alone].seconds:.2f} s\n")
    for kind in KINDS:
        slower, more = best[kind].seconds / best[alone].seconds - 1, best[kind].amount / best[alone].amount - 1
        sys.stdout.write(f"{kind}: {slower:+.1%} time, {more:+.1%} work\n")


if __name__ == "__main__":
    main()
