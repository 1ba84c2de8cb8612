"""Taking due runs: locked with their contacts, advanced, and let go or kept under a lease, in one transaction.

Nothing is waited for: what another worker, an edit or an ingest holds is skipped, and comes up again.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import DataError, IntegrityError, transaction

from journeys.actions.base import Outgoing
from journeys.engine.advance import Decision, advance, fail_run, retry_run
from journeys.engine.effects import ExecutedTwice, write
from journeys.engine.flows import lock_journeys
from journeys.engine.lease import Lease, new_lease
from journeys.engine.load import RUN_COLUMNS, Loaded, LockedRun, load
from journeys.engine.people import COLUMNS as PERSON_COLUMNS
from journeys.engine.people import person_of
from journeys.engine.sql import query
from journeys.logic.effects import Outcome

logger = logging.getLogger(__name__)

SUSPECT_DEATHS = 2
"""A run whose lease died this often is claimed alone; once more, and it fails."""

RUN_FIELDS = RUN_COLUMNS.split(", ")
PERSON_FIELDS = PERSON_COLUMNS.split(", ")
DUE = (
    "FROM user_journeys r WHERE r.status = 'active' AND r.due_at <= %(now)s "
    "AND (r.lease_until IS NULL OR r.lease_until < clock_timestamp())"
)
ONE_OF = " AND r.id = ANY(%(ids)s)"
ORDINARY = f" AND r.deaths < {SUSPECT_DEATHS}"

Poisonous = (DataError, IntegrityError, ExecutedTwice)
"""What a run's own data makes SQL say. Everything else is the infrastructure's, and fails no run."""


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
    except Poisonous as error:
        logger.warning("a batch was rejected and is taken apart", extra={"error": type(error).__name__})
        due = query(f"SELECT r.id {DUE} {ORDINARY} {order}", {"now": now, "limit": limit})
        return _halve([run_id for (run_id,) in due], now, error)


def claim_suspect(now: datetime) -> Claimed:
    """Claim one of the runs that workers died with, alone."""
    return _claim(f" AND r.deaths >= {SUSPECT_DEATHS}", "ORDER BY r.due_at LIMIT 1", {"now": now})


def claim_one(run_id: UUID, now: datetime) -> Claimed:
    """Claim this run, if it is due and nobody has it."""
    ids = [run_id]
    try:
        return _claim(ONE_OF, "", {"now": now, "ids": ids})
    except Poisonous as error:
        return _put_aside(run_id, now, error)


def _halve(ids: list[UUID], now: datetime, error: Exception) -> Claimed:
    if len(ids) == 1:
        return _put_aside(ids[0], now, error)
    lease = new_lease()
    decisions: list[Decision] = []
    for half in (ids[: len(ids) // 2], ids[len(ids) // 2 :]):
        try:
            claimed = _claim(ONE_OF, "", {"now": now, "ids": half}, lease)
        except Poisonous as fault:
            claimed = _halve(half, now, fault)
        decisions += claimed.decisions
    return Claimed(decisions, lease)


def _put_aside(run_id: UUID, now: datetime, error: Exception) -> Claimed:
    """The run whose rows PostgreSQL won't take: looked at again later, and in the end failed with that reason."""
    logger.error("a run was rejected", extra={"user_journey": str(run_id)}, exc_info=error)
    reason = f"{type(error).__name__}: {error}".strip()
    return _claim(ONE_OF, "", {"now": now, "ids": [run_id]}, reason=reason)


@transaction.atomic
def _claim(
    which: str, order: str, parameters: dict[str, Any], lease: Lease | None = None, reason: str | None = None
) -> Claimed:
    lease, now = lease or new_lease(), parameters["now"]
    peeked = query(f"SELECT DISTINCT journey_id FROM (SELECT r.journey_id {DUE} {which} {order}) AS due", parameters)
    journeys = lock_journeys([key for (key,) in peeked], skip_locked=True) if peeked else {}
    active = [journey.id for journey in journeys.values() if journey.is_active]
    if not active:
        return Claimed((), lease)
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
    write(decisions, now, lease.token, lease.until)
    return Claimed(decisions, lease)


def _decide(row: LockedRun, loaded: Loaded, number: int, now: datetime) -> Decision:
    run = loaded.runs[number]
    if row.claim_token is not None:  # The lease ended, and its worker never said what became of it.
        run.deaths += 1
        if run.deaths > SUSPECT_DEATHS:
            return fail_run(run, f"the worker died {run.deaths} times while it had this run", now)
    return decide(loaded, number, now)


def decide(loaded: Loaded, number: int, now: datetime, outcome: Outcome | None = None) -> Decision:
    """Advance one run of a batch. What it raises is its own: it is tried again later, and in the end failed."""
    run = loaded.runs[number]
    try:
        return advance(run, loaded.flows, loaded.templates, now, outcome)
    except Exception as error:
        logger.error("a run raised", extra={"user_journey": str(run.id)}, exc_info=error)
        return retry_run(run, f"{type(error).__name__}: {error}", now)
