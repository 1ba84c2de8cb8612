"""A steady load for as long as one likes: what must stay flat, looked at once a minute.

People keep coming in by events, get a tag and an e-mail (captured: nothing leaves), wait a minute, and get another tag.
What is older than ten minutes is pruned meanwhile. Runs and contacts stay, as they do in life.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from statistics import median
from threading import Event, Thread
from typing import Any
from uuid import UUID

import psutil
from django.conf import settings
from django.db import connection, transaction

from journeys.bench import population
from journeys.bench.backlog import MEGABYTE
from journeys.bench.database import count, own_database, settle
from journeys.bench.worker import running_worker
from journeys.engine import pruning
from journeys.engine.clock import database_clock
from journeys.engine.ingest import Incoming, ingest
from journeys.engine.queue import DUE, beaten_since
from journeys.engine.sql import execute, query

LOAD = 0.7
BURST = 10_000
LOT = 100
KEPT = timedelta(minutes=10)
PATIENCE_SECONDS = 300
WATCHED = (
    "user_journeys", "contacts", "contact_tags", "messages", "tallies", "django_q_ormq", "django_q_task", "event_keys",
    "step_executions", "events",
)  # fmt: skip


STEPS = (
    {"name": "Welcome", "action_type": "apply_tag", "action_config": {"tag": "new"}, "condition": population.PREMIUM},
    {
        "name": "Mail",
        "action_type": "send_email",
        "action_config": {"subject": "Hello {{ user.first_name }}", "html": "<p>Your plan: {{ user.plan }}</p>"},
    },
    {"name": "Later", "action_type": "apply_tag", "action_config": {"tag": "stayed"}, "delay_minutes": 1},
)


def soak(minutes: float, every: float = 60, share: float = LOAD, burst: int = BURST) -> Iterator[dict[str, Any]]:
    """What was seen: first the most that the worker does with a `burst`, then lines, `every` so many seconds, under
    that `share` of it."""
    with own_database(), running_worker(connection.settings_dict["NAME"]) as worker:
        _await(lambda: beaten_since("tick", database_clock() - timedelta(seconds=5)), "the worker gave no sign of life")
        journey = population.journey("Soak", STEPS)
        step_ids = list(journey.steps.order_by("order").values_list("id", flat=True))
        feed = _Feed()
        most = _maximum(feed, burst)
        rate = share * most
        yield {"minute": 0, "most_people_per_second": round(most, 1), "people_per_second": round(rate, 1)}
        with _pruning() as pruned:
            begun, at_first = time.monotonic(), feed.entered
            for number in range(1, int(minutes * 60 / every) + 1):
                while (elapsed := time.monotonic() - begun) < number * every:
                    if feed.entered - at_first + LOT <= elapsed * rate:
                        feed.enter(LOT)
                    else:
                        time.sleep(LOT / rate / 10)
                yield {
                    "minute": round(number * every / 60, 2),
                    **_look(worker.pid, step_ids),
                    "pruning_seconds": round(pruned[-1], 2),
                }


class _Feed:
    """People who come in, an event each."""

    def __init__(self) -> None:
        self.entered = 0

    def enter(self, people: int) -> None:
        prefix = f"soak-{self.entered}-"
        user_ids = [f"{prefix}{number}" for number in range(1, people + 1)]
        population.contacts(people, prefix)
        execute("UPDATE contacts SET is_test = true WHERE user_id = ANY(%s)", [user_ids])
        ingest([Incoming(user_id, "signup", message_id=prefix) for user_id in user_ids], database_clock())
        self.entered += people


def _maximum(feed: _Feed, burst: int) -> float:
    """People a second that the worker sees through, while they come in as fast as they can; the wait apart."""
    settle()
    begun = time.monotonic()
    for _ in range(burst // LOT):
        feed.enter(LOT)
    _await(lambda: count("messages", "status = 'captured'") == burst, "the first steps were not taken")
    seconds = time.monotonic() - begun
    execute("UPDATE user_journeys SET due_at = now(), step_due_at = now() WHERE status = 'active'")
    begun = time.monotonic()
    _await(lambda: count("user_journeys", "status = 'completed'") == burst, "the last step was not taken")
    return burst / (seconds + time.monotonic() - begun)


@contextmanager
def _pruning() -> Iterator[list[float]]:
    """Prune once a minute, on a connection of its own; how long each took."""
    stop, took = Event(), [0.0]

    def work() -> None:
        try:
            while not stop.wait(60):
                begun = time.monotonic()
                # As if it were so much later, all but the last minutes is past its retention.
                pruning.prune(database_clock() + timedelta(days=settings.JOURNEYS["RETENTION_DAYS"]) - KEPT, math.inf)
                took.append(time.monotonic() - begun)
        finally:
            connection.close()

    thread = Thread(target=work)
    thread.start()
    try:
        yield took
    finally:
        stop.set()
        thread.join()


def _look(worker: int, step_ids: Sequence[UUID]) -> dict[str, Any]:
    processes = psutil.Process(worker).children(recursive=True)
    memory = [process.memory_full_info() for process in processes]
    ((connections,),) = query("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
    ((waiting, late),) = query(f"SELECT count(*), extract(epoch FROM max(%(now)s - due_at))::float {DUE}", _now())
    return {
        "steps_last_minute": count("step_executions", "executed_at > clock_timestamp() - interval '1 minute'"),
        "due_now": waiting,
        "oldest_due_seconds": round(late or 0, 3),
        "late_seconds": _lateness(step_ids),
        "claim_ms": _claim_milliseconds(),
        "worker_processes": len(processes),
        "worker_largest_rss_mb": round(max(each.rss for each in memory) / MEGABYTE, 1),
        "worker_uss_mb": round(sum(each.uss for each in memory) / MEGABYTE, 1),
        "connections": connections,
        "tables": _tables(),
    }


def _lateness(step_ids: Sequence[UUID]) -> list[float]:
    """p50, p99 and the worst of the last minute: from when the minute's wait was over to the claim."""
    ((*centiles,),) = query(
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY late), "
        "percentile_cont(0.99) WITHIN GROUP (ORDER BY late), max(late) "
        "FROM (SELECT extract(epoch FROM last.executed_at - before.completed_at - interval '1 minute')::float AS late "
        "FROM step_executions last JOIN step_executions before USING (user_journey_id) "
        "WHERE last.step_id = %s AND before.step_id = %s "
        "AND last.executed_at > clock_timestamp() - interval '1 minute') AS each",
        [step_ids[2], step_ids[1]],
    )
    return [round(late or 0, 3) for late in centiles]


def _claim_milliseconds() -> float:
    """How long it takes to find and lock a batch of what is due; the middle of five, each let go at once."""
    took = []
    for _ in range(5):
        with transaction.atomic():
            begun = time.perf_counter()
            query(f"SELECT r.id {DUE} ORDER BY r.due_at LIMIT 500 FOR NO KEY UPDATE SKIP LOCKED", _now())
            took.append((time.perf_counter() - begun) * 1000)
            transaction.set_rollback(True)
    return round(median(took), 2)


def _tables() -> dict[str, dict[str, float]]:
    """Live and dead rows by the statistics, and megabytes with indexes; a table with its partitions."""
    rows = query(
        "SELECT coalesce(i.inhparent, s.relid)::regclass::text, sum(n_live_tup), sum(n_dead_tup), "
        "sum(pg_total_relation_size(s.relid)) FROM pg_stat_user_tables s "
        "LEFT JOIN pg_inherits i ON i.inhrelid = s.relid GROUP BY 1"
    )
    return {
        name: {"live": int(live), "dead": int(dead), "mb": round(int(size) / MEGABYTE, 1)}
        for name, live, dead, size in rows
        if name in WATCHED
    }


def _now() -> dict[str, Any]:
    return {"now": database_clock()}


def _await(condition: Callable[[], bool], fault: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError(f"{fault} within {PATIENCE_SECONDS} s")
        time.sleep(0.25)
