"""Steps a second of a flow that branches, splits and waits, against a linear flow of as many steps."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from journeys.bench import population
from journeys.bench.database import count, empty, settle
from journeys.bench.figure import Figure, Sizes
from journeys.bench.inside_steps import drain
from journeys.bench.population import DAY, PREMIUM, START
from journeys.engine.ingest import Incoming, ingest
from journeys.models import UserJourney

STEPS = 12
"""That each person takes, in either journey."""
READY = "ready"
LOT = 500
HOUR = timedelta(hours=1)
LATER = 6 * HOUR


def flow(sizes: Sizes) -> Figure:
    """Day by day, the linear one at nine and the flow in the afternoon: neither takes the other's people."""
    empty()
    for name, steps, due in (
        ("linear", population.tag_steps(STEPS, "linear"), START),
        ("flow", _steps(), START + LATER),
    ):
        population.contacts(sizes.runs, f"{name}-")
        population.runs(population.journey(name, steps), f"{name}-", due - HOUR, HOUR)
    linear = flowing = 0.0
    for day in range(STEPS + 1):
        linear += _drain(START + day * DAY)
        _do_ready(START + day * DAY + LATER - HOUR)
        flowing += _drain(START + day * DAY + LATER)
    expected = 2 * STEPS * sizes.runs
    if (done := count("step_executions", "status = 'success'")) != expected:
        raise RuntimeError(f"{done} of {expected} steps were taken: this is no figure")
    return Figure(
        "flow",
        STEPS * sizes.runs / flowing,
        STEPS * sizes.runs / linear,
        "steps/s",
        "a flow with a branch, a split and a wait, against a linear one",
        at_least=0.7,
        details={"steps": STEPS, "runs": sizes.runs, "executions_written": expected},
    )


def _drain(now: datetime) -> float:
    """Take what is due; how long it took."""
    settle()
    began = time.perf_counter()
    drain(now)
    return time.perf_counter() - began


def _do_ready(now: datetime) -> None:
    """Half of those who wait do what they are waited for."""
    waiting = UserJourney.objects.filter(awaits_event=READY).order_by("contact_id")
    for_whom = list(waiting.values_list("contact__user_id", flat=True))
    for begin in range(0, len(for_whom), 2 * LOT):
        ingest([Incoming(user_id, READY) for user_id in for_whom[begin : begin + LOT]], now)


def _steps() -> list[dict[str, Any]]:
    """Twelve steps on each way through it, each a day after the one before."""
    tags = population.tag_steps(STEPS + 3, "flow")
    never = {"field": "plan", "op": "eq", "value": "none"}
    return [
        tags[0],
        _lanes("Plan", "branch", [({"condition": never}, tags[1]), ({"condition": PREMIUM}, tags[2])]),
        tags[3],
        _lanes("Test", "ab_split", [({"name": "A", "weight": 1}, tags[4]), ({"name": "B", "weight": 1}, tags[5])]),
        tags[6],
        _lanes("Ready?", "wait_for_event", [({"name": "received"}, tags[7]), ({"name": "timed out"}, tags[8])])
        | {"action_config": {"event": READY, "timeout_minutes": 24 * 60}},
        *tags[9:12],
    ]


def _lanes(name: str, kind: str, lanes: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    return {
        "name": name,
        "action_type": kind,
        "delay_minutes": 24 * 60,
        "lanes": [{"name": f"lane {number}", **lane, "steps": [step]} for number, (lane, step) in enumerate(lanes)],
    }
