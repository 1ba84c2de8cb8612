"""How long a claim holds, and holding it for longer. Leases are always on the database's real clock, whatever time the
engine is told."""

import logging
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import Error, connection, transaction

from journeys.engine.clock import database_clock
from journeys.engine.outage import may_try_again, persist
from journeys.engine.sql import execute, query, uuids

logger = logging.getLogger(__name__)

SAFETY = 0.7
"""A send may start during this share of the lease, by the monotonic clock. The rest is for finishing it, which takes
what an HTTP request may (actions/http.py), and for recording."""
RENEWED_AFTER = 0.3
"""A lease is renewed when this share of it is over, so that a renewal or two may fail."""
PAUSE = 0.05
"""Of the lease: so long after a renewal that failed comes the next."""
PATIENCE_SECONDS = 40
"""For so long a batch may start sends, however often it is renewed: django-q kills a task that takes too long."""
RUNS, EXECUTIONS = "user_journeys", "step_executions"


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's right to some runs: `token` guards writes, `until` is stored, `sends_until` is monotonic."""

    token: UUID
    until: datetime
    sends_until: float


def new_lease(token: UUID | None = None) -> Lease:
    """A lease from now on; with `token`, a renewal of the one that has it."""
    # Monotonic first: whatever happens between the two readings makes us stop earlier, never later.
    monotonic = time.monotonic()
    return Lease(token or uuid4(), database_clock() + timedelta(seconds=_seconds()), monotonic + _seconds() * SAFETY)


NO_LEASE = Lease(UUID(int=0), datetime.min.replace(tzinfo=UTC), float("-inf"))
"""What nothing is held under."""


def _seconds() -> float:
    return float(settings.JOURNEYS["LEASE_SECONDS"])


@dataclass(slots=True)
class Renewal:
    """A batch's lease, kept up while its sends go on: `ids` are the rows of `table` that are still to be recorded."""

    table: str
    lease: Lease
    ids: set[UUID] = field(default_factory=set)
    starts_until: float = field(default_factory=lambda: time.monotonic() + PATIENCE_SECONDS)
    looks_at: float = 0.0

    @property
    def may_send(self) -> bool:
        """Whether a send may start. A worker that was stopped past its lease finds here that it may not."""
        return time.monotonic() < min(self.lease.sends_until, self.starts_until)

    def give_up(self) -> None:
        """Start no further send: nobody could record it."""
        self.starts_until = float("-inf")

    def keep(self) -> None:
        """Renew the lease if it is time. One that can't be renewed, or not for all, ends when it would have."""
        now = time.monotonic()
        if not self.ids or now < self.looks_at or now < self.lease.sends_until - _seconds() * (SAFETY - RENEWED_AFTER):
            return
        self.looks_at = now + _seconds() * PAUSE
        try:
            fresh = new_lease(self.lease.token)
            if self._extend(fresh.until) == len(self.ids):
                self.lease = fresh
        except Error as error:
            if not may_try_again(error):
                raise
            logger.warning("a lease could not be renewed", exc_info=error)

    def _extend(self, until: datetime) -> int:
        # One that has ended is not brought back to life: another worker may be about to take it.
        return execute(
            f"UPDATE {self.table} SET lease_until = %s WHERE id IN (SELECT id FROM {self.table} WHERE id = ANY(%s) "
            "AND claim_token = %s AND lease_until > clock_timestamp() ORDER BY id FOR NO KEY UPDATE)",
            [until, uuids(self.ids), self.lease.token],
        )


@transaction.atomic
def release(table: str, ids: Collection[UUID], token: UUID) -> int:
    """Let go of what was not even started, so that it comes up again at once; how many rows.

    Without it they would come back only with the end of the lease, and look as if a worker had died of them. The token
    stays, and says that a message is pending.
    """
    # Locked first: a commit whose answer was lost may be under way still.
    query(f"SELECT id FROM {table} WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [uuids(ids)])
    return execute(
        f"UPDATE {table} SET lease_until = NULL WHERE id = ANY(%s) AND claim_token = %s AND lease_until IS NOT NULL",
        [uuids(ids), token],
    )


@dataclass(slots=True)
class Taken:
    """What a claim that is about to commit holds."""

    lease: Lease = NO_LEASE
    ids: Collection[UUID] = ()


@contextmanager
def claiming(table: str) -> Iterator[Taken]:
    """Around a claim's transaction, which notes what it takes. Should the commit succeed and its answer be lost, then
    nobody knows of the claim: it is let go, so that its rows neither wait for the lease nor count as a death."""
    taken = Taken()
    try:
        yield taken
    except Error as error:
        if taken.ids and may_try_again(error):
            persist(lambda: release(table, taken.ids, taken.lease.token))
        raise


def limit_idling() -> None:
    """Within a transaction: let PostgreSQL end it, and free its locks, should this process be stopped in the middle."""
    idle, whole = max(1.0, _seconds() / 2), max(5.0, _seconds() * 2)
    limits = {"idle_in_transaction_session_timeout": idle}
    if connection.connection.info.server_version >= 170000:
        # It ends those too that are stopped between two pipelined statements, or while they are told an answer.
        limits["transaction_timeout"] = whole
    settings_of = ", ".join(f"set_config('{name}', %s, true)" for name in limits)
    query(f"SELECT {settings_of}", [f"{seconds:.0f}s" for seconds in limits.values()])
