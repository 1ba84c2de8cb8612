"""Enrolment: rows a second from events that each start a run, in batches of 500, against COPY of the same rows."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, transaction

from journeys.bench import population
from journeys.bench.database import count, empty, settle
from journeys.bench.figure import Figure, Sizes, middle, per_second
from journeys.bench.population import DAY, START
from journeys.engine.ingest import Incoming, event_key, ingest
from journeys.logic.instants import iso
from journeys.models import Contact, Journey
from journeys.models.ids import new_id

BATCH = 500
ROWS = 3
"""Of one event: the event, its producer's key, and the run."""

EVENT = "id, contact_id, name, properties, message_id, source, occurred_at, received_at"
KEY = "id, contact_id, event_id, started, received_at"
RUN = (
    "id, contact_id, journey_id, version_id, status, current_step_id, entry_key, event, metadata, started_at, "
    "failure_reason, exit_reason, due_at, step_due_at, previous_ended_at, attempts, deaths, moved, created_at, "
    "updated_at"
)
PROPERTIES = {"plan": "premium", "source": "shop", "amount": 49.9}
Rows = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], list[tuple[Any, ...]]]
T = TypeVar("T")


def enrolment(sizes: Sizes) -> Figure:
    empty()
    journey = population.journey("Onboarding", population.tag_steps(3, "onboarding"))
    for day in range(sizes.rounds):
        population.contacts(sizes.events, f"engine-{day}-")
        population.contacts(sizes.events, f"copy-{day}-")
    fast, bare = [], []
    for day in range(sizes.rounds):
        events = [
            Incoming(user_id, "signup", PROPERTIES, message_id=f"signup-{user_id}")
            for user_id in _people(f"engine-{day}-").values()
        ]
        settle()
        fast.append(per_second(partial(_ingest, events), ROWS * sizes.events))
        lots = [_rows(lot, journey) for lot in _lots(list(_people(f"copy-{day}-").items()))]
        settle()
        bare.append(per_second(partial(_copy, lots), ROWS * sizes.events))
    expected = 2 * sizes.rounds * sizes.events
    for table in ("events", "event_keys", "user_journeys"):
        if count(table) != expected:
            raise RuntimeError(f"{count(table)} of {expected} rows are in {table}: this is no figure")
    return Figure(
        "enrolment",
        middle(fast),
        middle(bare),
        "rows/s",
        "events, their keys and runs, against COPY of the same rows",
        at_least=0.3,
        details={
            "events_per_second": middle(fast) / ROWS,
            "batch": BATCH,
            "events": sizes.events,
            "rounds": sizes.rounds,
            "runs_started": expected,
        },
    )


def _people(prefix: str) -> dict[UUID, str]:
    found = Contact.objects.filter(user_id__startswith=prefix).order_by("?").values_list("id", "user_id")
    return dict(found)


def _lots(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for begin in range(0, len(items), BATCH):
        yield items[begin : begin + BATCH]


def _ingest(events: Sequence[Incoming]) -> int:
    started = 0
    for lot in _lots(events):
        started += sum(len(answer.started) for answer in ingest(lot, START))
    return ROWS * started


def _rows(lot: Sequence[tuple[UUID, str]], journey: Journey) -> Rows:
    """What ingest would write, made ready: the referee's clock does not run meanwhile."""
    first = journey.steps.order_by("order").values_list("id", flat=True)[0]
    properties, started = json.dumps(PROPERTIES), json.dumps([str(journey.id)])
    due_at = START + DAY
    events, keys, runs = [], [], []
    for contact_id, user_id in lot:
        event_id, message_id = new_id(START), f"signup-{user_id}"
        what = json.dumps({"name": "signup", "message_id": message_id, "occurred_at": iso(START)})
        events.append((event_id, contact_id, "signup", properties, message_id, "api", START, START))
        keys.append((event_key(contact_id, message_id), contact_id, event_id, started, START))
        runs.append(
            (new_id(START), contact_id, journey.id, journey.live_version_id, "active", first, "", what, properties,
             START, "", "", due_at, due_at, START, 0, 0, False, START, START)
        )  # fmt: skip
    return events, keys, runs


def _copy(lots: Sequence[Rows]) -> int:
    """The referee: a transaction a batch, and in it nothing but COPY into the three tables."""
    written = 0
    for lot in lots:
        with transaction.atomic(), connection.cursor() as cursor:
            for table, columns, rows in zip(
                ("events", "event_keys", "user_journeys"), (EVENT, KEY, RUN), lot, strict=True
            ):
                with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
                written += len(rows)
    return written
