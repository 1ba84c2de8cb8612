"""Ingest of events that somebody waits for, against ingest of events that nobody does: of the same people."""

import gc
import time
from collections.abc import Mapping, Sequence

from journeys.bench import population
from journeys.bench.database import count, empty, settle
from journeys.bench.figure import Figure, Sizes, middle
from journeys.bench.population import DAY, START
from journeys.engine.ingest import Incoming, ingest

BATCH = 500
AWAITED, OTHER = "email_opened", "page_viewed"


def awaited(sizes: Sizes) -> Figure:
    """Each event wakes a run of its contact, or none; each contact is in one journey, and waits there."""
    empty()
    wait = {"event": AWAITED, "timeout_minutes": 30 * 24 * 60}
    journey = population.journey("Wait", [{"name": "Wait", "action_type": "wait_for_event", "action_config": wait}])
    names = [f"{event}-{round_}-" for round_ in range(sizes.rounds) for event in (AWAITED, OTHER)]
    for name in names:
        population.contacts(sizes.events, name)
        population.runs(journey, name, START + DAY)
    population.let_wait(AWAITED)
    speeds: dict[str, list[float]] = {AWAITED: [], OTHER: []}
    for round_ in range(sizes.rounds):
        lots = {event: _events(f"{event}-{round_}-", event) for event in speeds}
        settle()
        for event, seconds in _ingest_in_turn(lots).items():
            speeds[event].append(sizes.events / seconds)
    woken = count("user_journeys", "due_at <= '2026-03-02 09:00+00'")
    if woken != sizes.rounds * sizes.events or count("events") != 2 * woken:
        raise RuntimeError(f"{woken} of {sizes.rounds * sizes.events} runs were woken: this is no figure")
    return Figure(
        "awaited",
        middle(speeds[AWAITED]),
        middle(speeds[OTHER]),
        "events/s",
        "events that somebody waits for, against others",
        at_least=0.7,
        details={"batch": BATCH, "events": sizes.events, "rounds": sizes.rounds, "runs_woken": woken},
    )


def _events(prefix: str, name: str) -> list[Incoming]:
    people = population.user_ids(prefix)
    return [Incoming(user_id, name, {"amount": 1}, message_id=f"{name}-{user_id}") for user_id in people]


def _ingest_in_turn(lots: Mapping[str, Sequence[Incoming]]) -> dict[str, float]:
    """Take in a batch of the one and a batch of the other, again and again; how long each took in all."""
    seconds = dict.fromkeys(lots, 0.0)
    gc.collect()
    for begin in range(0, max(map(len, lots.values())), BATCH):
        for name, events in lots.items():
            began = time.perf_counter()
            ingest(events[begin : begin + BATCH], START)
            seconds[name] += time.perf_counter() - began
    return seconds
