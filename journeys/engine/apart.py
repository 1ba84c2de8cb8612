"""A batch that PostgreSQL won't store is taken apart until the bad run is alone: the others must not wait for it.

All in the claim's own transaction, behind savepoints: nobody is read, decided or claimed a second time. The bad run is
looked at again later, alone, and in the end failed with its reason.
"""

import logging
import random
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from journeys.engine.decision import SUSPECT_DEATHS, Decision, retry_policy, retry_run
from journeys.engine.effects import write
from journeys.engine.lease import Lease
from journeys.engine.parking import UNHELD
from journeys.engine.poison import Poison, eighths, told_apart
from journeys.engine.sql import execute, query
from journeys.engine.tally import Counted, append
from journeys.logic.ids import execution_range
from journeys.logic.retry import retry_delay
from journeys.models import What

logger = logging.getLogger(__name__)


def write_apart(decisions: Sequence[Decision], now: datetime, lease: Lease) -> list[Decision]:
    """Write what can be written of these decisions; what came of each run, those put aside included."""
    try:
        _write(decisions, now, lease)
        return list(decisions)
    except Poison as error:
        if len(decisions) == 1:
            return _put_aside(decisions[0], now, lease, error)
        logger.warning("a batch was rejected and is taken apart", extra={"runs": len(decisions)}, exc_info=error)
    # By journey, so that a bad one spoils few parts.
    ordered = sorted(decisions, key=lambda decision: (decision.run.journey.id, decision.run.id))
    return [one for part in eighths(ordered) for one in write_apart(part, now, lease)]


@told_apart()
@transaction.atomic
def _write(decisions: Sequence[Decision], now: datetime, lease: Lease) -> None:
    write(decisions, now, lease.token, lease.until)


def _put_aside(decision: Decision, now: datetime, lease: Lease, error: Poison) -> list[Decision]:
    logger.error("a run was rejected", extra={"user_journey": str(decision.run.id)}, exc_info=error)
    later = retry_run(decision.run, str(error), now)
    later.is_suspect = True
    try:
        _write([later], now, lease)
    except Poison as again:
        put_off_unseen(decision.run.id, str(again), now)
        return []
    return [later]


FREE = f"status = 'active' AND due_at IS NOT NULL AND {UNHELD}"


@transaction.atomic
def put_off_unseen(run_id: UUID, reason: str, now: datetime) -> None:
    """Look at a run that can't even be read again later, alone, and in the end fail it. Left as it is, it would be met,
    and stop everything, again and again."""
    for (attempts,) in query(
        f"SELECT attempts FROM user_journeys WHERE id = %s AND {FREE} FOR NO KEY UPDATE", [run_id]
    ):
        wait = retry_delay(attempts + 1, random.random, None, retry_policy())
        if wait is None:
            return _fail_unseen(run_id, reason, now)
        execute(
            "UPDATE user_journeys SET attempts = attempts + 1, deaths = GREATEST(deaths, %s), due_at = %s, "
            "lease_until = NULL, updated_at = %s WHERE id = %s",
            [SUSPECT_DEATHS, now + wait, now, run_id],
        )


def _fail_unseen(run_id: UUID, reason: str, now: datetime) -> None:
    found = query(
        "UPDATE user_journeys SET status = 'failed', failed_at = %(now)s, failure_reason = %(reason)s, due_at = NULL, "
        "step_due_at = NULL, claim_token = NULL, lease_until = NULL, updated_at = %(now)s WHERE id = %(run)s "
        f"AND {FREE} RETURNING journey_id",
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
