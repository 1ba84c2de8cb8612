"""All that deciding needs of a batch of locked runs, in a fixed number of queries."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from journeys.actions.base import Outgoing, TemplateText
from journeys.actions.registry import ACTIONS
from journeys.engine.decision import Awaited, Heard, Past, Run, Target
from journeys.engine.flows import LiveJourney, flows_of
from journeys.engine.people import Person, add_devices, add_segments, add_tags
from journeys.engine.sql import query, transpose, uuids
from journeys.logic.facts import Lazy
from journeys.logic.flow import Flow
from journeys.logic.ids import execution_range
from journeys.models import ExecutionStatus, MessageTemplate

RUN_COLUMNS = (
    "id, contact_id, journey_id, version_id, current_step_id, step_due_at, previous_ended_at, attempts, deaths, moved, "
    "slot_at, event::text, metadata::text, claim_token, lease_until, awaits_event, listens_from, leaves"
)

HEARD_AT_ONCE = 100
"""So many events are looked at for a run before it comes up again: somebody may do the same thing all day."""


class LockedRun(NamedTuple):
    """A row of RUN_COLUMNS."""

    id: UUID
    contact_id: UUID
    journey_id: UUID
    version_id: UUID
    step_id: UUID | None
    step_due_at: Any
    previous_ended_at: Any
    attempts: int
    deaths: int
    moved: bool
    slot_at: Any
    event: str
    metadata: str
    claim_token: UUID | None
    lease_until: Any
    awaits_event: str | None
    listens_from: Any
    leaves: str | None


@dataclass(frozen=True, slots=True)
class Loaded:
    runs: Sequence[Run]
    flows: Mapping[UUID, Flow | Exception]
    templates: "BatchTemplates"


class BatchTemplates:
    """Message templates as they are now, each read at most once a batch."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], TemplateText | None] = {}

    def get(self, channel: str, name: str) -> TemplateText | None:
        if (channel, name) not in self._known:
            row = (
                MessageTemplate.objects.filter(channel=channel, name=name)
                .values_list("subject", "html", "text")
                .first()
            )
            self._known[channel, name] = TemplateText(*row) if row else None
        return self._known[channel, name]


def load(
    rows: Sequence[LockedRun],
    people: Mapping[UUID, Person],
    journeys: Mapping[UUID, LiveJourney],
    now: datetime,
    *,
    whole_past: Collection[UUID] = (),
    messages: Mapping[UUID, Outgoing] | None = None,
    targets: Mapping[UUID, Target | None] | None = None,
) -> Loaded:
    """Runs with their flows, tags, segments, devices and past.

    The past is read for those whose pointer doesn't say it all: a retry, a dead lease, a wait, another version, and
    those named in `whole_past`. `messages` are at hand already, `targets` the journeys that they may start.
    """
    versions = {row.version_id for row in rows} | {journeys[row.journey_id].version_id for row in rows}
    flows = flows_of(versions)
    compiled = [flow for flow in flows.values() if isinstance(flow, Flow)]
    actions = [ACTIONS[kind] for kind in {kind for flow in compiled for kind in flow.action_types}]
    if any(flow.conditions_read_tags for flow in compiled) or any(action.needs_tags for action in actions):
        add_tags(people)
    if segments := frozenset().union(*(flow.segments for flow in compiled)):
        add_segments(people, segments, now)
    if any(action.needs_devices for action in actions):
        add_devices(people)
    runs = [_run(row, people, journeys, targets or {}) for row in rows]
    eventful = {
        row.id
        for row in rows
        if row.attempts
        or row.claim_token
        or row.awaits_event
        or row.moved
        or row.version_id != journeys[row.journey_id].version_id
    }
    _add_past([run for run in runs if run.id in eventful or run.id in whole_past], messages or {})
    _add_heard([run for run in runs if run.awaited is not None])
    return Loaded(runs, flows, BatchTemplates())


def _run(
    row: LockedRun,
    people: Mapping[UUID, Person],
    journeys: Mapping[UUID, LiveJourney],
    targets: Mapping[UUID, Target | None],
) -> Run:
    return Run(
        id=row.id,
        journey=journeys[row.journey_id],
        person=people[row.contact_id],
        version_id=row.version_id,
        step_id=row.step_id,
        step_due_at=row.step_due_at,
        previous_ended_at=row.previous_ended_at,
        attempts=row.attempts,
        deaths=row.deaths,
        moved=row.moved,
        slot_at=row.slot_at,
        leaves=row.leaves,
        event=Lazy(lambda: json.loads(row.event)),
        metadata=json.loads(row.metadata),
        targets=targets,
        awaited=Awaited(row.awaits_event, row.listens_from) if row.awaits_event is not None else None,
    )


def _add_heard(runs: Sequence[Run]) -> None:
    """The events that runs wait for, as far as they came."""
    if not runs:
        return
    by_id = {run.id: run for run in runs}
    rows = query(
        "SELECT waits.run_id, e.name, e.message_id, e.occurred_at, e.received_at, e.properties::text "
        "FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::timestamptz[]) AS waits (run_id, contact_id, name, since) "
        "CROSS JOIN LATERAL (SELECT * FROM events WHERE events.contact_id = waits.contact_id "
        "AND events.received_at >= waits.since AND events.name = waits.name "
        "ORDER BY events.received_at FETCH FIRST %s ROWS WITH TIES) AS e ORDER BY e.received_at, e.id",
        [*_awaited(runs), HEARD_AT_ONCE],
    )
    for run_id, name, message_id, occurred_at, received_at, properties in rows:
        by_id[run_id].heard.append(Heard(name, message_id, occurred_at, received_at, json.loads(properties)))


def _awaited(runs: Sequence[Run]) -> list[str]:
    columns = {"run": "uuid", "contact": "uuid", "event": "text", "since": "timestamptz"}
    return transpose(columns, [(run.id, run.person.id, *run.awaited) for run in runs if run.awaited is not None])


def _add_past(runs: Sequence[Run], known: Mapping[UUID, Outgoing]) -> None:
    if not runs:
        return
    by_id = {run.id: run for run in runs}
    first, end = execution_range(by_id)  # Of the months that they lie in, and no others.
    rows = query(
        "SELECT user_journey_id, step_id, id, CASE WHEN replay_at IS NULL THEN status ELSE 'failed' END, retry_count, "
        "executed_at "
        "FROM step_executions WHERE user_journey_id = ANY(%s) AND id >= %s AND id < %s",
        [uuids(by_id), first, end],
    )
    pending = [key for _, _, key, status, _, _ in rows if status == ExecutionStatus.PENDING]
    messages = {**known, **outgoing(key for key in pending if key not in known)}
    for run_id, step_id, key, status, retry_count, executed_at in rows:
        by_id[run_id].past[step_id] = Past(status, retry_count, messages.get(key), executed_at)


def outgoing(execution_ids: Iterable[UUID]) -> dict[UUID, Outgoing]:
    """The messages of these executions, as they were rendered."""
    keys = list(execution_ids)
    if not keys:
        return {}
    rows = query(
        'SELECT id, channel, "to", subject, html, text, payload::text, created_at FROM messages WHERE id = ANY(%s)',
        [uuids(keys)],
    )
    return {
        key: Outgoing(key, channel, to, subject, html, text, json.loads(payload), created_at)
        for key, channel, to, subject, html, text, payload, created_at in rows
    }
