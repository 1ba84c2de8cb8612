"""Journeys that journeys start: each start is made in the transaction of its step, under the contact's lock."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from journeys.actions.base import PermanentError, TransientError
from journeys.actions.starting import StartJourneyConfig
from journeys.engine.decision import Decision, Run, Target
from journeys.engine.enroll import Born, Entry, enroll
from journeys.engine.flows import LiveJourney, flows_of, lock_journeys
from journeys.engine.sql import execute, query, transpose, unnest, update
from journeys.logic.effects import InsideEffect, StartJourney
from journeys.logic.flow import Flow
from journeys.logic.instants import iso
from journeys.models import RunStatus

BUSY = timedelta(seconds=1)
"""After so long it is looked again at a journey that was just being changed."""
STARTS_LOCK = 0x6A6F7520
"""The advisory lock of who changes which journeys start which."""


class Busy(Exception):
    """The journey to be started is just being changed. Nothing counts, and it is looked at again."""


class _Start(NamedTuple):
    """An entry that a step wants to make; `key` is its execution's id."""

    entry: Entry
    key: UUID


def lock_targets(journeys: Mapping[UUID, LiveJourney], versions: Collection[UUID] = ()) -> dict[UUID, Target | None]:
    """Lock the journeys that these, and earlier `versions`, can start; None for one that is just being changed.
    Deleted ones are left out.

    It waits for nobody, so the order of locks is kept whatever the caller holds.
    """
    flows = flows_of({journey.version_id for journey in journeys.values()}.union(versions))
    wanted = {journey_id for flow in flows.values() if isinstance(flow, Flow) for journey_id in _started_by(flow)}
    if not wanted:
        return {}
    locked = lock_journeys(wanted, skip_locked=True)
    theirs = flows_of({journey.version_id for journey in locked.values()})
    targets: dict[UUID, Target | None] = {
        key: Target(journey, theirs[journey.version_id]) for key, journey in locked.items()
    }
    if busy := wanted - targets.keys():
        targets |= {key: None for (key,) in query("SELECT id FROM journeys WHERE id = ANY(%s)", [list(busy)])}
    return targets


def _started_by(flow: Flow) -> Iterable[UUID]:
    if "start_journey" not in flow.action_types:
        return
    for step in flow.every_step():
        if isinstance(step.config, StartJourneyConfig) and step.config.journey_id is not None:
            yield step.config.journey_id


def check(run: Run, effects: Iterable[InsideEffect]) -> None:
    """Look whether what is to be started is there. Raises Busy, PermanentError and TransientError."""
    for effect in effects:
        if isinstance(effect, StartJourney):
            if effect.journey_id not in run.targets:
                raise PermanentError("the journey that it starts was deleted")
            target = run.targets[effect.journey_id]
            if target is None:
                raise Busy
            if isinstance(target.flow, Exception):
                raise TransientError(f"{target.journey.name} can't be compiled: {target.flow}")


def start(decisions: Iterable[Decision], now: datetime) -> None:
    """Let contacts enter what their steps start, and note with the steps what came of it.

    The runs of the batch are written already: somebody who left a journey in it may enter it again.
    """
    wanted = [
        start
        for decision in decisions
        for effect, key in decision.effects
        if isinstance(effect, StartJourney) and (start := _start(decision.run, effect, key, now)) is not None
    ]
    if not wanted:
        return
    entering = [one for one in wanted if one.entry.journey.is_active]
    born = enroll([one.entry for one in entering], now)
    began = {one.key: run for one, run in zip(entering, born, strict=True) if run is not None}
    inside = _inside([one for one in wanted if one.key not in began])
    results = [(one.key, _result(one, inside, began.get(one.key))) for one in wanted]
    update("step_executions", {"id": "uuid", "result": "jsonb"}, results)


def _start(run: Run, effect: StartJourney, key: UUID, now: datetime) -> _Start | None:
    target = run.targets.get(effect.journey_id)
    if target is None or isinstance(target.flow, Exception):
        return None
    name = f"step:{key}"
    event = {"name": "start_journey", "message_id": name, "occurred_at": iso(now)}
    return _Start(Entry(run.person, target.journey, target.flow, event, dict(effect.metadata), name), key)


def _result(one: _Start, inside: Mapping[tuple[UUID, UUID], bool], run: Born | None) -> dict[str, Any]:
    journey = one.entry.journey
    if run is not None and not run.is_held_out:
        return {"status": "started", "journey": journey.name}
    own = {"status": "not started", "journey": journey.name}
    if run is not None:
        return own | {"reason": "they are held out"}
    was_in = inside.get((one.entry.person.id, journey.id))
    reasons = {True: "they are in it already", False: "they were in it before", None: "they may not enter it"}
    return own | {"reason": reasons[was_in] if journey.is_active else "it is switched off"}


def _inside(starts: Sequence[_Start]) -> dict[tuple[UUID, UUID], bool]:
    """Of those who were in that journey ever: whether they still are."""
    places = sorted({(one.entry.person.id, one.entry.journey.id) for one in starts})
    if not places:
        return {}
    columns = {"contact_id": "uuid", "journey_id": "uuid"}
    rows = query(
        "SELECT contact_id, journey_id, bool_or(status = ANY(%s)) "
        f"FROM {unnest(columns)} AS asked ({', '.join(columns)}) "
        "JOIN user_journeys USING (contact_id, journey_id) GROUP BY 1, 2",
        [[RunStatus.ACTIVE, RunStatus.PAUSED], *transpose(columns, places)],
    )
    return {(contact_id, journey_id): is_in for contact_id, journey_id, is_in in rows}


def lock_starts() -> None:
    """Let nobody else change which journeys start which, until the transaction ends. After the journey's own lock."""
    execute("SELECT pg_advisory_xact_lock(%s)", [STARTS_LOCK])
