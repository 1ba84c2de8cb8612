"""Asking the queue whether anything is due, and noting that somebody looks after it."""

from datetime import datetime

from journeys.engine.sql import execute, query

DUE = (
    "FROM user_journeys r WHERE r.status = 'active' AND r.due_at <= %(now)s "
    "AND (r.lease_until IS NULL OR r.lease_until < clock_timestamp())"
)
# Runs of a journey that is off are about to be parked: what looks for work must not stumble over them.
JOURNEY_IS_ON = " AND EXISTS (SELECT FROM journeys j WHERE j.id = r.journey_id AND j.is_active)"
REPLAYS = "replay_at <= %(now)s AND (lease_until IS NULL OR lease_until < clock_timestamp())"


def is_anything_due(now: datetime) -> bool:
    """Whether a worker would find something."""
    statement = (
        f"SELECT EXISTS (SELECT {DUE}{JOURNEY_IS_ON}) OR "
        f"EXISTS (SELECT FROM step_executions WHERE replay_at IS NOT NULL AND {REPLAYS})"
    )
    ((due,),) = query(statement, {"now": now})
    return bool(due)


def beat(name: str, now: datetime) -> None:
    """Note that a recurring part is at work."""
    execute(
        "INSERT INTO heartbeats (name, at) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET at = EXCLUDED.at",
        [name, now],
    )


def beaten_since(name: str, since: datetime) -> bool:
    return bool(query("SELECT 1 FROM heartbeats WHERE name = %s AND at >= %s", [name, since]))
