"""Keys that sort by time: UUIDv7 (RFC 9562 §5.7) and the derived execution id (UUIDv8, §5.8).

Both are made from the caller's clock, so that a simulated past sorts like a real one.
"""

import hashlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
VARIANT = 0b10 << 62
TIMESTAMP_SHIFT = 80


def uuid7(now: datetime, getrandbits: Callable[[int], int]) -> UUID:
    """A UUIDv7 of `now` (aware) with 74 random bits from `getrandbits`."""
    milliseconds = int(now.timestamp() * 1000)
    return UUID(int=_layout(milliseconds, version=7, bits=getrandbits(74)))


def execution_id(run_id: UUID, step_id: UUID) -> UUID:
    """The one id that the execution of `step_id` in `run_id` can have: the run's timestamp and a hash.

    The primary key is therefore the uniqueness of (run, step) and the idempotency key of every send,
    known before the first try.
    """
    digest = hashlib.sha256(run_id.bytes + step_id.bytes).digest()
    bits = int.from_bytes(digest[:10], "big") >> 6
    return UUID(int=_layout(run_id.int >> TIMESTAMP_SHIFT, version=8, bits=bits))


def earliest_id(at: datetime) -> UUID:
    """The smallest key of this moment: keys made before `at` sort before it, those made from then on do not."""
    return UUID(int=int(at.timestamp() * 1000) << TIMESTAMP_SHIFT)


def time_of(key: UUID) -> datetime:
    """The moment that a key was made from, to the millisecond."""
    return EPOCH + timedelta(milliseconds=key.int >> TIMESTAMP_SHIFT)


def execution_range(run_ids: Iterable[UUID]) -> tuple[UUID, UUID]:
    """From which id, and before which, all executions of these runs lie: a run's have its timestamp."""
    moments = [run_id.int >> TIMESTAMP_SHIFT for run_id in run_ids]
    return UUID(int=min(moments) << TIMESTAMP_SHIFT), UUID(int=max(moments) + 1 << TIMESTAMP_SHIFT)


def _layout(milliseconds: int, *, version: int, bits: int) -> int:
    high, low = bits >> 62, bits & ((1 << 62) - 1)
    return milliseconds << TIMESTAMP_SHIFT | version << 76 | high << 64 | VARIANT | low
