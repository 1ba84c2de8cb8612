"""How late due steps are: under a steady load at seventy per cent of what a real worker can do."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from journeys.bench import population
from journeys.bench.database import count, empty, settle
from journeys.bench.figure import Figure, Sizes
from journeys.bench.worker import running_worker
from journeys.engine.clock import database_clock
from journeys.engine.queue import beaten_since

LOAD = 0.7
START_SECONDS = 60
INSERTED_PER_SECOND = 5_000
LEAST_BATCHES = 6


def lateness(sizes: Sizes) -> Figure:
    """First a backlog, to see what the worker can do; then runs that come due evenly, at a share of that."""
    empty()
    with _rows_say_when_they_were_written(), running_worker(connection.settings_dict["NAME"]):
        begun = database_clock()
        _await(lambda: beaten_since("tick", begun), START_SECONDS, "the worker gave no sign of life")
        # Long enough to be what it can keep up, and not what it does while tables are small and memory is fresh.
        backlog = max(sizes.backlog // 4, LEAST_BATCHES * settings.JOURNEYS["BATCH"])
        most = _maximum(backlog)
        load = int(LOAD * most * sizes.seconds)
        p50, p99, last = _steady(load, sizes.seconds)
    return Figure(
        "lateness",
        p99,
        p50,
        "seconds",
        f"p99 of due steps against p50, at {LOAD:.0%} of the most that the worker does",
        details={
            "p50_seconds": p50,
            "p99_seconds": p99,
            "worst_seconds": last,
            "load_steps_per_second": LOAD * most,
            "maximum_steps_per_second": most,
            "seconds": sizes.seconds,
            "steps_of_the_backlog": backlog,
            "steps_of_the_load": load,
            "steps_written": count("step_executions", "status = 'success'"),
        },
    )


def _maximum(runs: int) -> float:
    """Steps a second of the whole worker, while it has more than it can do."""
    _enter("backlog", runs, 0, 0)
    ((elapsed,),) = _ask("backlog", "extract(epoch FROM max(e.written_at) - min(e.written_at))::float")
    return runs / float(elapsed)


def _steady(runs: int, seconds: int) -> list[float]:
    """p50, p99 and the worst, in seconds from the due time to the row."""
    _enter("steady", runs, 2 + runs / INSERTED_PER_SECOND, seconds)
    late = "extract(epoch FROM e.written_at - (r.metadata ->> 'due')::timestamptz)::float"
    (centiles,) = _ask(
        "steady",
        f"percentile_cont(0.5) WITHIN GROUP (ORDER BY {late}), percentile_cont(0.99) WITHIN GROUP (ORDER BY {late}), "
        f"max({late})",
    )
    return [float(value) for value in centiles]


def _enter(name: str, runs: int, head_start: float, seconds: int) -> None:
    """People who come due evenly over `seconds`, after a head start; return when each has had the step."""
    journey = population.journey(name, population.tag_steps(2, name))
    population.contacts(runs, f"{name}-")
    settle()
    first_due = database_clock() + timedelta(seconds=head_start)
    population.runs(journey, f"{name}-", first_due, timedelta(seconds=seconds))
    if head_start and database_clock() > first_due:
        raise RuntimeError("the first were due before they were there: this is no figure")
    time.sleep(head_start + seconds)
    step_id = journey.steps.order_by("order")[0].id
    patience = max(60.0, runs / 100)
    _await(
        lambda: count("step_executions", f"step_id = '{step_id}'") == runs,
        patience,
        f"the worker did not take all of {runs} steps within {patience:.0f} s",
    )


def _ask(journey: str, what: str) -> list[tuple[Any, ...]]:
    """Of the journey's executions (e) and their runs (r)."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {what} FROM step_executions e JOIN user_journeys r ON r.id = e.user_journey_id "
            "JOIN journeys j ON j.id = r.journey_id WHERE j.name = %s",
            [journey],
        )
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _await(condition: Callable[[], bool], seconds: float, fault: str) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError(f"{fault}: this is no figure")
        time.sleep(0.25)


@contextmanager
def _rows_say_when_they_were_written() -> Iterator[None]:
    """Executions carry the time of their batch's claim; how late a step was is told by when its row was there."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE step_executions ADD COLUMN written_at timestamptz DEFAULT clock_timestamp()")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE step_executions DROP COLUMN written_at")
