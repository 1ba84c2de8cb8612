"""A backlog, all due at once, drained in batches: the last must cost what the first did, and in little memory."""

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import quantiles

import psutil
from django.conf import settings

from journeys.bench import population
from journeys.bench.database import count, empty, settle
from journeys.bench.figure import Figure, Sizes, middle
from journeys.bench.population import DAY, START
from journeys.bench.processes import together
from journeys.engine import cycle
from journeys.engine.clock import database_clock

MEGABYTE = 1024 * 1024
MOST_MEGABYTES = 200


@dataclass(slots=True)
class Drained:
    """What a worker saw of it: milliseconds a batch, and its own memory."""

    steps: int = 0
    batches: list[float] = field(default_factory=list)
    megabytes: float = 0.0


def backlog(sizes: Sizes) -> Figure:
    empty()
    journey = population.journey("Backlog", population.tag_steps(2, "backlog"))
    population.contacts(sizes.backlog, "late-")
    population.runs(journey, "late-", START - DAY, timedelta(days=1))
    settle()
    (drained,), elapsed = together(_drain)
    written = count("step_executions", "status = 'success'")
    if drained.steps != sizes.backlog or written != sizes.backlog:
        raise RuntimeError(f"{drained.steps} of {sizes.backlog} were taken, {written} written: this is no figure")
    tenth = max(1, len(drained.batches) // 10)
    centiles = quantiles(drained.batches, n=100) if len(drained.batches) > 1 else drained.batches * 99
    return Figure(
        "backlog",
        middle(drained.batches[-tenth:]),
        middle(drained.batches[:tenth]),
        "ms/batch",
        f"{sizes.backlog:,} due: a batch in the last tenth, against one in the first",
        at_most=1.5,
        details={
            "steps_per_second": sizes.backlog / elapsed,
            "p50_ms": centiles[49],
            "p99_ms": centiles[98],
            "worker_megabytes": drained.megabytes,
            "megabytes_bound": MOST_MEGABYTES,
            "executions_written": written,
        },
        holds=drained.megabytes < MOST_MEGABYTES,
    )


def _drain() -> Drained:
    """As a work task does it: the oldest and the newest due in turn."""

    def clock() -> datetime:
        database_clock()  # A worker asks for the time too.
        return START

    drained, process, newest_first = Drained(), psutil.Process(), False
    while True:
        started = time.perf_counter()
        report = cycle.work(clock, settings.JOURNEYS["BATCH"], newest_first=newest_first)
        if not report.runs:
            return drained
        drained.batches.append((time.perf_counter() - started) * 1000)
        drained.steps += report.executed
        drained.megabytes = max(drained.megabytes, process.memory_info().rss / MEGABYTE)
        newest_first = not newest_first
