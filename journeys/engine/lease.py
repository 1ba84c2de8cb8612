"""How long a claim holds. Leases are always on the database's real clock, whatever time the engine is told."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings

from journeys.engine.clock import database_clock

SAFETY = 0.7
"""A send may start during this share of the lease, by the monotonic clock. The rest is for finishing it, which takes
what an HTTP request may (actions/http.py), and for recording."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's right to some runs: `token` guards writes, `until` is stored, `sends_until` is monotonic."""

    token: UUID
    until: datetime
    sends_until: float

    @property
    def may_send(self) -> bool:
        return time.monotonic() < self.sends_until


def new_lease(token: UUID | None = None) -> Lease:
    """A lease from now on; with `token`, a renewal of the one that has it."""
    seconds = settings.JOURNEYS["LEASE_SECONDS"]
    # Monotonic first: whatever happens between the two readings makes us stop earlier, never later.
    monotonic = time.monotonic()
    return Lease(token or uuid4(), database_clock() + timedelta(seconds=seconds), monotonic + seconds * SAFETY)


NO_LEASE = Lease(UUID(int=0), datetime.min.replace(tzinfo=UTC), float("-inf"))
"""What nothing is held under."""
