"""Asking the queue how it is: what is due, since when, and whether somebody looks after it."""

from dataclasses import dataclass
from datetime import datetime

from journeys.engine.sql import execute, query

DUE = "status = 'active' AND due_at <= %(now)s AND (lease_until IS NULL OR lease_until < clock_timestamp())"
REPLAYS = "replay_at <= %(now)s AND (lease_until IS NULL OR lease_until < clock_timestamp())"


@dataclass(frozen=True, slots=True)
class QueueState:
    """Runs that are due and nobody has, the age of the oldest in seconds, leases that ended, dead letters."""

    due: int
    oldest_due_seconds: float
    dead_leases: int
    dead_letters: int


def is_anything_due(now: datetime) -> bool:
    """Whether a worker would find something."""
    statement = (
        f"SELECT EXISTS (SELECT FROM user_journeys WHERE {DUE}) OR "
        f"EXISTS (SELECT FROM step_executions WHERE replay_at IS NOT NULL AND {REPLAYS})"
    )
    ((due,),) = query(statement, {"now": now})
    return bool(due)


def state(now: datetime) -> QueueState:
    """The gauges, read from the database in one statement."""
    ((due, oldest, dead_leases, dead_letters),) = query(
        f"SELECT count(*) FILTER (WHERE {DUE}), extract(epoch FROM %(now)s - min(due_at) FILTER (WHERE {DUE})), "
        "count(*) FILTER (WHERE claim_token IS NOT NULL AND lease_until < clock_timestamp()), "
        "(SELECT count(*) FROM step_executions WHERE dead_at IS NOT NULL) "
        "FROM user_journeys WHERE status = 'active' AND due_at <= %(now)s",
        {"now": now},
    )
    return QueueState(due, max(0.0, float(oldest or 0)), dead_leases, dead_letters)


def beat(name: str, now: datetime) -> None:
    """Note that a recurring part is at work."""
    execute(
        "INSERT INTO heartbeats (name, at) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET at = EXCLUDED.at",
        [name, now],
    )


def beaten_since(name: str, since: datetime) -> bool:
    return bool(query("SELECT 1 FROM heartbeats WHERE name = %s AND at >= %s", [name, since]))
