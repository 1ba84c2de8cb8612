"""Taking due runs: locked with their contacts, advanced, and let go or kept under a lease, in one transaction.

Nothing is waited for: what another worker, an edit or an ingest holds is skipped, and comes up again.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from journeys.actions.base import Outgoing
from journeys.engine.advance import advance
from journeys.engine.decision import Decision, fail_run, retry_run
from journeys.engine.effects import write
from journeys.engine.flows import lock_journeys
from journeys.engine.lease import NO_LEASE, Lease, new_lease
from journeys.engine.limits import hold
from journeys.engine.load import RUN_COLUMNS, Loaded, LockedRun, load
from journeys.engine.people import COLUMNS as PERSON_COLUMNS
from journeys.engine.people import person_of
from journeys.engine.poison import Poison, told_apart
from journeys.engine.queue import DUE, JOURNEY_IS_ON
from journeys.engine.sql import execute, query
from journeys.engine.tally import Counted, append
from journeys.logic.effects import Outcome
from journeys.logic.ids import execution_range
from journeys.models import What

logger = logging.getLogger(__name__)

SUSPECT_DEATHS = 2
"""A run whose lease died this often is claimed alone; once more, and it fails."""

RUN_FIELDS = RUN_COLUMNS.split(", ")
PERSON_FIELDS = PERSON_COLUMNS.split(", ")
ONE_OF = " AND r.id = ANY(%(ids)s)"
ORDINARY = f" AND r.deaths < {SUSPECT_DEATHS}"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A committed claim: what was decided, and what is to be sent under the lease."""

    decisions: Sequence[Decision]
    lease: Lease

    @property
    def sends(self) -> list[tuple[Decision, Outgoing]]:
        return [(decision, decision.send) for decision in self.decisions if decision.send is not None]


def claim(now: datetime, limit: int, *, newest_first: bool = False) -> Claimed:
    """Claim and advance up to `limit` due runs. A batch that SQL rejects is taken apart until the bad run is alone."""
    order = f"ORDER BY r.due_at {'DESC' if newest_first else 'ASC'} LIMIT %(limit)s"
    try:
        return _claim(ORDINARY, order, {"now": now, "limit": limit})
    except Poison:
        logger.warning("a batch was rejected and is taken apart", exc_info=True)
        due = query(f"SELECT r.id {DUE}{JOURNEY_IS_ON}{ORDINARY} {order}", {"now": now, "limit": limit})
        return _halve([run_id for (run_id,) in due], now, new_lease())


def claim_suspect(now: datetime) -> Claimed:
    """Claim one of the runs that workers died with, alone."""
    suspects = f"SELECT r.id {DUE}{JOURNEY_IS_ON} AND r.deaths >= {SUSPECT_DEATHS} ORDER BY r.due_at LIMIT 1"
    found = query(suspects, {"now": now})
    return claim_one(found[0][0], now) if found else Claimed((), NO_LEASE)


def claim_one(run_id: UUID, now: datetime) -> Claimed:
    """Claim this run, if it is due and nobody has it."""
    return _halve([run_id], now, new_lease())


def _halve(ids: list[UUID], now: datetime, lease: Lease) -> Claimed:
    """Claim the parts of a batch that can be claimed, under one lease."""
    try:
        return _claim(ONE_OF, "", {"now": now, "ids": ids}, lease)
    except Poison as error:
        if len(ids) == 1:
            return _put_aside(ids[0], now, error)
    halves = [_halve(half, now, lease) for half in (ids[: len(ids) // 2], ids[len(ids) // 2 :])]
    return Claimed([decision for half in halves for decision in half.decisions], lease)


def _put_aside(run_id: UUID, now: datetime, error: Poison) -> Claimed:
    """The run that can't be advanced: looked at again later, and in the end failed with that reason."""
    logger.error("a run was rejected", extra={"user_journey": str(run_id)}, exc_info=error)
    try:
        return _claim(ONE_OF, "", {"now": now, "ids": [run_id]}, reason=str(error))
    except Poison as again:
        _fail_unseen(run_id, str(again), now)
        return Claimed((), NO_LEASE)


@transaction.atomic
def _fail_unseen(run_id: UUID, reason: str, now: datetime) -> None:
    """Fail a run that can't even be read. Left as it is, it would be met, and stop everything, again and again."""
    found = query(
        "UPDATE user_journeys SET status = 'failed', failed_at = %(now)s, failure_reason = %(reason)s, due_at = NULL, "
        "step_due_at = NULL, claim_token = NULL, lease_until = NULL, updated_at = %(now)s WHERE id = %(run)s "
        "AND status = 'active' AND (lease_until IS NULL OR lease_until < clock_timestamp()) RETURNING journey_id",
        {"now": now, "reason": reason, "run": run_id},
    )
    first, end = execution_range([run_id])
    for (journey_id,) in found:
        counts: dict[Counted, int] = {(journey_id, None, What.FAILED): 1}
        pending = query(
            "UPDATE step_executions SET status = 'failed', dead_at = %(now)s, completed_at = %(now)s, "
            "error_message = %(reason)s WHERE user_journey_id = %(run)s AND id >= %(first)s AND id < %(end)s "
            "AND status = 'pending' AND replay_at IS NULL RETURNING id, step_id",
            {"now": now, "reason": reason, "run": run_id, "first": first, "end": end},
        )
        counts |= {(journey_id, step_id, What.FAILED): 1 for _, step_id in pending}
        execute(
            "UPDATE messages SET status = 'failed', error = %s WHERE id = ANY(%s) AND status = 'pending'",
            [reason, [key for key, _ in pending]],
        )
        append(counts, now)


@told_apart()
@transaction.atomic
def _claim(
    which: str, order: str, parameters: dict[str, Any], lease: Lease | None = None, *, reason: str | None = None
) -> Claimed:
    now = parameters["now"]
    # Until PostgreSQL has analyzed a backlog that came at once, it takes it for a handful, and would read and sort all
    # of it for each batch. The index has the order already.
    execute("SET LOCAL enable_sort = off")
    peeked = query(
        f"SELECT DISTINCT journey_id FROM (SELECT r.journey_id {DUE}{JOURNEY_IS_ON}{which} {order}) AS due", parameters
    )
    journeys = lock_journeys([key for (key,) in peeked], skip_locked=True) if peeked else {}
    active = [journey.id for journey in journeys.values() if journey.is_active]
    if not active:
        return Claimed((), NO_LEASE)
    lease = lease or new_lease()
    rows = query(
        f"SELECT {', '.join(f'r.{name}' for name in RUN_FIELDS)}, {', '.join(f'c.{name}' for name in PERSON_FIELDS)} "
        f"{DUE.replace('WHERE', 'JOIN contacts c ON c.id = r.contact_id WHERE')} {which} "
        f"AND r.journey_id = ANY(%(journeys)s) {order} FOR NO KEY UPDATE OF r, c SKIP LOCKED",
        {**parameters, "journeys": active},
    )
    split = len(RUN_FIELDS)
    people = {row[split]: person_of(row[split:]) for row in rows}
    locked = [LockedRun(*row[:split]) for row in rows]
    loaded = load(locked, people, journeys)
    decisions = [
        _decide(row, loaded, number, now) if reason is None else retry_run(loaded.runs[number], reason, now)
        for number, row in enumerate(locked)
    ]
    hold(decisions, now)
    write(decisions, now, lease.token, lease.until)
    return Claimed(decisions, lease)


def _decide(row: LockedRun, loaded: Loaded, number: int, now: datetime) -> Decision:
    run = loaded.runs[number]
    if row.lease_until is not None:  # It ended, and the worker never said what became of the run.
        run.deaths += 1
        if run.deaths > SUSPECT_DEATHS:
            return fail_run(run, f"the worker died {run.deaths} times while it had this run", now)
    return decide(loaded, number, now)


def decide(
    loaded: Loaded, number: int, now: datetime, outcome: Outcome | None = None, *, go_on: bool = True
) -> Decision:
    """Advance one run of a batch. What it raises is its own: it is tried again later, and in the end failed."""
    run = loaded.runs[number]
    try:
        return advance(run, loaded.flows, loaded.templates, now, outcome, go_on=go_on)
    except Exception as error:
        logger.error("a run raised", extra={"user_journey": str(run.id)}, exc_info=error)
        return retry_run(run, f"{type(error).__name__}: {error}", now)
