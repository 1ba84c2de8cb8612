"""Starting runs. The caller holds the journeys' and the contacts' locks; constraints stand behind them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from journeys.engine.flows import LiveJourney
from journeys.engine.people import Person
from journeys.engine.sql import insert, query, transpose, unnest
from journeys.engine.tally import Counted, append
from journeys.logic.entry import EVER, ONCE, is_held_out
from journeys.logic.flow import Flow
from journeys.models import RunStatus, What
from journeys.models.ids import new_id

UTC = ZoneInfo("UTC")
COLUMNS = {
    "id": "uuid", "contact_id": "uuid", "journey_id": "uuid", "version_id": "uuid", "status": "text",
    "current_step_id": "uuid", "entry_key": "text", "event": "jsonb", "metadata": "jsonb", "started_at": "timestamptz",
    "due_at": "timestamptz", "step_due_at": "timestamptz", "previous_ended_at": "timestamptz",
    "failure_reason": "text", "exit_reason": "text", "attempts": "int", "deaths": "int", "moved": "bool",
    "created_at": "timestamptz", "updated_at": "timestamptz",
}  # fmt: skip


Place = tuple[UUID, UUID]
"""A contact and a journey."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One contact about to enter a journey. `event` has name, message_id and occurred_at; `metadata` its properties.

    `key` names what starts the run (`event:<message_id>`, `date:2026-03-01`): by the same, nobody enters twice.
    """

    person: Person
    journey: LiveJourney
    flow: Flow
    event: dict[str, Any]
    metadata: dict[str, Any]
    key: str

    @property
    def place(self) -> Place:
        return self.person.id, self.journey.id

    @property
    def is_held_out(self) -> bool:
        return is_held_out(self.flow.entrance.holdout_percent, f"{self.journey.id}:{self.person.id}")

    def shut_since(self, now: datetime) -> datetime | None:
        """Who entered later than this may not enter; None where the constraints say it all."""
        if self.flow.entrance.reentry == ONCE and not self.journey.was_open_again:
            return None  # Every earlier run has the key that this one has.
        return self.flow.entrance.shut_since(now)


class Born(NamedTuple):
    """A run that began; one that is held out takes no step, and is over at once."""

    run_id: UUID
    is_held_out: bool


def enroll(entries: Sequence[Entry], now: datetime) -> list[Born | None]:
    """Start a run for each entry whose contact may enter that journey now; what began, for each entry."""
    held = [entry.is_held_out for entry in entries]
    barred = _barred(entries, held, now)
    rows = [_row(entry, out, now) for entry, out in zip(entries, held, strict=True)]
    # Without a target: any unique index that a row conflicts with means that there is such a run already, or one that
    # goes on.
    entering = [row for row, is_barred in zip(rows, barred, strict=True) if not is_barred]
    inserted = insert("user_journeys", COLUMNS, entering, "ON CONFLICT DO NOTHING RETURNING id").rows
    new = {run_id for (run_id,) in inserted}
    born = [Born(row[0], out) if row[0] in new else None for row, out in zip(rows, held, strict=True)]
    counts: Counter[Counted] = Counter(
        (entry.journey.id, None, What.HELD_OUT if run.is_held_out else What.STARTED)
        for entry, run in zip(entries, born, strict=True)
        if run is not None
    )
    append(counts, now)
    return born


def _barred(entries: Sequence[Entry], held: Sequence[bool], now: datetime) -> list[bool]:
    """Who may not enter, for a reason that no constraint knows. Seen under the contacts' locks."""
    asked = [row for entry, out in zip(entries, held, strict=True) if (row := _asked(entry, out, now)) is not None]
    shut = _shut(asked) if asked else set()
    barred: list[bool] = []
    for entry, out in zip(entries, held, strict=True):
        barred.append(entry.place in shut)
        if out:  # Two of one batch: runs that are over at once don't conflict with each other.
            shut.add(entry.place)
    return barred


ASKED = {
    "contact_id": "uuid", "journey_id": "uuid", "since": "timestamptz", "is_held_out": "bool",
    "measured_since": "timestamptz",
}  # fmt: skip


def _asked(entry: Entry, is_held_out: bool, now: datetime) -> tuple[Any, ...] | None:
    since = entry.shut_since(now)
    if since is None and (not is_held_out or entry.flow.entrance.reentry == ONCE):
        return None
    goal = entry.flow.goal
    return (*entry.place, since, is_held_out, now - goal.within if goal is not None else EVER)


def _shut(asked: Sequence[tuple[Any, ...]]) -> set[Place]:
    """The journeys that are shut to a contact: who entered lately may not; who is held out is neither while they are
    inside, nor again while it is looked whether they reach the goal, nor ever where there is none."""
    rows = query(
        f"SELECT r.contact_id, r.journey_id FROM {unnest(ASKED)} AS asked ({', '.join(ASKED)}) "
        "JOIN user_journeys r ON r.contact_id = asked.contact_id AND r.journey_id = asked.journey_id "
        "WHERE r.started_at > asked.since OR (asked.is_held_out AND (r.status IN ('active', 'paused') "
        "OR (r.status = 'held_out' AND r.started_at >= asked.measured_since)))",
        transpose(ASKED, asked),
    )
    return {(contact_id, journey_id) for contact_id, journey_id in rows}


def _row(entry: Entry, is_held_out: bool, now: datetime) -> tuple[Any, ...]:
    first = entry.flow.first if not is_held_out else None
    zone = entry.person.zone if first is not None and first.hours is not None else UTC
    due_at: datetime | None = first.due(now, now, zone) if first is not None else now
    step_id: UUID | None = first.id if first else None
    status, due_at = (RunStatus.HELD_OUT, None) if is_held_out else (RunStatus.ACTIVE, due_at)
    return (
        new_id(now), entry.person.id, entry.journey.id, entry.journey.version_id, status,
        step_id, entry.flow.entrance.key(entry.key), entry.event, entry.metadata, now,
        due_at, due_at, now, "", "", 0, 0, False, now, now,
    )  # fmt: skip
