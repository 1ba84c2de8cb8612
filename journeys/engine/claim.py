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
from journeys.engine import caps
from journeys.engine.advance import advance
from journeys.engine.apart import put_off_unseen, write_apart
from journeys.engine.decision import DEATHS_ALONE, SUSPECT_DEATHS, Decision, fail_run, retry_run
from journeys.engine.flows import LiveJourney, lock_journeys
from journeys.engine.lease import NO_LEASE, RUNS, Lease, claiming, limit_idling, new_lease
from journeys.engine.limits import hold
from journeys.engine.load import RUN_COLUMNS, Loaded, LockedRun, load
from journeys.engine.people import COLUMNS as PERSON_COLUMNS
from journeys.engine.people import Person, person_of
from journeys.engine.poison import Poison, eighths, told_apart
from journeys.engine.queue import DUE, JOURNEY_IS_ON
from journeys.engine.sql import execute, query
from journeys.engine.starting import lock_targets
from journeys.logic.effects import Outcome

logger = logging.getLogger(__name__)

FRONT = 1_000
"""Among so many of the oldest due runs the suspects are looked for: ordinary claims leave them behind there."""
RUN_FIELDS = RUN_COLUMNS.split(", ")
PERSON_FIELDS = PERSON_COLUMNS.split(", ")
ONE_OF = " AND r.id = ANY(%(ids)s)"
# A due run that has a lease died with it just now.
DEATHS = "r.deaths + (r.lease_until IS NOT NULL)::int"
ORDINARY = f" AND {DEATHS} < {SUSPECT_DEATHS}"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A committed claim: what was decided, and what is to be sent under the lease."""

    decisions: Sequence[Decision]
    lease: Lease

    @property
    def sends(self) -> list[tuple[Decision, Outgoing]]:
        return [(decision, decision.send) for decision in self.decisions if decision.send is not None]


def claim(now: datetime, limit: int, *, newest_first: bool = False) -> Claimed:
    """Claim and advance up to `limit` due runs. A batch that can't be read is claimed part by part, to find what is bad
    in it; one that can't be written is taken apart while it is written (apart.py)."""
    order = f"ORDER BY r.due_at {'DESC' if newest_first else 'ASC'} LIMIT %(limit)s"
    try:
        return _claim(ORDINARY, order, {"now": now, "limit": limit})
    except Poison:
        logger.warning("a batch can't be read and is taken apart", exc_info=True)
        due = query(f"SELECT r.id {DUE}{JOURNEY_IS_ON}{ORDINARY} {order}", {"now": now, "limit": limit})
        return _claim_parts([run_id for (run_id,) in due], now, new_lease())


@transaction.atomic
def _suspect(now: datetime) -> UUID | None:
    execute("SET LOCAL enable_sort = off")
    found = query(
        f"SELECT id FROM (SELECT r.id, {DEATHS} AS deaths, r.due_at {DUE}{JOURNEY_IS_ON} "
        "ORDER BY r.due_at LIMIT %(front)s) "
        "AS front WHERE deaths >= %(deaths)s ORDER BY due_at LIMIT 1",
        {"now": now, "front": FRONT, "deaths": SUSPECT_DEATHS},
    )
    return found[0][0] if found else None


def claim_suspect(now: datetime) -> Claimed:
    """Claim one of the runs that workers died with, or that broke a batch, alone."""
    run_id = _suspect(now)
    return claim_one(run_id, now) if run_id is not None else Claimed((), NO_LEASE)


def claim_one(run_id: UUID, now: datetime) -> Claimed:
    """Claim this run, if it is due and nobody has it."""
    return _claim_part([run_id], now, new_lease())


def _claim_part(ids: Sequence[UUID], now: datetime, lease: Lease) -> Claimed:
    """Claim what can be claimed of these, under the lease."""
    try:
        return _claim(ONE_OF, "", {"now": now, "ids": list(ids)}, lease)
    except Poison as error:
        if len(ids) == 1:
            logger.error("a run can't be read", extra={"user_journey": str(ids[0])}, exc_info=error)
            put_off_unseen(ids[0], str(error), now)
            return Claimed((), NO_LEASE)
    return _claim_parts(ids, now, lease)


def _claim_parts(ids: Sequence[UUID], now: datetime, lease: Lease) -> Claimed:
    decisions: list[Decision] = []
    try:
        for part in eighths(ids):
            decisions += _claim_part(part, now, lease).decisions
    except Exception as error:
        if not decisions:
            raise
        # The parts before are committed: were they forgotten, they would wait for their lease, and count a death.
        logger.error("the rest of a batch could not be claimed", exc_info=error)
    return Claimed(decisions, lease)


@told_apart()
def _claim(which: str, order: str, parameters: dict[str, Any], lease: Lease | None = None) -> Claimed:
    now = parameters["now"]
    with claiming(RUNS) as taken, transaction.atomic():
        locked, people, journeys = _lock(which, order, parameters)
        if not locked:
            return Claimed((), NO_LEASE)
        lease = lease or new_lease()
        loaded = load(locked, people, journeys, now, targets=lock_targets(journeys))
        caps.look(loaded, now)
        decisions = [_decide(row, loaded, number, now) for number, row in enumerate(locked)]
        hold(decisions, now)
        decisions = write_apart(decisions, now, lease)
        taken.lease, taken.ids = lease, [decision.run.id for decision in decisions if decision.send is not None]
    return Claimed(decisions, lease)


def _lock(
    which: str, order: str, parameters: dict[str, Any]
) -> tuple[list[LockedRun], dict[UUID, Person], dict[UUID, LiveJourney]]:
    """Due runs with their contacts and journeys, under lock."""
    # Until PostgreSQL has analyzed a backlog that came at once, it takes it for a handful, and would read and sort all
    # of it for each batch. The index has the order already.
    execute("SET LOCAL enable_sort = off")
    peeked = query(
        f"SELECT DISTINCT journey_id FROM (SELECT r.journey_id {DUE}{JOURNEY_IS_ON}{which} {order}) AS due", parameters
    )
    if not peeked:
        return [], {}, {}
    limit_idling()
    journeys = lock_journeys([key for (key,) in peeked], skip_locked=True)
    rows = query(
        f"SELECT {', '.join(f'r.{name}' for name in RUN_FIELDS)}, {', '.join(f'c.{name}' for name in PERSON_FIELDS)} "
        f"{DUE.replace('WHERE', 'JOIN contacts c ON c.id = r.contact_id WHERE')} {which} "
        f"AND r.journey_id = ANY(%(journeys)s) {order} FOR NO KEY UPDATE OF r, c SKIP LOCKED",
        {**parameters, "journeys": [journey.id for journey in journeys.values() if journey.is_active]},
    )
    split = len(RUN_FIELDS)
    return [LockedRun(*row[:split]) for row in rows], {row[split]: person_of(row[split:]) for row in rows}, journeys


def _decide(row: LockedRun, loaded: Loaded, number: int, now: datetime) -> Decision:
    run = loaded.runs[number]
    if row.lease_until is not None:  # It ended, and the worker never said what became of the run.
        run.deaths += 1
        if run.deaths >= SUSPECT_DEATHS + DEATHS_ALONE:
            return fail_run(run, f"the worker died {run.deaths} times while it had this run, lastly with no other", now)
    return decide(loaded, number, now)


def decide(
    loaded: Loaded, number: int, now: datetime, outcome: Outcome | None = None, *, go_on: bool = True
) -> Decision:
    """Advance one run of a batch. What it raises is its own: it is tried again later, and in the end failed."""
    run = loaded.runs[number]
    before = run.person.state
    try:
        return advance(run, loaded.flows, loaded.templates, now, outcome, go_on=go_on)
    except Exception as error:
        run.person.state = before  # What its steps did is not written: other runs of the contact must not see it.
        logger.error("a run raised", extra={"user_journey": str(run.id)}, exc_info=error)
        if outcome is not None and go_on:
            # What was sent must not be sent again because of what comes behind it.
            return decide(loaded, number, now, outcome, go_on=False)
        return retry_run(run, f"{type(error).__name__}: {error}", now)
