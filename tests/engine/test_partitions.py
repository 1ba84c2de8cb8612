"""Months of executions and events: made ahead, never losing a row, never holding anybody up."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection, transaction

from journeys.engine import cycle, partitions
from journeys.engine.ingest import Incoming, ingest
from journeys.engine.partitions import make_months
from journeys.engine.sql import query
from journeys.logic.ids import execution_range
from journeys.models import Event, StepExecution
from tests.factories import make_journey

FUTURE = datetime(2040, 5, 17, 9, tzinfo=UTC)
STEP = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "t"}}


def names(table: str) -> list[str]:
    return [part.name for part in partitions.partitions(table)]


def where(table: str) -> dict[str, int]:
    rows = query(f"SELECT tableoid::regclass::text, count(*) FROM {table} GROUP BY 1")  # noqa: S608 - a constant
    return {str(name): int(count) for name, count in rows}


def start_runs(count: int, now: datetime) -> None:
    ingest([Incoming(f"{now:%Y%m%d%H%M%S}-{number}", "signup") for number in range(count)], now)
    while cycle.work(lambda: now, 100).runs:
        pass


@pytest.mark.django_db
def test_this_month_and_the_next_two_have_a_partition():
    make_months(FUTURE)
    for table in ("step_executions", "events"):
        assert {f"{table}_2040_05", f"{table}_2040_06", f"{table}_2040_07"} < set(names(table))
        assert names(table)[-1] == f"{table}_default"


@pytest.mark.django_db
def test_rows_lie_in_the_month_of_their_run_also_when_they_come_later():
    make_journey("Tags", [STEP, {**STEP, "name": "Later", "delay_minutes": 60 * 24 * 30}], now=FUTURE)
    make_months(FUTURE)
    start_runs(3, FUTURE)
    while cycle.work(lambda: FUTURE + timedelta(days=31), 100).runs:
        pass
    assert where("step_executions") == {"step_executions_2040_05": 6}
    assert where("events") == {"events_2040_05": 3}


@pytest.mark.django_db
def test_what_no_month_covers_is_kept_and_moves_when_its_month_is_made():
    make_journey("Tags", [STEP], now=FUTURE)
    start_runs(3, FUTURE)
    start_runs(2, FUTURE + timedelta(days=400))
    assert where("step_executions") == {"step_executions_default": 5}
    before = set(StepExecution.objects.values_list("id", "status"))
    make_months(FUTURE)
    assert where("step_executions") == {"step_executions_2040_05": 3, "step_executions_default": 2}
    assert where("events") == {"events_2040_05": 3, "events_default": 2}
    assert set(StepExecution.objects.values_list("id", "status")) == before


@pytest.mark.django_db
def test_a_months_partition_has_the_indexes_and_keys_of_the_others():
    make_months(FUTURE)
    made, other = (
        query(
            "SELECT (SELECT count(*) FROM pg_index WHERE indrelid = t.oid), "
            "(SELECT array_agg(contype::text || condeferred::text ORDER BY contype) FROM pg_constraint "
            "WHERE conrelid = t.oid) FROM pg_class t WHERE relname = %s",
            [name],
        )
        for name in ("step_executions_2040_05", names("step_executions")[0])
    )
    assert made == other
    assert made[0][0] > 6


@pytest.mark.django_db(transaction=True)
def test_a_month_that_somebody_blocks_is_made_the_next_time():
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Event.objects.count()  # Reads every partition, the default too.
            held.set()
            let_go.wait(30)
        connection.close()

    reader = threading.Thread(target=hold)
    reader.start()
    try:
        assert held.wait(30)
        begun = time.monotonic()
        make_months(FUTURE)
        assert time.monotonic() - begun < 5
        assert "events_2040_05" not in names("events")
        assert "step_executions_2040_05" in names("step_executions")
    finally:
        let_go.set()
        reader.join()
    make_months(FUTURE)
    assert "events_2040_05" in names("events")
    _forget()


@pytest.mark.django_db(transaction=True)
def test_many_that_make_the_months_at_once_make_each_once():
    def make() -> None:
        make_months(FUTURE)
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        for made in [pool.submit(make) for _ in range(4)]:
            made.result()
    make_months(FUTURE)  # What waited too long for the others.
    assert len(set(names("events"))) == len(names("events"))
    assert "events_2040_07" in names("events")
    _forget()


@pytest.mark.django_db
def test_a_run_is_read_from_its_own_month_alone():
    make_months(FUTURE)
    run = UUID(int=int(FUTURE.timestamp() * 1000) << 80 | 7 << 76)
    first, end = execution_range([run])
    plan = query(
        "EXPLAIN SELECT id FROM step_executions WHERE user_journey_id = ANY(%s) AND id >= %s AND id < %s",
        [[run], first, end],
    )
    read = {name for name in names("step_executions") if any(f"on {name}" in line for (line,) in plan)}
    assert read == {"step_executions_2040_05"}


def _forget() -> None:
    for table in partitions.TABLES:
        for part in partitions.partitions(table):
            if "_2040_" in part.name:
                assert partitions.drop(part, lambda: True)
