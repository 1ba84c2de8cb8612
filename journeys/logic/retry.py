"""Should it be tried again, and when? Pure: the attempt, the policy and chance are arguments."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`max_attempts` counts the first try; the rest are seconds. `max_retry_after` bounds a provider."""

    max_attempts: int = 5
    base_seconds: float = 30
    cap_seconds: float = 3600
    max_retry_after: float = 86_400

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{field.name}: must be a positive number, not {value!r}")


def retry_delay(
    attempt: int, rng: Callable[[], float], retry_after: float | None, policy: RetryPolicy
) -> timedelta | None:
    """How long to wait after attempt number `attempt` (1 is the first) failed, or None when it was the last.

    Exponential backoff with full jitter: anything up to the ceiling, so that what failed together does not
    come back together. `rng` returns a number in [0, 1). `retry_after` is the provider's wish in seconds:
    never earlier than that (clamped to the policy), and a little spread beyond it.
    """
    if attempt < 1:
        raise ValueError(f"attempt: must be 1 or more, not {attempt}")
    if attempt >= policy.max_attempts:
        return None
    # 2 ** 64 passes any cap; a larger exponent only overflows.
    ceiling = min(policy.cap_seconds, policy.base_seconds * 2.0 ** min(attempt - 1, 64))
    chance = rng()
    wait = chance * ceiling
    if retry_after is not None and retry_after > 0:
        asked = min(retry_after, policy.max_retry_after)
        wait = max(wait, asked * (1 + _SPREAD * chance))
    return timedelta(seconds=wait)


def parse_retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110 §10.2.3: seconds or a date), or None without one."""
    text = (header or "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # no date, or a year past all calendars
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
