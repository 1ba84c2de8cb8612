"""What a tick costs with a thousand due among ever more who wait: it should cost what is due, not what waits."""

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection

from journeys.bench import population, sql_tick
from journeys.bench.database import empty, settle
from journeys.bench.figure import Figure, Sizes, middle
from journeys.bench.inside_steps import drain
from journeys.bench.population import DAY, START
from journeys.engine import cycle

SEED = 66
BUFFERS_PER_RUN = 30
"""A claim may look at so many pages (8 kB) for each run that it takes, however many wait."""


def idle_scaling(sizes: Sizes) -> Figure:
    empty()
    journey = population.journey("Waiting", population.tag_steps(2 * sizes.rounds + 3, "waiting"))
    chance = random.Random(SEED)  # noqa: S311 - the same people each time
    ours: list[float] = []
    plain: list[float] = []
    buffers: list[float] = []
    present = 0
    for waiting in sizes.waiting:
        prefix = f"{waiting}-"
        population.contacts(waiting - present, prefix)
        population.runs(journey, prefix, START + 30 * DAY, timedelta(days=30))
        present = waiting
        both = [
            (
                _milliseconds(partial(drain, START), sizes.due, chance),
                _milliseconds(_tick_by_sql, sizes.due, chance),
            )
            for _ in range(sizes.rounds)
        ]
        ours.append(middle([engine for engine, _ in both]))
        plain.append(middle([sql for _, sql in both]))
        buffers.append(_buffers_per_run(sizes.due, chance))
    return Figure(
        "idle_scaling",
        ours[-1],
        ours[0],
        "ms/tick",
        f"{sizes.due} due among {sizes.waiting[-1]:,} waiting, against among {sizes.waiting[0]:,}",
        at_most=2.5,
        details={
            "waiting": list(sizes.waiting),
            "milliseconds": ours,
            "plain_sql_milliseconds": plain,
            "plain_sql_ratio": plain[-1] / plain[0],
            "claim_buffers_per_due_run": buffers,
            "buffers_bound": BUFFERS_PER_RUN,
        },
        holds=max(buffers) <= BUFFERS_PER_RUN,
    )


def _milliseconds(tick: Callable[[], int], due: int, chance: random.Random) -> float:
    _make_due(due, chance)
    settle()
    started = time.perf_counter()
    done = tick()
    elapsed = time.perf_counter() - started
    if done != due:
        raise RuntimeError(f"{done} of {due} were taken: this is no figure")
    return elapsed * 1000


def _tick_by_sql() -> int:
    steps = 0
    while done := sql_tick.tick(START, settings.JOURNEYS["BATCH"]):
        steps += done
    return steps


def _make_due(due: int, chance: random.Random) -> None:
    """Make runs due that lie anywhere among those that wait."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT id FROM user_journeys ORDER BY id LIMIT 1), "
            "(SELECT id FROM user_journeys ORDER BY id DESC LIMIT 1)"
        )
        first, last = cursor.fetchone()
        found: set[Any] = set()
        while len(found) < due:  # Ids are times, and people came evenly: a random one has a neighbour.
            cursor.execute(
                "SELECT (SELECT id FROM user_journeys WHERE id >= asked ORDER BY id LIMIT 1) "
                "FROM unnest(%s::uuid[]) AS asked",
                [[_between(first.int, last.int, chance) for _ in range(due - len(found))]],
            )
            found |= {key for (key,) in cursor.fetchall()}
        cursor.execute(
            "UPDATE user_journeys SET due_at = %s - random() * interval '1 hour', step_due_at = %s WHERE id = ANY(%s)",
            [START, START, list(found)],
        )


def _between(first: int, last: int, chance: random.Random) -> str:
    return f"{chance.randint(first, last):032x}"


def _buffers_per_run(due: int, chance: random.Random) -> float:
    """How many pages the queries look at by which one batch is claimed."""
    _make_due(due, chance)
    settle()
    pages: list[int] = []
    with _explained(pages):
        taken = cycle.work(lambda: START, settings.JOURNEYS["BATCH"]).runs
    drain(START)
    return sum(pages) / taken


@contextmanager
def _explained(pages: list[int]) -> Iterator[None]:
    """Have PostgreSQL say of each query for runs, before it is run, how many pages it looks at."""

    def explain(execute: Any, sql: str, parameters: Sequence[Any] | None, many: bool, context: Any) -> Any:
        if sql.lstrip().upper().startswith(("SELECT", "WITH")) and "user_journeys" in sql:
            with context["connection"].connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", parameters)
                (answer,) = cursor.fetchone()
            plan = (answer if isinstance(answer, list) else json.loads(answer))[0]["Plan"]
            pages.append(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(explain):
        yield
