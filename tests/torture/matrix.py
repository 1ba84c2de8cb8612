"""kill -9 at every named point × every kind of step: a run each, one worker that dies there, others that heal it."""

import multiprocessing
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connections

from journeys.engine import cycle
from journeys.engine.ingest import Incoming, ingest
from journeys.engine.sql import execute
from journeys.models import Contact, Device, UserJourney
from journeys.models.ids import new_id
from tests.factories import make_journey
from tests.torture.evidence import gather
from tests.torture.herd import Herd, Life, say_who, work_on
from tests.torture.points import INSIDE, OUTSIDE, SENT_UNRECORDED, arm
from tests.torture.population import (
    MORE,
    Course,
    email,
    increment,
    lane,
    push,
    reward,
    step,
    tag,
    telegram,
    webhook,
    when,
)
from tests.torture.promises import Case
from tests.torture.stage import Stage, stage

_FORK = multiprocessing.get_context("fork")
DIES_WITHIN_SECONDS = 60
HEALED_WITHIN_SECONDS = 120

SENDS = ("send_email", "send_telegram", "send_push", "trigger_webhook")
KINDS = (
    *SENDS, "apply_tag", "remove_tag", "grant_reward", "update_contact", "start_journey", "schedule_next", "branch",
    "ab_split", "exit_journey", "wait_for_event", "skip", "exit_condition", "exit_on",
)  # fmt: skip
RULES: dict[str, dict[str, Any]] = {
    "exit_condition": {"exit_condition": {"field": "tags", "op": "contains", "value": "before"}},
    "exit_on": {"exit_on": [{"event": "ready"}]},
}
"""Of journeys that people leave."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One point and one kind of step; the run is of a contact of its own."""

    kind: str
    point: str

    @property
    def user_id(self) -> str:
        return f"{self.kind}--{self.point.replace(' ', '-')}"

    @property
    def deliveries(self) -> int:
        if self.kind not in SENDS:
            return 0
        return 2 if self.point in SENT_UNRECORDED else 1


@dataclass(slots=True)
class Played:
    case: Case
    cells: list[Cell]
    survivors: list[Cell]
    """Whose worker did not die at its point."""
    seconds: float


def cells() -> list[Cell]:
    return [Cell(kind, point) for kind in KINDS for point in (*INSIDE, *(OUTSIDE if kind in SENDS else ()))]


def play(lease: int) -> Played:
    with stage(lease, answer_seconds=0, refuses=False) as on:
        begun = time.monotonic()
        all_cells = cells()
        runs = _enter(all_cells, on)
        lives = {cell.user_id: _life_and_death(cell, runs[cell.user_id], on) for cell in all_cells}
        survivors = [cell for cell in all_cells if lives[cell.user_id].process.exitcode != -signal.SIGKILL]
        execute("""UPDATE contacts SET attributes = attributes || '{"turn": 1}'""")  # What is rendered anew would show.
        with Herd(2, partial(work_on, on.clock, 10)) as healers:
            _wait_until_healed()
        everybody = {life.name: life for life in (*lives.values(), *healers.lives)}
        case = Case(all_cells, course, everybody, gather(on.ledger.read()))
        return Played(case, all_cells, survivors, time.monotonic() - begun)


def _enter(all_cells: list[Cell], on: Stage) -> dict[str, UUID]:
    """A contact with every address for each cell, in the journey of its kind; the runs by `user_id`."""
    now = on.clock()
    for number, cell in enumerate(all_cells):
        address = {"email": f"c{number}@example.com", "telegram_chat_id": str(1_000_000 + number)}
        contact = Contact.objects.create(
            id=new_id(now), user_id=cell.user_id, created_at=now, updated_at=now, **address
        )
        Device.objects.create(id=new_id(now), contact=contact, kind="fcm", token=f"token-{number}", created_at=now)
    make_journey(MORE, [increment("more", "count", 1)], trigger_type="upgrade", now=now)
    for kind in KINDS:
        middle = _middle(kind, f"{on.ports.url}/hook")
        journey = make_journey(
            kind, [tag("before", "before"), middle, tag("after", "after")], now=now, **RULES.get(kind, {})
        )
        chosen = frozenset({journey.id})
        ingest([Incoming(cell.user_id, "signup", journeys=chosen) for cell in all_cells if cell.kind == kind], now)
    ingest([Incoming(cell.user_id, "ready") for cell in all_cells if cell.kind in ("wait_for_event", "exit_on")], now)
    return dict(UserJourney.objects.values_list("contact__user_id", "id"))


def _middle(kind: str, hook: str) -> dict[str, Any]:
    """The step that it is about."""
    made = {
        "send_email": email("it"),
        "send_telegram": telegram("it"),
        "send_push": push("it"),
        "trigger_webhook": webhook("it", hook),
        "apply_tag": tag("it", "it"),
        "remove_tag": step("it", "remove_tag", {"tag": "before"}),
        "grant_reward": reward("it", "points", "2.5"),
        "update_contact": increment("it", "count", 5),
        "start_journey": step("it", "start_journey", {"journey": MORE}),
        "schedule_next": step("it", "schedule_next", {"delay_minutes": 1}),
        "branch": step("it", "branch", lanes=[lane("all", tag("in", "in"))]),
        "ab_split": step("it", "ab_split", lanes=[lane(name, tag(name, "in"), weight=1) for name in ("A", "B")]),
        "exit_journey": step("it", "exit_journey"),
        "wait_for_event": step(
            "it",
            "wait_for_event",
            {"event": "ready", "timeout_minutes": 60, "since": "journey_start"},
            lanes=[lane("received", tag("in", "in"))],
        ),
        "skip": tag("it", "it", **when("plan", "none")),
        "exit_condition": tag("it", "it"),
        "exit_on": tag("it", "it"),
    }
    return made[kind]


def course(cell: Cell, split: str) -> Course:
    """What must become of the run, wherever its worker died."""
    steps, tags = {"before": "success", "it": "success"}, {"before"}
    rewards: tuple[tuple[str, Decimal], ...] = ()
    match cell.kind:
        case "exit_journey":
            return Course("exited", steps, frozenset(tags), ())
        case "exit_condition":
            return Course("exited", {"before": "success"}, frozenset(tags), ())
        case "exit_on":
            return Course("exited", {}, frozenset(), ())
        case "skip":
            steps["it"] = "skipped"
        case "apply_tag":
            tags.add("it")
        case "remove_tag":
            tags.clear()
        case "grant_reward":
            rewards = (("points", Decimal("2.5")),)
        case "start_journey":
            steps["more"] = "success"
        case "branch" | "ab_split" | "wait_for_event":
            steps[split if cell.kind == "ab_split" else "in"] = "success"
            tags.add("in")
    steps["after"] = "success"
    tags.add("after")
    count = {"update_contact": 5, "start_journey": 1}.get(cell.kind, 0)
    others = ("completed",) if cell.kind == "start_journey" else ()
    return Course("completed", steps, frozenset(tags), rewards, count, others)


def _life_and_death(cell: Cell, run_id: UUID, on: Stage) -> Life:
    """A worker that takes up this run, and is killed on the way."""
    connections.close_all()
    process = _FORK.Process(target=_work_and_die, args=(cell, run_id, on))
    process.start()
    process.join(DIES_WITHIN_SECONDS)
    if process.is_alive():
        process.kill()
    return Life(cell.user_id, process, [0, 0], killed_at=time.time())


def _work_and_die(cell: Cell, run_id: UUID, on: Stage) -> None:
    say_who(cell.user_id)
    arm(cell.point)
    cycle.execute(run_id, on.clock)


def _wait_until_healed() -> None:
    until = time.monotonic() + HEALED_WITHIN_SECONDS
    while UserJourney.objects.filter(status="active").exists() and time.monotonic() < until:
        time.sleep(0.1)


def broken_cells(played: Played) -> Iterator[str]:
    """Cells whose worker did not die there, or whose message came more or less often than it must."""
    yield from (f"{cell.user_id}: the worker did not die there" for cell in played.survivors)
    evidence = played.case.evidence
    came: Counter[str] = Counter()
    for key, all_of in evidence.deliveries.items():
        came[evidence.messages[key].user_id] += len(all_of)
    for cell in played.cells:
        if came[cell.user_id] != cell.deliveries:
            yield f"{cell.user_id}: it came {came[cell.user_id]} times, not {cell.deliveries}"
