"""Writing what sends came to, guarded by the token, and going on from there."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from journeys.engine import caps
from journeys.engine.claim import decide
from journeys.engine.decision import Decision
from journeys.engine.effects import write
from journeys.engine.flows import lock_journeys
from journeys.engine.lease import limit_idling, new_lease
from journeys.engine.limits import hold
from journeys.engine.load import RUN_COLUMNS, LockedRun, load
from journeys.engine.people import lock_people
from journeys.engine.poison import Poison, eighths, told_apart
from journeys.engine.sql import query, uuids
from journeys.engine.starting import lock_targets
from journeys.logic.effects import Outcome
from journeys.logic.ids import execution_id

logger = logging.getLogger(__name__)


def record(
    outcomes: Mapping[UUID, Outcome], sent: Mapping[UUID, Decision], token: UUID, now: datetime
) -> Sequence[Decision]:
    """Record the outcomes by execution id, and advance their runs. `sent` has the decision that each send came from.

    What was decided is returned, with what the runs have to send next: for that they are kept under the same token.
    Outcomes of runs that another worker has by now are dropped: that worker repeats the send, with the same key.
    """
    try:
        return _record(outcomes, sent, token, now)
    except Poison as error:
        keys = list(outcomes)
        if len(keys) == 1:
            logger.error("an outcome was rejected", extra={"step_execution": str(keys[0])}, exc_info=error)
            return _record_only(outcomes, sent, token, now)
    parts = [record({key: outcomes[key] for key in part}, sent, token, now) for part in eighths(keys)]
    return [decision for part in parts for decision in part]


def _record_only(
    outcomes: Mapping[UUID, Outcome], sent: Mapping[UUID, Decision], token: UUID, now: datetime
) -> Sequence[Decision]:
    """What was sent must not be sent again because a later step is rejected: that one is left to the next claim."""
    try:
        return _record(outcomes, sent, token, now, go_on=False)
    except Poison as error:
        # It can't be written down at all: the lease ends, it is repeated, and in the end it fails.
        logger.error("an outcome can't be recorded", exc_info=error)
        return ()


@told_apart((Exception,))  # Nobody is failed for it, and what isn't recorded is sent again: smaller lots may do.
@transaction.atomic
def _record(
    outcomes: Mapping[UUID, Outcome],
    sent: Mapping[UUID, Decision],
    token: UUID,
    now: datetime,
    *,
    go_on: bool = True,
) -> Sequence[Decision]:
    limit_idling()
    lease = new_lease(token)
    keys = {sent[key].run.id: key for key in outcomes}
    runs = [sent[key].run for key in outcomes]
    journeys = lock_journeys({run.journey.id for run in runs})
    people = lock_people({run.person.id for run in runs})
    rows = query(
        f"SELECT {RUN_COLUMNS} FROM user_journeys WHERE id = ANY(%s) AND claim_token = %s AND status = 'active' "
        "ORDER BY id FOR NO KEY UPDATE",
        [uuids(keys), token],
    )
    mine = [row for row in map(LockedRun._make, rows) if _waits_for(row, keys[row.id]) or row.lease_until is not None]
    if len(mine) < len(keys):  # Their lease ended and another worker took them, or their contact was deleted.
        logger.warning("outcomes came too late, or a second time", extra={"count": len(keys) - len(mine)})
    sends = {key: send for key in outcomes if (send := sent[key].send) is not None}
    loaded = load(mine, people, journeys, now, messages=sends, targets=lock_targets(journeys))
    caps.look(loaded, now)
    for run in loaded.runs:
        run.deaths = 0  # It got somewhere: those who died before did not die of what comes now.
    decisions = [
        # Without its outcome: our own commit, whose answer was lost, took that in already, and the run sends on.
        decide(loaded, number, now, outcomes[keys[row.id]] if _waits_for(row, keys[row.id]) else None, go_on=go_on)
        for number, row in enumerate(mine)
    ]
    hold(decisions, now)
    write(decisions, now, lease.token, lease.until)
    return decisions


def _waits_for(row: LockedRun, key: UUID) -> bool:
    """Whether the run is still at the step whose send this is."""
    return row.step_id is not None and execution_id(row.id, row.step_id) == key
