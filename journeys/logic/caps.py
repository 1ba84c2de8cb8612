"""Frequency caps: at most so many messages to a person in a period, by one channel or by all of them."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

ANY_CHANNEL = ""


class Cap(NamedTuple):
    """At most `at_most` messages by this channel, or by any, in each period of that length."""

    channel: str
    at_most: int
    period: timedelta

    def is_about(self, channel: str) -> bool:
        return self.channel in (ANY_CHANNEL, channel)


class Sent(NamedTuple):
    """A message that counts, from the moment on at which it was committed. `id` is its execution's."""

    channel: str
    at: datetime
    id: UUID


def free_at(caps: Iterable[Cap], sent: Sequence[Sent], channel: str, now: datetime) -> datetime | None:
    """When the next message by that channel may go; None if it may at once."""
    free = [at for cap in caps if cap.is_about(channel) and (at := _free_at(cap, sent, now)) is not None]
    return max(free, default=None)


def _free_at(cap: Cap, sent: Sequence[Sent], now: datetime) -> datetime | None:
    leaves = sorted(at for one in sent if cap.is_about(one.channel) and (at := one.at + cap.period) > now)
    return leaves[-cap.at_most] if len(leaves) >= cap.at_most else None
