"""What django-q runs: the clock and the wake-up call. If every task were lost, the next tick would do their work.

Two chains of short tick tasks look for due work: one leads, one stands by on an advisory lock. Each task enqueues its
successor; the minute schedule and `manage.py worker` start a chain that broke.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.utils import timezone
from django_q.conf import Conf
from django_q.models import OrmQ, Schedule
from django_q.tasks import async_task

from journeys.engine import cycle, detect, housekeeping, intakes, partitions, pruning, replay, rounds, wake
from journeys.engine.clock import database_clock
from journeys.engine.outage import persist, surviving
from journeys.engine.queue import beat, beaten_since, is_anything_due
from journeys.engine.stopping import is_stopping, pause
from journeys.engine.wake import TAKE_IN, WORK

logger = logging.getLogger(__name__)

TICK = "journeys.tasks.tick"
PRUNE = "journeys.tasks.prune"
CHAINS = (1, 2)
TASK_SECONDS = 10
PRUNE_SECONDS = 60
"""Half of what django-q gives a task."""
TICK_SECONDS = 0.4
LOST_AFTER = timedelta(seconds=30)
CHAIN_BROKEN_AFTER = timedelta(seconds=30)
LOCK_IDLES = "15s"
LEADER_LOCK, CHAIN_LOCK, INTAKE_LOCK = 0x6A6F7500, 0x6A6F7510, 0x6A6F7530
"""Keys of session-level advisory locks ("jou"): PostgreSQL lets go of them when a worker dies."""


def work() -> int:
    """Work off what is due, for ten seconds at most; the number of runs looked at."""
    deadline, total, newest_first = time.monotonic() + TASK_SECONDS, 0, False
    with surviving():
        while time.monotonic() < deadline and not is_stopping():
            report = cycle.work(database_clock, settings.JOURNEYS["BATCH"], newest_first=newest_first)
            replayed = replay.work(database_clock, settings.JOURNEYS["BATCH"])
            total += report.runs + replayed
            if not report.runs + replayed:
                break
            newest_first = not newest_first  # A backlog must not starve what became due just now.
    return total


def tick(chain: int) -> None:
    """One link of a chain: look for due work for ten seconds, then enqueue the next link. Sends nothing itself."""
    is_duplicate = False
    with surviving(), _advisory_lock(CHAIN_LOCK + chain) as alone:
        # Another link of this chain is at work where we aren't alone: this one is a duplicate, and ends here.
        is_duplicate = not alone
        if alone:
            _look(chain, time.monotonic() + TASK_SECONDS)
    if not is_duplicate and not is_stopping():
        persist(lambda: async_task(TICK, chain))


def _look(chain: int, deadline: float) -> None:
    beat(f"chain-{chain}", database_clock())
    while time.monotonic() < deadline and not is_stopping():
        with _advisory_lock(LEADER_LOCK) as leads:
            if leads:
                _lead(deadline)
            else:
                pause(1)


def _lead(deadline: float) -> None:
    while time.monotonic() < deadline and not is_stopping():
        now = database_clock()
        beat("tick", now)
        if is_anything_due(now) and _has_room():
            async_task(WORK)
        pause(TICK_SECONDS)


def _has_room() -> bool:
    """Whether django-q has so few tasks, waiting or at work, that one more would be taken up soon.

    A task that was taken stays in its table until it is done, and for long when its cluster was killed: those taken a
    while ago don't count.
    """
    now = timezone.now()  # The clock that django-q locks by.
    taken_lately = now + timedelta(seconds=Conf.RETRY) - LOST_AFTER
    tasks: int = OrmQ.objects.filter(Q(lock__lte=now) | Q(lock__gte=taken_lately)).count()
    return tasks < int(Conf.WORKERS) + len(CHAINS)


@contextmanager
def _advisory_lock(key: int) -> Iterator[bool]:
    """Whether this session has the lock. If its process is stopped, perhaps with its whole machine, PostgreSQL ends
    the session after a while: as long as it lives, nobody else could lead."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        (taken,) = cursor.fetchone()
        cursor.execute("SET idle_session_timeout = %s", [LOCK_IDLES])
    try:
        yield taken
    finally:
        with connection.cursor() as cursor:
            if taken:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [key])
            cursor.execute("RESET idle_session_timeout")


def minute() -> None:
    """Once a minute: repair chains, roll up tallies, put back what an outage left lying."""
    now = database_clock()
    repair_chains()
    housekeeping.minute(now)
    beat("minute", now)


def start_chains() -> None:
    """Start both chains. Where one runs already, the new link is a duplicate and ends at once."""
    for chain in CHAINS:
        async_task(TICK, chain)


def repair_chains() -> None:
    """Start each chain that has not been heard of for a while."""
    now = database_clock()
    for chain in CHAINS:
        if not beaten_since(f"chain-{chain}", now - CHAIN_BROKEN_AFTER):
            async_task(TICK, chain)


def detect_all() -> None:
    """Every few minutes: find the idle, the expiring and those at risk, for the journeys that want them."""
    if detect.detect(database_clock()):
        async_task(WORK)


def look() -> None:
    """Every minute: find whom segments, schedules and dates should start."""
    rounds.look(database_clock())
    if intakes.is_anybody_waiting():
        async_task(TAKE_IN)


def take_in() -> None:
    """Start those who are to enter journeys together; for a minute, then another task goes on where this one was."""
    deadline, is_more = time.monotonic() + PRUNE_SECONDS, False
    with surviving(), _advisory_lock(INTAKE_LOCK) as alone:
        # Another is at it where we aren't alone, and has a successor.
        while alone and not is_stopping() and (is_more := bool(intakes.take_in(database_clock))):
            wake.wake()
            if time.monotonic() > deadline:
                break
    if is_more:
        async_task(TAKE_IN)


def prune(table: str = "", after: str = "") -> None:
    """Once a night: remove what is past its retention; for a minute, then another task goes on where this one was."""
    place = pruning.Place(table, after) if table else None
    left = pruning.prune(database_clock(), time.monotonic() + PRUNE_SECONDS, place)
    if left is not None:
        async_task(PRUNE, left.table, left.after)


def make_partitions(**kwargs: object) -> None:
    """Make the partitions of the months to come; run after each migrate. Later, the minute job makes them."""
    partitions.make_months(database_clock())


SCHEDULES = {
    "journeys: minute": {"func": "journeys.tasks.minute", "schedule_type": Schedule.MINUTES, "minutes": 1},
    "journeys: detect": {"func": "journeys.tasks.detect_all", "schedule_type": Schedule.MINUTES, "minutes": 5},
    "journeys: look": {"func": "journeys.tasks.look", "schedule_type": Schedule.MINUTES, "minutes": 1},
    "journeys: prune": {"func": PRUNE, "schedule_type": Schedule.DAILY},
}


def set_up_schedules(**kwargs: object) -> None:
    """Make the schedules what they should be; run after each migrate, and as often as one likes."""
    for name, values in SCHEDULES.items():
        Schedule.objects.update_or_create(name=name, defaults={"repeats": -1, **values})
