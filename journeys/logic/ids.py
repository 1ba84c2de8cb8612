"""Keys that sort by time: UUIDv7 (RFC 9562 §5.7) and the derived execution id (UUIDv8, §5.8).

Both are made from the caller's clock, so that a simulated past sorts like a real one.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

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


def _layout(milliseconds: int, *, version: int, bits: int) -> int:
    high, low = bits >> 62, bits & ((1 << 62) - 1)
    return milliseconds << TIMESTAMP_SHIFT | version << 76 | high << 64 | VARIANT | low
