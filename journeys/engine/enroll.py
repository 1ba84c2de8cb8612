"""Starting runs. The caller holds the journeys' and the contacts' locks; constraints stand behind them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from journeys.engine.flows import LiveJourney
from journeys.engine.people import Person
from journeys.engine.sql import insert
from journeys.engine.tally import Counted, append
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


@dataclass(frozen=True, slots=True)
class Entry:
    """One contact about to enter a journey. `event` has name, message_id and occurred_at; `metadata` its properties."""

    person: Person
    journey: LiveJourney
    flow: Flow
    event: dict[str, Any]
    metadata: dict[str, Any]


def enroll(entries: Sequence[Entry], now: datetime) -> list[bool]:
    """Start a run for each entry whose contact was never in that journey; which of them did start."""
    rows = [_row(entry, now) for entry in entries]
    # Without a target: any unique index that a row conflicts with means that there is such a run already.
    inserted = insert("user_journeys", COLUMNS, rows, "ON CONFLICT DO NOTHING RETURNING id").rows
    born = {run_id for (run_id,) in inserted}
    started = [row[0] in born for row in rows]
    counts: Counter[Counted] = Counter(
        (entry.journey.id, None, What.STARTED) for entry, yes in zip(entries, started, strict=True) if yes
    )
    append(counts, now)
    return started


def _row(entry: Entry, now: datetime) -> tuple[Any, ...]:
    first = entry.flow.first
    zone = entry.person.zone if first is not None and first.hours is not None else UTC
    due_at = first.due(now, now, zone) if first is not None else now
    step_id: UUID | None = first.id if first else None
    return (
        new_id(now), entry.person.id, entry.journey.id, entry.journey.version_id, "active",
        step_id, "", entry.event, entry.metadata, now,
        due_at, due_at, now, "", "", 0, 0, False, now, now,
    )  # fmt: skip
