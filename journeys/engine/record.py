"""Writing what sends came to, guarded by the token, and going on from there."""

import logging
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.db import transaction

from journeys.engine.advance import Decision
from journeys.engine.claim import Claimed, Poisonous, decide
from journeys.engine.effects import write
from journeys.engine.flows import lock_journeys
from journeys.engine.lease import new_lease
from journeys.engine.load import RUN_COLUMNS, LockedRun, load
from journeys.engine.people import lock_people
from journeys.engine.sql import query
from journeys.logic.effects import Outcome

logger = logging.getLogger(__name__)


def record(outcomes: Mapping[UUID, Outcome], sent: Mapping[UUID, Decision], token: UUID, now: datetime) -> Claimed:
    """Record the outcomes by execution id, and advance their runs. `sent` has the decision that each send came from.

    What the runs have to send next is returned under a renewed lease. Outcomes of runs that another worker has by now
    are dropped: that worker repeats the send, with the same key.
    """
    try:
        return _record(outcomes, sent, token, now)
    except Poisonous as error:
        if len(outcomes) == 1:
            # The send is done and can't be written down: the lease ends, it is repeated, and in the end it fails.
            logger.error("an outcome was rejected", extra={"step_execution": str(next(iter(outcomes)))}, exc_info=error)
            return Claimed((), new_lease(token))
    keys = list(outcomes)
    decisions: list[Decision] = []
    for half in (keys[: len(keys) // 2], keys[len(keys) // 2 :]):
        decisions += record({key: outcomes[key] for key in half}, sent, token, now).decisions
    return Claimed(decisions, new_lease(token))


@transaction.atomic
def _record(outcomes: Mapping[UUID, Outcome], sent: Mapping[UUID, Decision], token: UUID, now: datetime) -> Claimed:
    lease = new_lease(token)
    mine = {sent[key].run.id: key for key in outcomes}
    runs = [sent[key].run for key in outcomes]
    journeys = lock_journeys({run.journey.id for run in runs})
    people = lock_people({run.person.id for run in runs})
    rows = query(
        f"SELECT {RUN_COLUMNS} FROM user_journeys WHERE id = ANY(%s) AND claim_token = %s AND status = 'active' "
        "ORDER BY id FOR NO KEY UPDATE",
        [list(mine), token],
    )
    locked = [LockedRun(*row) for row in rows]
    if len(locked) < len(mine):  # Their lease ended and another worker took them, or their contact was deleted.
        logger.warning("outcomes came too late", extra={"count": len(mine) - len(locked)})
    loaded = load(locked, people, journeys)
    decisions = [decide(loaded, number, now, outcomes[mine[run.id]]) for number, run in enumerate(loaded.runs)]
    write(decisions, now, lease.token, lease.until)
    return Claimed(decisions, lease)
