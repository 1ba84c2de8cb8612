"""Starting runs. The caller holds the journeys' and the contacts' locks; constraints stand behind them."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from journeys.engine.flows import LiveJourney
from journeys.engine.people import Person
from journeys.engine.sql import insert, query, transpose, unnest
from journeys.engine.tally import Counted, append
from journeys.logic.entry import ONCE
from journeys.logic.flow import Flow
from journeys.models import What
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

    def shut_since(self, now: datetime) -> datetime | None:
        """Who entered later than this may not enter; None where the constraints say it all."""
        if self.flow.entrance.reentry == ONCE and not self.journey.was_open_again:
            return None  # Every earlier run has the key that this one has.
        return self.flow.entrance.shut_since(now)


def enroll(entries: Sequence[Entry], now: datetime) -> list[bool]:
    """Start a run for each entry whose contact may enter that journey now; which of them did start."""
    barred = _barred(entries, now)
    rows = [_row(entry, now) for entry in entries]
    # Without a target: any unique index that a row conflicts with means that there is such a run already, or one that
    # goes on.
    entering = [row for row, entry in zip(rows, entries, strict=True) if entry.place not in barred]
    inserted = insert("user_journeys", COLUMNS, entering, "ON CONFLICT DO NOTHING RETURNING id").rows
    born = {run_id for (run_id,) in inserted}
    started = [row[0] in born for row in rows]
    counts: Counter[Counted] = Counter(
        (entry.journey.id, None, What.STARTED) for entry, yes in zip(entries, started, strict=True) if yes
    )
    append(counts, now)
    return started


def _barred(entries: Sequence[Entry], now: datetime) -> Collection[Place]:
    """Who was in that journey too short a time ago. Seen under the contacts' locks, so nobody can enter meanwhile."""
    asked = [(*entry.place, since) for entry in entries if (since := entry.shut_since(now)) is not None]
    if not asked:
        return ()
    columns = {"contact_id": "uuid", "journey_id": "uuid", "since": "timestamptz"}
    rows = query(
        f"SELECT r.contact_id, r.journey_id FROM {unnest(columns)} AS asked ({', '.join(columns)}) "
        "JOIN user_journeys r ON r.contact_id = asked.contact_id AND r.journey_id = asked.journey_id "
        "AND r.started_at > asked.since",
        transpose(columns, asked),
    )
    return {(contact_id, journey_id) for contact_id, journey_id in rows}


def _row(entry: Entry, now: datetime) -> tuple[Any, ...]:
    first = entry.flow.first
    zone = entry.person.zone if first is not None and first.hours is not None else UTC
    due_at = first.due(now, now, zone) if first is not None else now
    step_id: UUID | None = first.id if first else None
    return (
        new_id(now), entry.person.id, entry.journey.id, entry.journey.version_id, "active",
        step_id, entry.flow.entrance.key(entry.key), entry.event, entry.metadata, now,
        due_at, due_at, now, "", "", 0, 0, False, now, now,
    )  # fmt: skip
