"""How fast a provider may be written to, and for how long one that fails is left alone. Pure: rows and `now` come in.

A bucket hands out *slots*, evenly spaced, by one number: the first that is free (GCRA's theoretical arrival time).
"""

import re
from datetime import datetime, timedelta
from functools import lru_cache

UNLIMITED = "unlimited"
LATE = timedelta(seconds=2)
"""A slot that was missed by more is lost. So never more than two seconds' worth go out together after a pause."""

SKEW = timedelta(minutes=1)
"""A row written by a clock further ahead than this, as when somebody tries the future, counts for nothing."""

SPREAD_CAP = timedelta(minutes=15)

_RATE = re.compile(r"([0-9]{1,9})/([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@lru_cache(maxsize=256)
def parse_rate(text: str) -> timedelta | None:
    """The time between two messages at a rate such as 30/s, 20/m, 500/h or 10000/d; None for `unlimited`."""
    if text == UNLIMITED:
        return None
    match = _RATE.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise ValueError(f"{text!r} is no rate: expected 30/s, 20/m, 500/h, 10000/d or {UNLIMITED}")
    return timedelta(seconds=_SECONDS[match[2]] / int(match[1]))


def is_mine(slot_at: datetime | None, now: datetime) -> bool:
    """Whether a slot that was given before may be used now."""
    return slot_at is not None and slot_at <= now <= slot_at + LATE


def wait_for_probe(opened_at: datetime, probe_at: datetime, now: datetime, chance: float) -> datetime:
    """When to look again at what waits for an open breaker: behind the next probe, and ever more spread out.

    So a hundred thousand waiting runs are not looked at each minute. `chance` is in [0, 1); 0 is at the probe.
    """
    spread = min(max(now - opened_at, timedelta(minutes=1)), SPREAD_CAP)
    return max(probe_at, now) + spread * chance


def wait_until_free(busy_until: datetime, now: datetime, chance: float) -> datetime:
    """When to send what a destination wanted later (Retry-After): not before, and not all at once."""
    return busy_until + max((busy_until - now) / 10, timedelta(seconds=1)) * chance
