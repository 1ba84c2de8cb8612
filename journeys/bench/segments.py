"""Segments over a million contacts: how many are in one, against SQL by hand; what a look and one contact take."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import connection

from journeys.authoring.segments import SegmentBody, create_segment
from journeys.bench import population
from journeys.bench.database import empty, settle
from journeys.bench.figure import Figure, Sizes, middle
from journeys.bench.population import PREMIUM, START
from journeys.engine import segments as engine
from journeys.engine.audience import WORK_MEMORY, roomy, size
from journeys.models import Contact, Segment
from journeys.models.matching import matches

EVENTS_EACH = 3
WITHIN_SECONDS = 10
BUYERS = {"all": [PREMIUM, {"did": "purchase", "op": "gte", "value": 3, "within_days": 30}]}
SILENT = {"did": "email_opened", "op": "eq", "value": 0}

BUYERS_BY_HAND = """
SELECT count(*) FROM contacts c JOIN (
    SELECT contact_id FROM events WHERE name = 'purchase' AND occurred_at >= %(since)s AND received_at >= %(since)s
    GROUP BY contact_id HAVING count(*) >= 3
) AS buyers ON buyers.contact_id = c.id WHERE c.attributes @> '{"plan": "premium"}'
"""
SILENT_BY_HAND = """
SELECT count(*) FROM contacts c
WHERE NOT EXISTS (SELECT FROM events e WHERE e.contact_id = c.id AND e.name = 'email_opened')
"""


def segments(sizes: Sizes) -> Figure:
    empty()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE segments CASCADE")
    population.contacts(sizes.backlog, "segments-")
    population.events(EVENTS_EACH * sizes.backlog, ("purchase", "email_opened"), timedelta(days=60))
    settle()
    ours, theirs = [], []
    for _ in range(sizes.rounds):
        ours.append(_seconds(lambda: [size(BUYERS, START, 600), size(SILENT, START, 600)]))
        theirs.append(_seconds(_by_hand))
    found, expected = [size(BUYERS, START, 600), size(SILENT, START, 600)], _by_hand()
    if found != expected:
        raise RuntimeError(f"{found} people are found, and by hand {expected}: this is no figure")
    value = middle(ours)
    return Figure(
        "segments",
        2 * sizes.backlog / value,
        2 * sizes.backlog / middle(theirs),
        "contacts/s",
        "two segments that count events, against SQL by hand",
        at_least=0.5,
        holds=value / 2 < WITHIN_SECONDS,
        details={
            "contacts": sizes.backlog,
            "events": EVENTS_EACH * sizes.backlog,
            "found": found,
            "bought_three_times_seconds": _seconds(lambda: size(BUYERS, START, 600)),
            "never_opened_seconds": _seconds(lambda: size(SILENT, START, 600)),
            "one_contact_ms": 1000 * _seconds(lambda: _among(1)),
            "batch_of_500_ms": 1000 * _seconds(lambda: _among(500)),
            **_looks(),
        },
    )


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _by_hand() -> list[int]:
    found = []
    for statement in (BUYERS_BY_HAND, SILENT_BY_HAND):
        with roomy(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('work_mem', %s, true)", [WORK_MEMORY])
            cursor.execute(statement, {"since": START - timedelta(days=30)})
            found.append(int(cursor.fetchone()[0]))
    return found


def _among(count: int) -> None:
    """Ask for both segments of so many contacts, as a batch of runs does."""
    keys = list(Contact.objects.order_by("-user_id").values_list("id", flat=True)[:count])
    for condition in (BUYERS, SILENT):
        list(Contact.objects.filter(matches(condition, START, keys), id__in=keys).values_list("id", flat=True))


def _looks() -> dict[str, float]:
    """The first look at a segment notes all who are in it; later ones, who came and went."""
    segment = create_segment(SegmentBody(name="Silent", condition=SILENT), START)

    def look(at: datetime) -> float:
        return _seconds(lambda: engine.note(segment.id, [], at))

    first, second = look(START), look(START + timedelta(minutes=1))
    Segment.objects.filter(id=segment.id).delete()
    return {"first_look_seconds": first, "next_look_seconds": second}
