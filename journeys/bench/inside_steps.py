"""Inside steps a second: a condition, a tag, the execution's row and the next due time, against plain SQL."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings

from journeys.bench import population, sql_tick
from journeys.bench.database import count, empty, settle
from journeys.bench.figure import Figure, Sizes, middle
from journeys.bench.population import DAY, START
from journeys.bench.processes import together
from journeys.engine import cycle
from journeys.engine.clock import database_clock
from journeys.models import Tag
from journeys.models.ids import new_id

HALF_DAY = timedelta(hours=12)


def inside_steps(sizes: Sizes) -> Figure:
    """The engine's people are due at nine each day, the referee's at twenty-one: neither takes the other's."""
    _people(sizes, rounds=2 * sizes.rounds)
    alone: dict[str, list[float]] = {"engine": [], "sql": []}
    pairs: dict[str, list[float]] = {"engine": [], "sql": []}
    for day in range(sizes.rounds):
        for name, work in _contestants(START + day * DAY):
            alone[name].append(_speed(work, 1, sizes.runs))
    for day in range(sizes.rounds, 2 * sizes.rounds):
        for name, work in _contestants(START + day * DAY):
            pairs[name].append(_speed(work, 2, sizes.runs))
    _all_done(count("step_executions", "status = 'success'"), 4 * sizes.rounds * sizes.runs)
    _all_done(count("contact_tags"), 4 * sizes.rounds * sizes.runs)
    value, two = middle(alone["engine"]), middle(pairs["engine"])
    return Figure(
        "inside_steps",
        value,
        middle(alone["sql"]),
        "steps/s",
        "one process, against set-based SQL that writes the same rows",
        at_least=0.5,
        holds=two > value,
        details={
            "two_processes": two,
            "two_processes_gain": two / value,
            "reference_two_processes": middle(pairs["sql"]),
            "runs": sizes.runs,
            "rounds": sizes.rounds,
            "executions_written": 4 * sizes.rounds * sizes.runs,
        },
    )


def _speed(work: Callable[[], int], processes: int, expected: int) -> float:
    settle()
    done, elapsed = together(work, processes)
    _all_done(sum(done), expected)
    return expected / elapsed


def _people(sizes: Sizes, rounds: int) -> None:
    empty()
    for name, due in (("engine", START), ("sql", START + HALF_DAY)):
        steps = population.tag_steps(rounds + 1, name)
        journey = population.journey(name, steps)
        population.contacts(sizes.runs, f"{name}-")
        population.runs(journey, f"{name}-", due - timedelta(hours=1), timedelta(hours=1))
        Tag.objects.bulk_create(
            Tag(id=new_id(START), name=step["action_config"]["tag"], created_at=START) for step in steps
        )


def _contestants(today: datetime) -> list[tuple[str, Callable[[], int]]]:
    return [("engine", partial(drain, today)), ("sql", partial(_drain_by_sql, today + HALF_DAY))]


def drain(now: datetime) -> int:
    """Take all that is due by the engine's own cycle, as a worker does; the number of steps taken."""

    def clock() -> datetime:
        database_clock()  # A worker asks for the time too.
        return now

    steps = 0
    while (report := cycle.work(clock, settings.JOURNEYS["BATCH"])).runs:
        steps += report.executed + report.skipped
    return steps


def _drain_by_sql(now: datetime) -> int:
    steps = 0
    while done := sql_tick.tick(now, settings.JOURNEYS["BATCH"]):
        steps += done
    return steps


def _all_done(done: int, expected: int) -> None:
    if done != expected:
        raise RuntimeError(f"{done} of {expected} steps were taken: this is no figure")
