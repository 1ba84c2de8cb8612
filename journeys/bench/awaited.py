"""Ingest of events that somebody waits for, against ingest of events that nobody does: of the same people."""

from collections.abc import Sequence
from functools import partial

from journeys.bench import population
from journeys.bench.database import count, empty, settle
from journeys.bench.figure import Figure, Sizes, middle, per_second
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
    for name in names:
        event = name.partition("-")[0]
        events = [
            Incoming(user_id, event, {"amount": 1}, message_id=f"{event}-{user_id}")
            for user_id in population.user_ids(name)
        ]
        settle()
        speeds[event].append(per_second(partial(_ingest, events), sizes.events))
    woken = count("user_journeys", "due_at <= '2026-03-02 09:00+00'")
    if woken != sizes.rounds * sizes.events:
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


def _ingest(events: Sequence[Incoming]) -> int:
    return sum(len(ingest(events[begin : begin + BATCH], START)) for begin in range(0, len(events), BATCH))
