"""Writing what sends came to, guarded by the token, and going on from there."""

import logging
from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from django.db import transaction

from journeys.engine.claim import Claimed, decide
from journeys.engine.decision import Decision
from journeys.engine.effects import write
from journeys.engine.flows import lock_journeys
from journeys.engine.lease import NO_LEASE, new_lease
from journeys.engine.limits import hold
from journeys.engine.load import RUN_COLUMNS, LockedRun, load
from journeys.engine.people import lock_people
from journeys.engine.poison import Poison, told_apart
from journeys.engine.sql import execute, query, uuids
from journeys.logic.effects import Outcome

logger = logging.getLogger(__name__)


def record(outcomes: Mapping[UUID, Outcome], sent: Mapping[UUID, Decision], token: UUID, now: datetime) -> Claimed:
    """Record the outcomes by execution id, and advance their runs. `sent` has the decision that each send came from.

    What the runs have to send next is returned under a renewed lease. Outcomes of runs that another worker has by now
    are dropped: that worker repeats the send, with the same key.
    """
    try:
        return _record(outcomes, sent, token, now)
    except Poison as error:
        keys = list(outcomes)
        if len(keys) == 1:
            logger.error("an outcome was rejected", extra={"step_execution": str(keys[0])}, exc_info=error)
            return _record_only(outcomes, sent, token, now)
    halves = [
        record({key: outcomes[key] for key in half}, sent, token, now)
        for half in (keys[: len(keys) // 2], keys[len(keys) // 2 :])
    ]
    lease = min((half.lease for half in halves if half.decisions), key=lambda it: it.sends_until, default=NO_LEASE)
    return Claimed([decision for half in halves for decision in half.decisions], lease)


def release(run_ids: Collection[UUID], token: UUID) -> int:
    """Let go of runs whose send was not even started, so that they come up again at once; how many.

    Without it they would come back only with the end of the lease, and look as if a worker had died of them. The token
    stays, and says that a message is pending.
    """
    return execute(
        "UPDATE user_journeys SET lease_until = NULL WHERE id IN (SELECT id FROM user_journeys "
        "WHERE id = ANY(%s) AND claim_token = %s ORDER BY id FOR NO KEY UPDATE)",
        [list(run_ids), token],
    )


def _record_only(
    outcomes: Mapping[UUID, Outcome], sent: Mapping[UUID, Decision], token: UUID, now: datetime
) -> Claimed:
    """What was sent must not be sent again because a later step is rejected: that one is left to the next claim."""
    try:
        return _record(outcomes, sent, token, now, go_on=False)
    except Poison as error:
        # It can't be written down at all: the lease ends, it is repeated, and in the end it fails.
        logger.error("an outcome can't be recorded", exc_info=error)
        return Claimed((), NO_LEASE)


@told_apart()
@transaction.atomic
def _record(
    outcomes: Mapping[UUID, Outcome],
    sent: Mapping[UUID, Decision],
    token: UUID,
    now: datetime,
    *,
    go_on: bool = True,
) -> Claimed:
    lease = new_lease(token)
    mine = {sent[key].run.id: key for key in outcomes}
    runs = [sent[key].run for key in outcomes]
    journeys = lock_journeys({run.journey.id for run in runs})
    people = lock_people({run.person.id for run in runs})
    rows = query(
        f"SELECT {RUN_COLUMNS} FROM user_journeys WHERE id = ANY(%s) AND claim_token = %s AND status = 'active' "
        "ORDER BY id FOR NO KEY UPDATE",
        [uuids(mine), token],
    )
    locked = [LockedRun(*row) for row in rows]
    if len(locked) < len(mine):  # Their lease ended and another worker took them, or their contact was deleted.
        logger.warning("outcomes came too late", extra={"count": len(mine) - len(locked)})
    sends = {key: send for key in outcomes if (send := sent[key].send) is not None}
    loaded = load(locked, people, journeys, messages=sends)
    decisions = [
        decide(loaded, number, now, outcomes[mine[run.id]], go_on=go_on) for number, run in enumerate(loaded.runs)
    ]
    hold(decisions, now)
    write(decisions, now, lease.token, lease.until)
    return Claimed(decisions, lease)
