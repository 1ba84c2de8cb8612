"""Sending what was committed. No transaction is open here, and nothing is written but the lease's renewals.

Each send starts only while its lease holds and somebody is there to record it. What is left unsent here, another sends.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings

from journeys.actions.base import Outgoing, OutsideAction
from journeys.actions.registry import CHANNELS
from journeys.engine.feed import Feed
from journeys.engine.lease import Renewal
from journeys.engine.outcomes import Outcomes, Result
from journeys.engine.stopping import is_stopping
from journeys.logic.effects import Delivered, Outcome, Undelivered

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message, and whether its contact is a test contact, whose messages are captured. It goes after `wait`."""

    message: Outgoing
    is_test: bool
    wait: timedelta = timedelta()


def dispatch(parcels: Sequence[Parcel], lease: Renewal) -> Iterator[list[Result]]:
    """Send all at once, per channel, and yield outcomes in small lots as they come: the caller records each lot.

    A message has no outcome when it was not sent: its lease ended before its turn, or the worker is being stopped.
    """
    captured = [(parcel.message.id, verdict) for parcel in parcels if (verdict := _without_sending(parcel)) is not None]
    if captured:
        yield captured
    kept_back = {key for key, _ in captured}
    leaving = [parcel for parcel in parcels if parcel.message.id not in kept_back]
    if not leaving:
        return
    abandoned = threading.Event()

    def may_send() -> bool:
        return lease.may_send and not abandoned.is_set() and not is_stopping()

    senders = _senders(leaving, may_send)
    outcomes = Outcomes(len(senders))
    with ThreadPoolExecutor(max_workers=len(senders), thread_name_prefix="dispatch") as pool:
        try:
            for channel, feed in senders:
                pool.submit(_send, channel, feed, outcomes)
            yield from outcomes.lots(lease.keep)
        finally:
            abandoned.set()  # Should the caller have failed: what nobody records would only be sent again.


def leaves_the_house(parcel: Parcel) -> bool:
    """Whether it is sent to a provider, if all goes well."""
    return not parcel.is_test and CHANNELS[parcel.message.channel].missing_setting() is None


def _without_sending(parcel: Parcel) -> Outcome | None:
    """The outcome of what does not leave the house: no provider is configured, or the contact is a test contact."""
    if parcel.is_test:
        return Delivered({"status": "captured", "reason": "a test contact"}, captured=True)
    missing = CHANNELS[parcel.message.channel].missing_setting()
    if missing is None:
        return None
    if settings.DEBUG:
        return Delivered({"status": "captured", "reason": f"{missing} is not set"}, captured=True)
    return Undelivered(f"{missing} is not set, so nothing can be sent by {parcel.message.channel}", permanent=True)


def _senders(parcels: Sequence[Parcel], may_send: Callable[[], bool]) -> list[tuple[OutsideAction[Any], Feed]]:
    """Who sends: each channel as many as its `concurrency`, all with the same feed."""
    by_channel: dict[str, list[tuple[float, Outgoing]]] = {}
    now = time.monotonic()
    for parcel in parcels:
        starts_at = now + parcel.wait.total_seconds() if parcel.wait else 0.0
        by_channel.setdefault(parcel.message.channel, []).append((starts_at, parcel.message))
    found: list[tuple[OutsideAction[Any], Feed]] = []
    for name, messages in by_channel.items():
        channel = CHANNELS[name]
        number = min(channel.concurrency, len(messages))
        feed = Feed(messages, channel.destination, number, settings.JOURNEYS["BREAKER_FAILURES"], may_send)
        found += [(channel, feed)] * number
    return found


def _send(channel: OutsideAction[Any], feed: Feed, outcomes: Outcomes) -> None:
    """One thread's work. An exception that no channel should raise is that message's transient failure."""
    try:
        while _send_some(channel, feed, outcomes):
            pass
    finally:
        outcomes.leave()


def _send_some(channel: OutsideAction[Any], feed: Feed, outcomes: Outcomes) -> bool:
    """Send until the feed is empty, or the channel gives up; whether it is worth going on."""
    taken: dict[UUID, Outgoing] = {}

    def draw() -> Iterator[Outgoing]:
        while outcomes.take_room(feed.may_send):
            message = feed.take()
            if message is None:
                outcomes.give_back_room()
                return
            taken[message.id] = message
            yield message

    fault = "the channel ended without an outcome"
    try:
        for key, outcome in channel.send(draw()):
            feed.done(taken.pop(key), outcome)
            outcomes.put(key, outcome)
    except Exception as error:
        logger.error("a channel raised", extra={"channel": channel.channel}, exc_info=error)
        fault = f"{type(error).__name__}: {error}"
    for key, message in taken.items():  # A channel owes an outcome for each message that it took.
        outcome = Undelivered(fault, permanent=False)
        feed.done(message, outcome)
        outcomes.put(key, outcome)
    return bool(taken)
