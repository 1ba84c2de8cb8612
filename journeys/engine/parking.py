"""Runs of a journey that is switched off wait in a parking place, so that the queue holds only what can run."""

from uuid import UUID

from django.db import transaction

from journeys.engine.sql import execute, query

BATCH = 5_000
UNHELD = "(lease_until IS NULL OR lease_until < clock_timestamp())"
"""Nobody has it, or who had it died. Whoever has a run parks it himself when he is done."""
NOW_AT_LATEST = """due_at = CASE WHEN due_at IS NOT NULL THEN LEAST(due_at, %(now)s) END,
    parked_due_at = CASE WHEN parked_due_at IS NOT NULL THEN LEAST(parked_due_at, %(now)s) END"""
"""Look at it at once. What is parked stays parked, and is due as soon as it isn't."""


def park(journey_id: UUID) -> int:
    """Take the runs of an inactive journey out of the queue, in batches; how many."""
    return _move(
        journey_id,
        "NOT is_active",
        f"due_at IS NOT NULL AND {UNHELD}",
        "parked_due_at = due_at, due_at = NULL",
    )


def unpark(journey_id: UUID) -> int:
    """Put the runs of an active journey back into the queue, each with the due time it had; how many."""
    return _move(journey_id, "is_active", "due_at IS NULL", "due_at = parked_due_at, parked_due_at = NULL")


def _move(journey_id: UUID, journey_is: str, which: str, assignment: str) -> int:
    total = moved = 0
    while moved or not total:
        moved = _batch(journey_id, journey_is, which, assignment)
        total += moved
        if not moved:
            break
    return total


@transaction.atomic
def _batch(journey_id: UUID, journey_is: str, which: str, assignment: str) -> int:
    # The journey's lock first: a switch that is thrown meanwhile waits for this batch, and the next batch sees it.
    if not query(f"SELECT 1 FROM journeys WHERE id = %s AND {journey_is} FOR SHARE", [journey_id]):
        return 0
    return execute(
        f"UPDATE user_journeys SET {assignment} WHERE id IN (SELECT id FROM user_journeys "
        f"WHERE journey_id = %s AND status = 'active' AND {which} ORDER BY id LIMIT {BATCH} FOR NO KEY UPDATE)",
        [journey_id],
    )
