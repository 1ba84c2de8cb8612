"""How long a claim holds. Leases are always on the real clock, whatever time the engine is told."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings

SAFETY = 0.9
"""A send may start during this share of the lease, by the monotonic clock; the rest is for finishing and recording."""


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
    return Lease(token or uuid4(), datetime.now(UTC) + timedelta(seconds=seconds), monotonic + seconds * SAFETY)
