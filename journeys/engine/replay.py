"""Dead letters: replaying them, and dismissing them.

A replay is a queue of its own over executions. It sends with the original key and, where the message was rendered, the
original bytes; the run's pointer does not move.
"""

import logging
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from journeys.actions.base import Outgoing, PermanentError, SkipStep, TransientError
from journeys.actions.registry import ACTIONS
from journeys.engine import caps, starting
from journeys.engine.breakers import learn
from journeys.engine.clock import Clock
from journeys.engine.decision import Decision, Execution, Run, retry_policy
from journeys.engine.dispatch import Parcel, dispatch
from journeys.engine.effects import writing
from journeys.engine.flows import lock_journeys
from journeys.engine.lease import EXECUTIONS, NO_LEASE, Lease, Renewal, claiming, limit_idling, new_lease, release
from journeys.engine.limits import Turn, turns_of
from journeys.engine.load import RUN_COLUMNS, Loaded, LockedRun, load, outgoing
from journeys.engine.outage import persist
from journeys.engine.people import lock_people
from journeys.engine.poison import Poison, told_apart
from journeys.engine.queue import REPLAYS
from journeys.engine.sql import execute, query, update
from journeys.engine.starting import lock_targets
from journeys.engine.tally import Counted, append
from journeys.logic.effects import Delivered, Outcome, Prepared, Undelivered
from journeys.logic.flow import Flow, Step
from journeys.logic.limits import is_mine
from journeys.logic.retry import retry_delay
from journeys.models import ExecutionStatus, What

logger = logging.getLogger(__name__)


@transaction.atomic
def replay(execution_ids: Iterable[UUID], now: datetime) -> int:
    """Queue dead letters to be tried again; how many of these were dead letters. The caller wakes a worker."""
    rows = query(
        "UPDATE step_executions e SET status = 'pending', replay_at = %s, dead_at = NULL, retry_count = 0, "
        "completed_at = NULL FROM user_journeys r WHERE e.id IN (SELECT id FROM step_executions WHERE id = ANY(%s) "
        "AND dead_at IS NOT NULL ORDER BY id FOR NO KEY UPDATE) "
        "AND r.id = e.user_journey_id RETURNING r.journey_id, e.step_id",
        [now, list(execution_ids)],
    )
    counts: Counter[Counted] = Counter()
    for journey_id, step_id in rows:  # It is no failure any more; what it will be is counted when it is known.
        counts[journey_id, step_id, What.FAILED] -= 1
    append(counts, now)
    return len(rows)


def dismiss(execution_ids: Iterable[UUID], now: datetime) -> int:
    """Take dead letters off the list; they stay failed. How many of these were on it."""
    return execute(
        "UPDATE step_executions SET dead_at = NULL WHERE id IN (SELECT id FROM step_executions WHERE id = ANY(%s) "
        "AND dead_at IS NOT NULL ORDER BY id FOR NO KEY UPDATE)",
        [list(execution_ids)],
    )


@dataclass(slots=True)
class _Replay:
    """One execution on its way through again."""

    id: UUID
    run: Run
    step_id: UUID
    step: Step | None
    tries: int
    message: Outgoing | None
    decision: Decision
    waits_until: datetime | None = None
    slot_at: datetime | None = None
    sends: Outgoing | None = None
    wait: timedelta = timedelta()

    def put_off(self, turn: Turn) -> None:
        """Send nothing now, but look again then. What was rendered just now is forgotten, and nothing counts."""
        self.sends, self.waits_until, self.slot_at = None, turn.at, turn.at if turn.is_slot else None
        self.decision = Decision(self.run)


@dataclass(slots=True)
class _Batch:
    replays: dict[UUID, _Replay] = field(default_factory=dict)
    lease: Lease = NO_LEASE


def work(clock: Clock, limit: int) -> int:
    """Take one batch of queued replays as far as it goes; how many it was."""
    batch = _take(clock(), limit)
    parcels = _parcels(batch)
    messages = {parcel.message.id: parcel.message for parcel in parcels}
    renewal = Renewal(EXECUTIONS, batch.lease, set(messages))
    for lot in dispatch(parcels, renewal):
        outcomes = dict(lot)
        persist(lambda: _record(batch, outcomes, clock()), renewal.give_up)  # noqa: B023 - called at once
        persist(lambda: learn(outcomes, messages, clock()), renewal.give_up)  # noqa: B023
        renewal.ids -= outcomes.keys()
    if renewal.ids:
        persist(lambda: release(EXECUTIONS, renewal.ids, batch.lease.token))
    return len(batch.replays)


def _parcels(batch: _Batch) -> list[Parcel]:
    replays = batch.replays.values()
    return [Parcel(one.sends, one.run.person.view.is_test, one.wait) for one in replays if one.sends is not None]


def _take(now: datetime, limit: int) -> _Batch:
    """Claim a batch. Where it is rejected, they are claimed one by one, and the bad ones are dead letters again."""
    try:
        return _claim(now, limit)
    except Poison:
        logger.warning("a batch of replays was rejected and is taken apart", exc_info=True)
    due = f"SELECT id FROM step_executions WHERE replay_at IS NOT NULL AND {REPLAYS} ORDER BY replay_at LIMIT %(limit)s"
    for (key,) in query(due, {"now": now, "limit": limit}):
        try:
            batch = _claim(now, 1, [key])
        except Poison as error:
            logger.error("a replay was rejected", extra={"step_execution": str(key)}, exc_info=error)
            _reject(key, str(error), now)
        else:
            if batch.replays:
                return batch
    return _Batch()


@transaction.atomic
def _reject(key: UUID, reason: str, now: datetime) -> None:
    rows = query(
        "UPDATE step_executions e SET status = 'failed', error_message = %(reason)s, dead_at = %(now)s, "
        "completed_at = %(now)s, replay_at = NULL, claim_token = NULL, lease_until = NULL FROM user_journeys r "
        f"WHERE r.id = e.user_journey_id AND e.id = %(key)s AND e.replay_at IS NOT NULL AND {_of('e')} "
        "RETURNING r.journey_id, e.step_id",
        {"reason": reason, "now": now, "key": key},
    )
    append({(journey_id, step_id, What.FAILED): 1 for journey_id, step_id in rows}, now)


@told_apart()
def _claim(now: datetime, limit: int, only: list[UUID] | None = None) -> _Batch:
    batch = _Batch()
    with claiming(EXECUTIONS) as taken, transaction.atomic():
        _fill(batch, now, limit, only)
        taken.lease, taken.ids = batch.lease, [one.id for one in batch.replays.values() if one.sends]
    return batch


def _fill(batch: _Batch, now: datetime, limit: int, only: list[UUID] | None) -> None:
    peeked = query(
        "SELECT e.id, r.journey_id, r.contact_id "
        "FROM step_executions e JOIN user_journeys r ON r.id = e.user_journey_id "
        f"WHERE e.replay_at IS NOT NULL AND {_of('e')} {'AND e.id = ANY(%(only)s)' if only else ''} "
        "ORDER BY e.replay_at LIMIT %(limit)s",
        {"now": now, "limit": limit, "only": only},
    )
    if not peeked:
        return
    limit_idling()
    batch.lease = new_lease()
    journeys = lock_journeys({row[1] for row in peeked})
    people = lock_people({row[2] for row in peeked})
    rows = query(
        "SELECT e.id, e.step_id, e.retry_count, e.slot_at, "
        f"{', '.join(f'r.{name}' for name in RUN_COLUMNS.split(', '))} "
        "FROM step_executions e JOIN user_journeys r ON r.id = e.user_journey_id "
        f"WHERE e.id = ANY(%(ids)s) AND e.replay_at IS NOT NULL AND {_of('e')} FOR NO KEY UPDATE OF e SKIP LOCKED",
        {"now": now, "ids": [row[0] for row in peeked]},
    )
    runs = [LockedRun(*row[4:]) for row in rows]
    targets = lock_targets(journeys, [run.version_id for run in runs])  # A step is replayed as it was in its version.
    loaded = load(runs, people, journeys, now, targets=targets)
    messages = outgoing(row[0] for row in rows)
    for (key, step_id, tries, *_), run in zip(rows, loaded.runs, strict=True):
        one = _Replay(key, run, step_id, _step(loaded, run, step_id), tries, messages.get(key), Decision(run))
        batch.replays[key] = one
        _begin(one, loaded, now)
    _hold(batch, {row[0]: row[3] for row in rows if is_mine(row[3], now)}, now)
    _write(batch, batch.replays.values(), now)


def _hold(batch: _Batch, mine: Mapping[UUID, datetime], now: datetime) -> None:
    for key, turn in turns_of(_parcels(batch), mine, now).items():
        if turn.is_soon(now):
            batch.replays[key].wait = turn.at - now
        else:
            batch.replays[key].put_off(turn)


def _of(alias: str) -> str:
    return REPLAYS.replace("replay_at", f"{alias}.replay_at").replace("lease_until", f"{alias}.lease_until")


def _step(loaded: Loaded, run: Run, step_id: UUID) -> Step | None:
    """The step in the run's version, or in the live one; None where neither has it any more."""
    for version_id in (run.version_id, run.journey.version_id):
        flow = loaded.flows[version_id]
        if isinstance(flow, Flow) and step_id in flow:
            return flow.step(step_id)
    return None


def _begin(one: _Replay, loaded: Loaded, now: datetime) -> None:
    if one.message is not None:
        one.sends = one.message
        return
    if one.step is None:
        _fail(one, "the step is in no version that this run could use any more", now)
        return
    try:
        prepared = ACTIONS[one.step.action_type].prepare(
            one.step.config, one.run.context(one.step, one.id, one.run.facts(now), loaded.templates)
        )
        starting.check(one.run, prepared.effects)
    except starting.Busy:
        one.put_off(Turn(now + starting.BUSY, is_slot=False))
    except SkipStep as skip:
        _finish(one, ExecutionStatus.SKIPPED, {"reason": str(skip)}, now)
    except PermanentError as error:
        _fail(one, str(error), now)
    except TransientError as error:
        _settle(one, Undelivered(str(error), permanent=False, retry_after=error.retry_after), now)
    except Exception as error:
        logger.error("a replay raised", extra={"step_execution": str(one.id)}, exc_info=error)
        _settle(one, Undelivered(f"{type(error).__name__}: {error}", permanent=False), now)
    else:
        _carry_out(one, one.step, prepared, now)


def _carry_out(one: _Replay, step: Step, prepared: Prepared, now: datetime) -> None:
    one.decision.effects += [(effect, one.id) for effect in prepared.effects]
    if prepared.send is None:
        _finish(one, ExecutionStatus.SUCCESS, prepared.result, now)
        return
    one.sends = Outgoing.of(prepared.send, one.id, now)
    one.decision.messages.append((one.sends, step.id))
    caps.note(one.decision, step.config, one.sends)


@transaction.atomic
def _record(batch: _Batch, outcomes: Mapping[UUID, Outcome], now: datetime) -> None:
    limit_idling()
    people = {batch.replays[key].run.person.id for key in outcomes}
    lock_people(people)
    rows = query(
        "SELECT id FROM step_executions WHERE id = ANY(%s) AND claim_token = %s ORDER BY id FOR NO KEY UPDATE",
        [list(outcomes), batch.lease.token],
    )
    # Those missing: the lease ended and another worker took them. Copies, because this may have to be done again.
    mine = [replace(batch.replays[key], sends=None) for (key,) in rows]
    for one in mine:
        one.decision = Decision(one.run)
        _settle(one, outcomes[one.id], now)
        one.decision.outcomes.append((one.id, outcomes[one.id], one.waits_until is None))
    _write(batch, mine, now)


def _settle(one: _Replay, outcome: Outcome, now: datetime) -> None:
    one.decision.effects += [(effect, one.id) for effect in outcome.effects]
    if isinstance(outcome, Delivered):
        _finish(one, ExecutionStatus.SUCCESS, outcome.result, now)
        return
    one.tries += 1
    wait = None
    if not outcome.permanent:
        wait = retry_delay(one.tries, random.random, outcome.retry_after, retry_policy())
    if wait is None:
        _fail(one, outcome.error, now)
    else:
        one.waits_until = now + wait
        _note(one, ExecutionStatus.PENDING, {}, outcome.error, now)


def _finish(one: _Replay, status: ExecutionStatus, result: Mapping[str, Any], now: datetime) -> None:
    _note(one, status, result, "", now)


def _fail(one: _Replay, error: str, now: datetime) -> None:
    _note(one, ExecutionStatus.FAILED, {}, error, now)


def _note(one: _Replay, status: ExecutionStatus, result: Mapping[str, Any], error: str, now: datetime) -> None:
    failed = status == ExecutionStatus.FAILED
    one.decision.executions[one.id] = Execution.of(
        one.id, one.run, one.step_id, status, now, result, error, one.tries, dead=failed
    )
    if status != ExecutionStatus.PENDING:
        one.decision.count(What(status.value), one.step_id)


def _write(batch: _Batch, replays: Iterable[_Replay], now: datetime) -> None:
    """Write what became of them, and who has them now: a replay that sends stays ours until its lease ends."""
    replays = list(replays)
    columns = {
        "id": "uuid", "replay_at": "timestamptz", "slot_at": "timestamptz", "claim_token": "uuid",
        "lease_until": "timestamptz",
    }  # fmt: skip
    lease = batch.lease
    with writing([one.decision for one in replays], now):
        update(
            "step_executions",
            columns,
            [
                (one.id, now, None, lease.token, lease.until)
                if one.sends
                else (one.id, one.waits_until, one.slot_at, None, None)
                for one in replays
            ],
        )
    starting.start([one.decision for one in replays], now)
