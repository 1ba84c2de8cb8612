"""What must be done every minute: rolling up tallies, repairing, making the months to come."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from journeys.engine import breakers, caps, limits
from journeys.engine.parking import UNHELD, park, unpark
from journeys.engine.partitions import make_months
from journeys.engine.pruning import prune_task_records
from journeys.engine.sql import execute, query

ROLL_UP_BATCH = 50_000
# One look at `runs_journey_parked` for each journey, however many runs it has. A count, because PostgreSQL would look
# for a mere one anywhere: it expects many, and mostly there is none.
ASTRAY = (
    "SELECT j.id, j.is_active FROM journeys j CROSS JOIN LATERAL (SELECT count(*) AS runs FROM user_journeys r "
    f"WHERE r.journey_id = j.id AND r.status = 'active' AND (r.due_at IS NULL) = j.is_active AND {UNHELD}) AS astray "
    "WHERE runs > 0"
)


def minute(now: datetime) -> None:
    """Roll up tallies, bring parking into line with the switches, should a crash have come between the two, let a
    change of caps reach everybody, and make the months to come."""
    while _roll_up() == ROLL_UP_BATCH:
        pass
    _repair_parking()
    caps.repair(now)
    prune_task_records(now)
    make_months(now)
    limits.tidy(now)
    breakers.tidy(now)


def _roll_up() -> int:
    """Move a batch of tallies into the totals of their days, in one statement: a count is never lost or doubled."""
    ((moved,),) = query(
        "WITH moved AS (DELETE FROM tallies WHERE id IN (SELECT id FROM tallies ORDER BY id LIMIT %s FOR UPDATE SKIP "
        "LOCKED) RETURNING journey_id, step_id, what, count, (at AT TIME ZONE 'UTC')::date AS day), "
        "summed AS (SELECT journey_id, step_id, what, day, sum(count) AS count FROM moved "
        "GROUP BY journey_id, step_id, what, day ORDER BY journey_id, step_id, what, day), "
        "stored AS (INSERT INTO tally_totals (journey_id, step_id, what, day, count) "
        "SELECT journey_id, step_id, what, day, count FROM summed ON CONFLICT (journey_id, step_id, what, day) "
        "DO UPDATE SET count = tally_totals.count + EXCLUDED.count) SELECT count(*) FROM moved",
        [ROLL_UP_BATCH],
    )
    return int(moved)


def _repair_parking() -> None:
    for journey_id, is_active in _astray():
        (unpark if is_active else park)(journey_id)


@transaction.atomic
def _astray() -> Sequence[tuple[UUID, bool]]:
    """Journeys with runs that are parked, or not, against their switch."""
    execute("SET LOCAL enable_seqscan = off")
    return query(ASTRAY)
