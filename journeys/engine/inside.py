"""What happens to the people inside a journey when it is edited or deleted; in batches, the journey locked first."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from journeys.engine.parking import NOW_AT_LATEST
from journeys.engine.sql import execute, query
from journeys.logic.ids import execution_range

BATCH = 5_000


@transaction.atomic
def look_again(journey_id: UUID, step_ids: Sequence[UUID], now: datetime) -> int:
    """Make a batch of those who wait at these steps due, so that the engine moves them to the live version; how many.

    A run that a worker has, or that waits to try again, finds the new version by itself. What is parked stays parked.
    """
    query("SELECT 1 FROM journeys WHERE id = %s FOR SHARE", [journey_id])
    return execute(
        f"UPDATE user_journeys SET {NOW_AT_LATEST} "
        "WHERE id IN (SELECT id FROM user_journeys WHERE journey_id = %(journey)s AND status = 'active' "
        "AND claim_token IS NULL AND attempts = 0 AND current_step_id = ANY(%(steps)s) "
        "AND COALESCE(due_at, parked_due_at) > %(now)s "
        # Who is moved waits again: while workers do that, batches would come to no end.
        "AND version_id <> (SELECT live_version_id FROM journeys WHERE id = %(journey)s) "
        "ORDER BY id LIMIT %(batch)s FOR NO KEY UPDATE)",
        {"now": now, "journey": journey_id, "steps": list(step_ids), "batch": BATCH},
    )


@transaction.atomic
def delete_runs(journey_id: UUID) -> int:
    """Delete a batch of a journey's runs with their executions; how many."""
    query("SELECT 1 FROM journeys WHERE id = %s FOR UPDATE", [journey_id])
    rows = query(
        "SELECT id FROM user_journeys WHERE journey_id = %s ORDER BY id LIMIT %s FOR UPDATE", [journey_id, BATCH]
    )
    runs = [row[0] for row in rows]
    if not runs:
        return 0
    first, end = execution_range(runs)
    execute("DELETE FROM step_executions WHERE user_journey_id = ANY(%s) AND id >= %s AND id < %s", [runs, first, end])
    return execute("DELETE FROM user_journeys WHERE id = ANY(%s)", [runs])
